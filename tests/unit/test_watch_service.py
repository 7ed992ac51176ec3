"""What the watcher is on a host, from its settings."""

from __future__ import annotations

import ast
import io
import json
import subprocess
import sys
import tarfile
from dataclasses import replace
from importlib import resources
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from habla.hosts.watch import Guard, Peer, Watch
from habla.model.disk import AlertsSpec, SmtpSpec
from habla.model.service import ServiceState
from habla.model.site import Site
from habla.model.snmp import SnmpSpec
from habla.onhost.watch import settings
from habla.plan.component import plan_component

SITE = Site("stable1", IPv4Address("192.168.2.100"))
SMTP = SmtpSpec(host="mail.hab.la", port=587, starttls=True, user="habla", password="smtp/habla")
MAIL = AlertsSpec(to=("ops@hab.la",), smtp=SMTP)
WATCH = Watch(
    MAIL,
    "lab",
    partitions=("/var/log", "/"),
    data=("/var/lib/mysql",),
    peers=(Peer("stable2", IPv4Address("192.168.2.101")), Peer("stable1", SITE.address)),
    guards=(Guard("monitor1", "http://192.168.2.5/habla-alive"),),
    snmp=SnmpSpec(),
)
CONFIG = "/etc/habla/watch.json"


def loaded(state: ServiceState, directory: Path) -> settings.Settings:
    """The settings as the program reads them."""
    path = directory / "watch.json"
    path.write_text(state.files[CONFIG].text)
    return settings.load(str(path))


def test_the_program_reads_what_the_service_writes(tmp_path: Path) -> None:
    """Every setting arrives; a host does not ask itself."""
    found = loaded(WATCH.state(SITE), tmp_path)
    assert (found.host, found.environment, found.partitions) == ("stable1", "lab", ("/", "/var/log"))
    assert "/var/lib/mysql" in found.data
    assert found.mail == settings.Mail(
        ("ops@hab.la",),
        "habla@stable1.hab.la",
        "mail.hab.la",
        587,
        True,
        "habla",
        "/etc/habla/watch-password",
    )
    assert [(peer.name, peer.address, peer.url) for peer in found.peers] == [
        ("stable2", "192.168.2.101", ""),
        ("monitor1", "", "http://192.168.2.5/habla-alive"),
    ]


def test_a_setting_that_the_program_does_not_know_is_refused(tmp_path: Path) -> None:
    """A program and settings of two versions do not work together by chance."""
    (tmp_path / "watch.json").write_text('{"host": "a", "environment": "b", "more": 1}')
    with pytest.raises(ValueError, match="unknown keys: more"):
        settings.load(str(tmp_path / "watch.json"))


def test_secrets_are_in_files_for_root_alone() -> None:
    """Each is only named, and nothing but root reads what it becomes."""
    state = plan_component("services", SITE, services=[WATCH]).state
    assert state.secrets == ("smtp/habla", "snmp/auth", "snmp/privacy")
    holders = {path: file.mode for path, file in state.files.items() if "@{secret:" in file.text}
    assert holders == {"/etc/habla/watch-password": "0600", "/etc/habla/watch-snmp/snmp.conf": "0600"}
    assert state.files[CONFIG].mode == "0600"


def test_without_mail_and_peers_there_is_no_secret() -> None:
    """A command, on a host that asks nobody."""
    state = plan_component(
        "services", SITE, services=[Watch(AlertsSpec(command=("/usr/sbin/page", "-u")), "lab")]
    ).state
    assert state.secrets == ()
    assert json.loads(state.files[CONFIG].text)["command"] == ["/usr/sbin/page", "-u"]
    assert "snmp" not in state.packages


def test_a_command_of_the_user_may_do_what_it_must() -> None:
    """A sendmail has privileges of its own; mail from the watcher itself needs none."""
    unit = "/etc/systemd/system/habla-watch.service"
    assert "ProtectSystem=strict" in WATCH.state(SITE).files[unit].text
    command = replace(WATCH, spec=AlertsSpec(command=("/usr/sbin/page",)))
    assert "NoNewPrivileges" not in command.state(SITE).files[unit].text


def test_peers_need_credentials() -> None:
    """Whoever forgets them hears it before a deployment."""
    with pytest.raises(ValueError, match="give snmp"):
        replace(WATCH, snmp=None)


def test_a_community_is_asked_for_with_version_2c() -> None:
    """And a user's passphrases are not."""
    state = plan_component("services", SITE, services=[replace(WATCH, snmp=SnmpSpec(version="2c"))]).state
    assert state.secrets == ("smtp/habla", "snmp/community")


def test_what_is_installed_runs(tmp_path: Path) -> None:
    """The launcher finds the modules that travel with the agent, and prints which logs nothing bounds."""
    (program,) = Watch.programs
    state = WATCH.state(SITE)
    ((place, archive),) = state.archives.items()
    assert archive == program.archive
    with tarfile.open(fileobj=io.BytesIO(program.content)) as tar:
        tar.extractall(tmp_path / "modules")
    launcher = state.files["/usr/local/lib/habla/watch"].text.replace(place, str(tmp_path / "modules"))
    (tmp_path / "watch").write_text(launcher.replace("/run/habla-watch/pycache", str(tmp_path / "cache")))
    config = {"host": "a", "environment": "b", "directories": [str(tmp_path)], "data": ["/"]}
    (tmp_path / "watch.json").write_text(json.dumps(config))
    command = [sys.executable, str(tmp_path / "watch"), "--logs", "--config", str(tmp_path / "watch.json")]
    done = subprocess.run(command, capture_output=True, text=True, cwd="/", check=False)
    assert done.returncode in (0, 2), done.stderr
    assert json.loads(done.stdout)["uncovered"] == []


SOURCES = sorted(
    (item for item in resources.files("habla.onhost.watch").iterdir() if item.name.endswith(".py")),
    key=lambda item: item.name,
)


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.name)
def test_its_modules_need_only_python_3_9(source: Path) -> None:
    """They parse as Python 3.9, import the standard library and each other, and stay short."""
    text = source.read_text("utf-8")
    tree = ast.parse(text, feature_version=(3, 9))
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            assert {name.name.split(".")[0] for name in node.names} <= set(sys.stdlib_module_names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 1 or str(node.module).split(".")[0] in sys.stdlib_module_names
    assert len(text.splitlines()) < 250


def test_its_modules_use_nothing_newer_than_python_3_9() -> None:
    """ruff, told of 3.9, finds no syntax error in them."""
    command = [sys.executable, "-m", "ruff", "check", "--target-version=py39", "--isolated", "--select=E9,F"]
    program = str(Path(settings.__file__).parent)
    done = subprocess.run([*command, program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
