"""Hosts that habla cannot use: the first command names host, fact, need and fix, and changes nothing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from agent import AgentHost, Done
from hosts import Lab

from habla.cli.ssh import UnreachableError, shells
from habla.components.first_contact import contact_command, contact_script
from habla.hosts.network import network_state
from habla.onhost.document import HostState
from habla.plan import FleetPlan, make_plan
from habla.plan.archive_files import ArchiveFiles
from habla.settings.loading import load_settings

pytestmark = pytest.mark.lab

_OLD_PYTHON = """\
#!/bin/sh
shift
exec /usr/bin/python3.away -c "import sys
sys.version, sys.version_info = '3.8.20 (default)', (3, 8, 20)
$1"
"""
_UBUNTU = 'PRETTY_NAME="Ubuntu 24.04 LTS"\nID=ubuntu\nID_LIKE=debian\n'
_NEEDS_PYTHON = "and habla needs Python 3.9 or newer with its standard library: apt-get install python3"
_CLEAN = (
    "find /root /home /etc /usr/local /var/lib -name '*habla*' "
    "! -path '/etc/apt/*' ! -path '*/systemd/network/*' 2>/dev/null; true"
)


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """One host, on which habla has not been yet."""
    lab = Lab(tmp_path_factory.mktemp("kinds") / "lab")
    try:
        lab.create()
        lab.host("front1")
        yield lab
    finally:
        lab.ask("lab-delete")


@pytest.fixture
def host(lab: Lab) -> AgentHost:
    """The host, for root."""
    return AgentHost(lab, "front1")


@contextmanager
def changed(host: AgentHost, *, do: str, undo: str) -> Iterator[None]:
    """The host with a change made by a shell command, which another one undoes."""
    host.run(do)
    try:
        yield
    finally:
        host.run(undo)


def _contact(host: AgentHost) -> Done:
    """The first command, for the user who logs in."""
    script = contact_script(host.name, host.user, agent="abc")
    return host.send(contact_command(host.name, host.user), script)


def _away(path: str) -> tuple[str, str]:
    return f"mv {path} {path}.away", f"mv {path}.away {path}"


def _replaced(path: str, content: str) -> tuple[str, str]:
    do, undo = _away(path)
    return f"{do}\ncat >{path} <<'END'\n{content}END\nchmod 755 {path}", undo


def _read_only(path: str) -> tuple[str, str]:
    return f"mount --bind {path} {path} && mount -o remount,ro,bind {path}", f"umount --lazy {path}"


def test_a_debian_with_all_of_it_is_a_host(host: AgentHost) -> None:
    """The command says nothing then, as root and as a user with sudo, and needs nothing of the terminal."""
    before = host.run(_CLEAN)
    for user in ("root", "operator"):
        done = _contact(AgentHost(host.lab, "front1", user))
        assert (done.status, done.stdout, done.stderr) == (0, "", ""), done
    assert host.run(_CLEAN) == before


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (_away("/usr/bin/python3"), f"it has no python3, {_NEEDS_PYTHON}"),
        (_replaced("/usr/bin/python3", _OLD_PYTHON), f"its python3 is 3.8.20, {_NEEDS_PYTHON}"),
        (_replaced("/usr/bin/python3", "#!/bin/sh\nexit 126\n"), f"its python3 is broken, {_NEEDS_PYTHON}"),
        (
            ("mount -t tmpfs tmpfs /usr/lib/python3.*/http", "umount /usr/lib/python3.*/http"),
            f"{_NEEDS_PYTHON}",
        ),
        (
            _away("/run/systemd/system"),
            "systemd does not run on it, and habla needs systemd: boot it with systemd",
        ),
        (
            _away("/usr/bin/apt-get"),
            "it has no apt-get, and habla installs packages with it: reinstall apt",
        ),
        (
            _replaced("/usr/lib/os-release", _UBUNTU),
            "it runs Ubuntu 24.04 LTS, and habla needs Debian: install Debian 12 or 13",
        ),
        (_away("/usr/lib/os-release"), "it runs no Debian, and habla needs Debian: install Debian 12 or 13"),
        (
            _read_only("/root"),
            "root may not write to the home directory /root, and habla sends its agent there: "
            "mount it read-write, or give it to root",
        ),
        (_read_only("/etc"), "/etc is read-only, and habla writes there: mount it read-write"),
        (
            (
                "mount -t tmpfs -o size=1m tmpfs /usr/local; head -c 700000 /dev/zero >/usr/local/f",
                "umount /usr/local",
            ),
            " KB free, and habla needs 4096 KB there: free some space",
        ),
    ],
    ids=[
        *("no python", "old python", "broken python", "python without library", "no systemd", "no apt"),
        *("ubuntu", "unknown system", "read-only home", "read-only etc", "full disk"),
    ],
)
def test_a_host_of_a_wrong_kind_is_told_so(host: AgentHost, change: tuple[str, str], words: str) -> None:
    """One line on standard error has it all, as root and as a user with sudo."""
    do, undo = change
    before = host.run(_CLEAN)
    for user in ("root", "operator"):
        if user == "operator" and "/root" in do:
            continue
        with changed(host, do=do, undo=undo):
            done = _contact(AgentHost(host.lab, "front1", user))
        assert done.status == 1, done
        assert done.stderr.count("\n") == 1 and done.stderr.startswith("habla: front1: "), done
        assert done.stderr.rstrip().endswith(words), done
    assert host.run(_CLEAN) == before


def test_a_user_without_sudo_or_home_is_told_so(host: AgentHost) -> None:
    """The line has the user, the need and the fix."""
    operator = AgentHost(host.lab, "front1", "operator")
    do, undo = _away("/etc/sudoers.d")
    with changed(host, do=do, undo=undo):
        done = _contact(operator)
    assert done.status == 1
    assert done.stderr == (
        "habla: front1: operator may not use sudo without a password (sudo: a password is required), and "
        "habla needs root: add 'operator ALL=(ALL) NOPASSWD: ALL' to /etc/sudoers.d, or log in as root\n"
    )
    # Debian 13 makes home directories for their owners alone, and sshd reads its keys there.
    do, undo = "chmod 755 /home/operator && chown root /home/operator", "chown operator /home/operator"
    with changed(host, do=do, undo=undo):
        done = _contact(operator)
    assert done.status == 1
    assert done.stderr == (
        "habla: front1: operator may not write to the home directory /home/operator, and habla sends its "
        "agent there: mount it read-write, or give it to operator\n"
    )


def test_a_login_shell_that_runs_nothing_is_explained_by_the_command(host: AgentHost) -> None:
    """The host says that the account is not available; the command, which errors show, has the rest."""
    with changed(host, do="usermod -s /usr/sbin/nologin operator", undo="usermod -s /bin/bash operator"):
        done = _contact(AgentHost(host.lab, "front1", "operator"))
    assert done.status == 1 and "This account is currently not available." in done.stdout, done
    fix = "habla on front1 needs a login shell that runs commands: usermod -s /bin/bash operator"
    assert fix in contact_command("front1", "operator")


def test_the_habla_command_says_the_same_of_a_user(lab: Lab, host: AgentHost) -> None:
    """Its own ssh shows the words of a login shell without commands, and explains a refusal of sudo."""
    made = lab.hosts["front1"]
    ssh = {"address": "127.0.0.1", "port": made["port"], "host_key": made["host_key"], "user": "operator"}
    settings = load_settings("test", {"hosts": {"front1": {"role": "web", "ssh": ssh}}})
    plan = make_plan(settings, {}, read_archive=ArchiveFiles(lab.directory).archive)
    with shells(lab.directory, plan, identity=lab.directory / "keys/id_ed25519") as reached:
        assert reached.run("front1", "id -u") == "0\n"
        for (do, undo), words in (
            (_away("/etc/sudoers.d"), "front1: operator may not use sudo without a password: a password is "),
            (
                ("usermod -s /usr/sbin/nologin operator", "usermod -s /bin/bash operator"),
                "front1: This account is currently not available.",
            ),
        ):
            with changed(host, do=do, undo=undo), pytest.raises(UnreachableError) as caught:
                reached.run("front1", "id -u")
            assert str(caught.value).startswith(words), caught.value


def _network(interface: str, directory: Path) -> HostState:
    """The network of a host whose settings name an interface."""
    raw = {"hosts": {"front1": {"role": "web"}}, "lab": {}, "network": {"interface": interface}}
    plan: FleetPlan = make_plan(load_settings("test", raw), {}, read_archive=ArchiveFiles(directory).archive)
    return network_state(plan.hosts["front1"].site, ("beanstalkd",))


def test_an_interface_that_is_not_there_is_told_before_any_change(lab: Lab, host: AgentHost) -> None:
    """No package is installed and no file written, and the line names the interfaces that are there."""
    host.install()
    done = host.apply(_network("eth7", lab.directory))
    assert done.status == 1
    assert done.stderr.startswith(
        "habla: front1: step begin: interface: this host has no network interface eth7, only "
    )
    assert "internal0" in done.stderr
    assert (
        ", and habla needs one in the internal network: attach it, or set network.interface to the name of "
        "the right one\nnothing was changed" in done.stderr
    ), done
    assert host.run("dpkg -s beanstalkd 2>&1 | grep -c '^Status: install ok'; true") == "0"
    assert host.run("ls /etc/systemd/network/*eth7* /var/lib/habla/journal.json 2>/dev/null; true") == ""
    assert host.agent("uninstall").status == 0
