"""Hosts through the real engine and provider: what a failing host says, and what the others do meanwhile."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hosts import Lab

from habla.onhost.document import Action, File, Health, HostState, Unit
from stacks import PULUMI, Up, run_pulumi

pytestmark = [pytest.mark.lab, pytest.mark.engine]

_SECONDS = 180
_PROGRAM = """\
import json
from pathlib import Path
import pulumi
from habla.components.command import agent_command, host_command
from habla.components.host import ExistingHost, Host, HostArgs

given = json.loads(Path("given.json").read_text())
for name, found in given["hosts"].items():
    machine = ExistingHost(
        "127.0.0.1", found["host_key"], port=found["port"], user=found["user"],
        private_key=found["private_key"], agent_socket=found.get("agent_socket"),
    )
    secrets = {name: pulumi.Output.secret(value) for name, value in found["secrets"].items()}
    host = Host(name, HostArgs(machine, secrets=secrets, unreachable=found["unreachable"]))
    host_command(
        f"{name}-state", host.connection, create=found.get("command") or agent_command("apply"),
        stdin=found["state"], delete=agent_command("delete", "demo"),
        opts=pulumi.ResourceOptions(parent=host), depends_on=[host.ready],
    )
"""


@dataclass
class Program:
    """A program with hosts of its own; ``hosts`` may be changed between runs."""

    directory: Path
    hosts: dict[str, dict[str, Any]] = field(default_factory=dict)

    def add(self, lab: Lab, name: str, **changes: Any) -> None:
        """A host of the lab, with one file."""
        made = lab.hosts[name]
        self.hosts[name] = {
            "port": made["port"],
            "host_key": made["host_key"],
            "user": "root",
            "private_key": (lab.directory / "keys/id_ed25519").read_text(),
            "secrets": {},
            "unreachable": False,
            "state": state(name).canonical(),
            **changes,
        }

    def run(self, *words: str, environment: Mapping[str, str] | None = None) -> Up:
        """``pulumi``, with what ``hosts`` says now."""
        (self.directory / "given.json").write_text(json.dumps({"hosts": self.hosts}))
        return run_pulumi(
            self.directory, [*words, "--stack", "test"], environment=environment, seconds=_SECONDS
        )

    def up(self, **environment: str) -> Up:
        """As ``make up`` does it."""
        return self.run("up", "--yes", "--skip-preview", "--continue-on-error", environment=environment)

    def stored(self) -> str:
        """The whole state, as it is on disk."""
        return (self.directory / "state/.pulumi/stacks/test/test.json").read_text()


def state(name: str, text: str = "x", packages: tuple[str, ...] = ()) -> HostState:
    """A component with one file."""
    return HostState(host=name, component="demo", packages=packages, files={"/etc/small/demo": File(text)})


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """Four hosts."""
    if not PULUMI.exists():
        pytest.skip("no pulumi CLI: make toolchain")
    lab = Lab(tmp_path_factory.mktemp("engine") / "lab")
    try:
        lab.create("haproxy")
        names = ("fine", "full", "gone", "pack")
        lab.together(*({"name": name, "outside_address": None, "forwards": {}} for name in names))
        yield lab
    finally:
        lab.ask("lab-delete")


@pytest.fixture
def program(tmp_path: Path) -> Program:
    """A stack without hosts."""
    (tmp_path / "state").mkdir()
    (tmp_path / "Pulumi.yaml").write_text("name: test\nruntime: python\n")
    (tmp_path / "__main__.py").write_text(_PROGRAM)
    found = Program(tmp_path)
    assert run_pulumi(tmp_path, ["stack", "init", "test"]).ok
    return found


def test_failing_hosts_are_named_and_the_others_finish(lab: Lab, program: Program) -> None:
    """Out of reach, out of disk, without a package: each host fails in words, and the next up goes on."""
    program.add(lab, "fine")
    program.add(lab, "gone")
    program.add(lab, "full", state=state("full", "x" * 200_000).canonical())
    program.add(lab, "pack", state=state("pack", packages=("haproxy", "no-such-package")).canonical())
    lab.ask("host-stop", "gone")
    lab.run("full", "mkdir -p /etc/small && mount -t tmpfs -o size=64k tmpfs /etc/small")
    begun = time.monotonic()
    done = program.up()
    assert not done.ok
    assert time.monotonic() - begun < 90
    words = done.diagnostics
    # Few attempts: the plugin's own ten take most of a minute.
    assert "gone-contact" in words and "after 4 failed attempts" in words, words
    assert "habla: full: step stage: /etc/small/demo" in words and "No space left on device" in words, words
    assert "habla: pack: step packages: " in words and "Unable to locate package no-such-package" in words
    assert "fine" not in words
    assert lab.run("fine", "cat /etc/small/demo") == "x"
    assert lab.run("pack", "ls /etc/small 2>&1; true").endswith("No such file or directory")

    lab.ask("host-start", "gone")
    lab.run("full", "umount /etc/small")
    program.add(lab, "pack", state=state("pack", packages=("haproxy",)).canonical())
    done = program.up()
    assert done.ok, done.output
    assert "fine-state" not in done.output
    for name in ("fine", "full", "gone", "pack"):
        assert lab.run(name, "head -c 1 /etc/small/demo") == "x"
    again = program.up()
    assert again.ok and "created" not in again.output and "updated" not in again.output
    assert program.run("destroy", "--yes", "--skip-preview").ok
    assert lab.run("fine", "find /etc/small /usr/local/lib/habla /var/lib/habla 2>/dev/null; true") == ""


def test_host_that_is_gone_for_good_can_be_forgotten(lab: Lab, program: Program) -> None:
    """Removing an unreachable host fails and says so, unless the host is marked; then it is forgotten."""
    program.add(lab, "fine")
    program.add(lab, "gone")
    assert program.up().ok
    lab.ask("host-stop", "gone")
    try:
        kept = program.hosts.pop("gone")
        done = program.up()
        assert not done.ok and "gone-state" in done.diagnostics, done.output
        program.hosts["gone"] = {**kept, "unreachable": True, "state": state("gone", "new").canonical()}
        assert program.up().ok
        del program.hosts["gone"]
        done = program.up()
        assert done.ok, done.output
        assert "gone-state" not in program.stored()
    finally:
        lab.ask("host-start", "gone")
    assert program.run("destroy", "--yes", "--skip-preview").ok


def test_command_on_a_host_survives_what_is_known_to_break_it(lab: Lab, program: Program) -> None:
    """Long lines, a changed state and a rotated key neither hang, nor replace, nor re-run anything."""
    long = "head -c 300000 /dev/zero | tr '\\0' x; echo"
    program.add(lab, "fine", command=long)
    done = program.up()
    assert done.ok, done.output
    assert "x" * 300_000 in program.stored()
    # The command and its input change: an update, never a replacement.
    program.add(lab, "fine", state=state("fine", "changed").canonical())
    done = program.up()
    assert done.ok and "replaced" not in done.output and "1 updated" in done.output, done.output
    assert lab.run("fine", "cat /etc/small/demo") == "changed"
    # A key in another form is no reason to run anything again.
    program.hosts["fine"]["private_key"] += "\n"
    done = program.up()
    assert done.ok and "updated" not in done.output, done.output
    assert program.run("destroy", "--yes", "--skip-preview").ok


def test_stale_agent_socket_is_explained(lab: Lab, program: Program) -> None:
    """An SSH_AUTH_SOCK that nobody answers breaks every connection; what to do is said."""
    program.add(lab, "pack")
    done = program.up(SSH_AUTH_SOCK="/nonexistent/agent")
    assert not done.ok
    assert "SSH_AUTH_SOCK" in done.diagnostics and "/nonexistent/agent" in done.diagnostics
    assert "unset" in done.diagnostics
    assert program.up().ok
    assert program.run("destroy", "--yes", "--skip-preview").ok


def test_program_that_dies_is_shown_with_its_last_lines(lab: Lab, program: Program) -> None:
    """One error of an up names host, component and unit, and has the end of the traceback."""
    log, unit = "/var/log/dying.log", "/etc/systemd/system/dying.service"
    script = "print('x' * 300000, flush=True); {}['chat/rooms']"
    text = (
        f'[Service]\nExecStart=/usr/bin/python3 -c "{script}"\nStandardOutput=append:{log}\n'
        "Restart=always\nRestartSec=1\n[Install]\nWantedBy=multi-user.target\n"
    )
    check = Health("dying.service", address="127.0.0.1", port=9, deadline=2)
    demo = HostState(
        *("fine", "demo"), files={unit: File(text)}, units={"dying.service": Unit()}, health={"demo": check}
    )
    program.add(lab, "fine", state=demo.canonical())
    done = program.up()
    words = done.diagnostics
    assert not done.ok
    assert "command:remote:Command (fine-state)" in words
    assert "habla: fine: step health: demo of dying.service: not healthy after 2 s" in words
    assert f"its last lines in {log}:" in words and "KeyError: 'chat/rooms'" in words
    assert max(map(len, words.splitlines())) < 1000 and len(words) < 4000, words
    assert words.count("habla: fine: ") == words.count("KeyError: 'chat/rooms'") == 1, words
    assert program.run("destroy", "--yes", "--skip-preview").ok


def test_failing_command_does_not_show_secrets(lab: Lab, program: Program) -> None:
    """Neither the CLI's words nor the state hold a secret, also when a program on the host prints it."""
    poison = "poison-4711"
    demo = HostState(
        "fine",
        "demo",
        files={"/etc/small/key": File("@{secret:the/key}\n", "0600")},
        actions={"show": Action(("sh", "-c", "cat; exit 1"), stdin="/etc/small/key")},
    )
    program.add(lab, "fine", secrets={"the/key": poison}, state=demo.canonical())
    done = program.up()
    assert not done.ok and "step actions: show: [secret]" in done.diagnostics, done.output
    assert poison not in done.output + program.stored()
    shown = program.run("preview", "--diff").output
    assert "the/key" in shown and poison not in shown
    assert poison in lab.run("fine", "cat /etc/habla/secrets.json")
    assert program.run("destroy", "--yes", "--skip-preview").ok
