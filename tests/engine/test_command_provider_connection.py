"""How the Command plugin connects: dialling, retries, host keys, agents, bastions, variables."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from sshd import Sshd, free_port, running_sshd
from throwaway import SECRET, Stack
from throwaway import remote_command as _command

pytestmark = pytest.mark.engine


def _at(server: Sshd) -> str:
    """The connection to a server other than the session's."""
    keys = f"host_key={server.host_key!r}, private_key={server.private_key!r}"
    return f"connection(port={server.port}.0, {keys})"


def test_connection_edit_reruns(remote_stack: Stack) -> None:
    """A changed field of the connection runs `update`, unless the resource ignores that field."""
    steps = "create='echo created', update='echo updated'"
    ignoring = f"{steps}, opts=pulumi.ResourceOptions(ignore_changes=['connection.dialErrorLimit'])"
    remote_stack.up(_command(ignoring))
    remote_stack.up(_command(ignoring, "connection(dial_error_limit=3)"))
    assert remote_stack.output("c", "stdout") == "created"
    remote_stack.up(_command(steps, "connection(dial_error_limit=3)"))
    assert remote_stack.output("c", "stdout") == "updated"


def test_operations_run_in_parallel(remote_stack: Stack, sshd: Sshd, tmp_path: Path) -> None:
    """Commands that each wait until all have started come to an end, and no connection stays behind."""
    (tmp_path / "started").mkdir()
    wait = tmp_path / "wait"
    wait.write_text(f"until [ $(ls {tmp_path}/started | wc -l) = 4 ]; do sleep 0.05; done\n")
    create = f"touch {tmp_path}/started/$$; timeout 30 sh {wait}"
    result = remote_stack.up(
        "".join(_command(f"create='{create}'", name=f"c{number}") for number in range(4))
    )
    assert result.ok, result.output
    deadline = time.monotonic() + 5
    while sshd.sessions() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert sshd.sessions() == 0


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ("port={port}.0", "refused"),
        (
            "host_key='ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIB9dG4kjRhQTtWTVzd2t27+t0DEHBPW7iOD23TUiYLio'",
            "host key",
        ),
        ("private_key=None, password='wrong'", "authenticate"),
    ],
    ids=["refused port", "wrong host key", "refused login"],
)
def test_every_dial_error_is_retried(remote_stack: Stack, change: str, reason: str) -> None:
    """Every dial error is retried as often as dialErrorLimit says, and the error then names the reason."""
    options = change.format(port=free_port()) + ", dial_error_limit=2"
    result = remote_stack.up(_command("create='true'", f"connection({options})"))
    assert not result.ok
    assert "Dial 2/2 failed: retrying" in result.output
    assert "after 2 failed attempts" in result.output
    assert reason in result.output


def test_no_host_key_no_verification(remote_stack: Stack) -> None:
    """Without a host key any server is accepted."""
    assert remote_stack.up(_command("create='true'", "connection(host_key=None)")).ok


def test_timeout_bounds_dialling(remote_stack: Stack) -> None:
    """A custom timeout ends the dialling of a host that does not answer."""
    options = "opts=pulumi.ResourceOptions(custom_timeouts=pulumi.CustomTimeouts(create='2s'))"
    dead = f"connection(port={free_port()}.0, dial_error_limit=-1)"
    started = time.monotonic()
    assert not remote_stack.up(_command(f"create='true', {options}", dead)).ok
    assert time.monotonic() - started < 30


def test_timeout_does_not_bound_the_command(remote_stack: Stack) -> None:
    """A custom timeout does not end a command that runs."""
    options = "opts=pulumi.ResourceOptions(custom_timeouts=pulumi.CustomTimeouts(create='1s'))"
    assert remote_stack.up(_command(f"create='sleep 3; echo done', {options}")).ok
    assert remote_stack.output("c", "stdout") == "done"


def test_environment_needs_consent(remote_stack: Stack) -> None:
    """A variable that the server accepts is set; one that it does not accept fails the command."""
    assert remote_stack.up(_command("create='echo $HABLA_X', environment={'HABLA_X': '1'}")).ok
    assert remote_stack.output("c", "stdout") == "1"
    refused = remote_stack.up(_command("create='echo $OTHER', environment={'OTHER': '1'}"))
    assert not refused.ok
    assert 'could not set environment variable "OTHER"' in refused.output


def test_refused_previous_output_is_no_error(tmp_path: Path, remote_stack: Stack) -> None:
    """A server that accepts no variables still runs an update, with a warning."""
    (tmp_path / "strict").mkdir()
    with running_sshd(tmp_path / "strict") as strict:
        place = _at(strict)
        remote_stack.up(_command("create='echo first'", place))
        result = remote_stack.up(_command("create='echo second'", place))
    assert result.ok, result.output
    assert "Unable to set 'PULUMI_COMMAND_STDOUT'" in result.output


def test_connection_is_secret(remote_stack: Stack, sshd: Sshd) -> None:
    """The connection is always secret in the state; stdin and stdout are not."""
    remote_stack.up(_command("create='cat', stdin='open'"))
    state = remote_stack.state("c")
    assert state is not None
    assert SECRET in state["inputs"]["connection"]
    assert SECRET in state["outputs"]["connection"]
    assert (state["outputs"]["stdin"], state["outputs"]["stdout"]) == ("open", "open")
    stored = "".join(path.read_text() for path in remote_stack.directory.rglob("state/**/*.json"))
    assert sshd.private_key.splitlines()[1] not in stored


def test_stale_agent_socket_fails(remote_stack: Stack, tmp_path: Path) -> None:
    """An agent socket that nobody listens on fails the operation, though there is a private key."""
    remote_stack.environment["SSH_AUTH_SOCK"] = str(tmp_path / "gone")
    result = remote_stack.up(_command("create='true'"))
    assert not result.ok
    assert f"dial unix {tmp_path}/gone" in result.output


def test_unreachable_host_fails_the_destroy(remote_stack: Stack, tmp_path: Path) -> None:
    """Deleting on a host that is gone is an error, and the resource stays in the state."""
    (tmp_path / "gone").mkdir()
    with running_sshd(tmp_path / "gone") as gone:
        place = _at(gone)
        assert remote_stack.up(_command("create='true', delete='true'", place)).ok
    assert not remote_stack.destroy().ok
    assert remote_stack.state("c") is not None


def test_proxy(remote_stack: Stack, sshd: Sshd) -> None:
    """A host is reached through a bastion host, which has a login of its own."""
    bastion = {
        "host": "127.0.0.1",
        "port": float(sshd.port),
        "user": sshd.user,
        "private_key": sshd.private_key,
        "host_key": sshd.host_key,
    }
    result = remote_stack.up(
        _command("create='echo via'", f"connection(proxy=remote.ProxyConnectionArgs(**{bastion!r}))")
    )
    assert result.ok, result.output
    assert remote_stack.output("c", "stdout") == "via"
