"""``habla init`` writes a stack that is valid at once."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from pathlib import Path

import asyncssh
import pytest
from habla_command import habla, on_terminal, project

from habla.plan.stack_files import load_plan


@pytest.fixture
def empty(tmp_path: Path) -> Path:
    """A project without any stack."""
    return project(tmp_path / "project")


@pytest.fixture(scope="module")
def machine() -> Iterator[tuple[int, str]]:
    """The port of an SSH server on the loopback address, and its public host key."""
    key = asyncssh.generate_private_key("ssh-ed25519")
    loop = asyncio.new_event_loop()
    server = loop.run_until_complete(asyncssh.listen("127.0.0.1", 0, server_host_keys=[key]))
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield server.get_port(), " ".join(key.export_public_key().decode().split()[:2])
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        server.close()
        loop.run_until_complete(server.wait_closed())
        loop.close()


def test_without_options_it_is_a_fleet_that_the_lab_makes(empty: Path) -> None:
    """Five hosts, without faults or missing sections; the next commands are printed."""
    done = habla("init", "trial", cwd=empty)
    assert (done.returncode, done.stderr) == (0, "")
    plan = load_plan(empty, "trial")
    assert {name: host.role.name for name, host in plan.hosts.items()} == {
        "front1": "front",
        "stable1": "stable",
        "stable2": "stable",
        "web1": "web",
        "monitor1": "monitor",
    }
    assert plan.settings.domain == "trial.example.net"
    assert "pulumi stack init trial" in done.stdout and "habla init trial" in done.stdout
    assert habla("render", "-s", "trial", cwd=empty).returncode == 0


def test_hosts_and_domain_come_from_options(empty: Path) -> None:
    """The second front host runs no second MySQL, and the notes of the file say why."""
    hosts = ("f1=front", "f2=front", "s1=stable", "w1=web")
    words = [word for host in hosts for word in ("--host", host)]
    done = habla("init", "two", "--domain", "example.org", *words, cwd=empty)
    assert done.returncode == 0, done.stderr
    plan = load_plan(empty, "two")
    assert [service.name for service in plan.hosts["f2"].services] == ["haproxy"]
    assert plan.settings.domain == "example.org"


def test_the_host_key_of_a_machine_is_read_and_shown(empty: Path, machine: tuple[int, str]) -> None:
    """It is pinned in the stack, and its fingerprint is there to be compared."""
    port, key = machine
    done = habla("init", "real", "--host", f"m1=monitor@deploy@127.0.0.1:{port}", cwd=empty)
    assert done.returncode == 0, done.stderr
    ssh = load_plan(empty, "real").settings.hosts["m1"].ssh
    assert ssh is not None and (ssh.port, ssh.user, ssh.host_key) == (port, "deploy", key)
    assert "m1: 256 SHA256:" in done.stdout and "ssh-keygen -lf" in done.stdout


def test_all_that_is_wrong_is_said_at_once_and_nothing_is_written(empty: Path) -> None:
    """An unknown role, a host that cannot be read, no address, a machine that does not answer."""
    wrong = ("a=frnt", "no role", "b=web@1.2.3", "c=web@127.0.0.1:1")
    words = [word for host in wrong for word in ("--host", host)]
    done = habla("init", "bad", *words, cwd=empty)
    assert done.returncode == 2 and "4 faults" in done.stderr
    for part in ("did you mean front?", "NAME=ROLE@ADDRESS", "not an address (1.2.3)", "no host key"):
        assert part in done.stderr
    assert not (empty / "stacks" / "Pulumi.bad.yaml").exists()
    assert habla("init", "../x", cwd=empty).returncode == 2


def test_a_file_that_would_not_be_valid_is_taken_back(empty: Path) -> None:
    """The faults are those of the stack."""
    done = habla("init", "bad", "--domain", "no domain", cwd=empty)
    assert done.returncode == 2 and "domain" in done.stderr
    assert not (empty / "stacks" / "Pulumi.bad.yaml").exists()


def test_a_stack_that_is_there_is_not_changed(empty: Path) -> None:
    """Options for a new one are refused; without them it says what is left to do."""
    assert habla("init", "trial", cwd=empty).returncode == 0
    path = empty / "stacks" / "Pulumi.trial.yaml"
    path.write_text(path.read_text() + "# mine\n")
    refused = habla("init", "trial", "--domain", "example.org", cwd=empty)
    assert refused.returncode == 2 and "the stack is there" in refused.stderr
    again = habla("init", "trial", "--json", cwd=empty)
    assert again.returncode == 0 and json.loads(again.stdout)["created"] is False
    assert path.read_text().endswith("# mine\n")


def test_on_a_terminal_it_asks(empty: Path) -> None:
    """Without options; an empty line ends the list of hosts."""
    shown = on_terminal(
        "init",
        "asked",
        columns=80,
        cwd=empty,
        typed="example.com\nfront1=front\nweb1=web\nstable1=stable\n\n",
    )
    plan = load_plan(empty, "asked")
    assert plan.settings.domain == "example.com" and set(plan.hosts) == {"front1", "web1", "stable1"}
    assert any("wrote" in line for line in shown)
