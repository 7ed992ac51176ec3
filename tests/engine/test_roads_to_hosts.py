"""Every way to a host through the engine: keys, SSH agents, bastions, IPv6, host keys that do not fit."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from sshd import Sshd, encrypted, running_agent, running_sshd
from throwaway import Stack, is_stand_in
from throwaway import remote_command as _command

pytestmark = pytest.mark.engine


@pytest.fixture
def other_key(tmp_path: Path) -> str:
    """The private key of a person who may not log in."""
    path = tmp_path / "other"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(path)], check=True)
    return path.read_text()


@pytest.fixture
def sshd6(tmp_path: Path) -> Iterator[Sshd]:
    """A server on the IPv6 loopback address."""
    directory = tmp_path / "six"
    directory.mkdir()
    with running_sshd(directory, address="::1") as server:
        yield server


def _reached(stack: Stack, connection: str) -> None:
    result = stack.up(_command("create='echo reached'", connection))
    assert result.ok, result.output
    assert stack.output("c", "stdout") == "reached"


def _refused(stack: Stack, connection: str) -> str:
    result = stack.up(_command("create='echo reached'", connection))
    assert not result.ok
    return result.output


def _place(server: Sshd) -> str:
    return (
        f"host={server.address!r}, port={server.port}.0, user={server.user!r}, host_key={server.host_key!r}"
    )


def test_encrypted_key(remote_stack: Stack, sshd: Sshd, tmp_path: Path) -> None:
    """An encrypted private key opens with its passphrase, and not with another one."""
    key = encrypted(sshd.private_key, "open sesame", directory=tmp_path)
    words = _refused(remote_stack, f"connection(private_key={key!r}, private_key_password='wrong')")
    assert "pass" in words.partition("privateKey")[0]
    _reached(remote_stack, f"connection(private_key={key!r}, private_key_password='open sesame')")


@pytest.mark.parametrize("named", [True, False], ids=["agent_socket_path", "SSH_AUTH_SOCK"])
def test_agent(remote_stack: Stack, sshd: Sshd, tmp_path: Path, other_key: str, named: bool) -> None:
    """A key in an SSH agent opens a host without a private key, also when it is not the agent's first."""
    with running_agent(tmp_path, other_key, sshd.private_key) as socket:
        if not named:
            remote_stack.environment["SSH_AUTH_SOCK"] = socket
        where = f", agent_socket_path={socket!r}" if named else ""
        _reached(remote_stack, f"connection(private_key=None{where})")


def test_agent_and_files_at_home(remote_stack: Stack, sshd: Sshd, tmp_path: Path, other_key: str) -> None:
    """The keys in ~/.ssh have no effect, and an agent without the right key opens nothing."""
    home = tmp_path / "home"
    (home / ".ssh").mkdir(parents=True)
    (home / ".ssh" / "id_ed25519").write_text(sshd.private_key)
    (home / ".ssh" / "id_ed25519").chmod(0o600)
    remote_stack.environment["HOME"] = str(home)
    (tmp_path / "empty").mkdir()
    (tmp_path / "one").mkdir()
    with running_agent(tmp_path / "empty") as empty, running_agent(tmp_path / "one", other_key) as one:
        for socket in (empty, one):
            words = _refused(remote_stack, f"connection(private_key=None, agent_socket_path={socket!r})")
            assert "ssh: unable to authenticate" in words


@pytest.mark.skipif(os.geteuid() != 0, reason="a password of its own needs a mount namespace")
def test_password(remote_stack: Stack, tmp_path: Path) -> None:
    """A password opens a server that allows passwords, and a wrong one does not."""
    (tmp_path / "password").mkdir()
    with running_sshd(tmp_path / "password", password="open sesame") as server:
        place = f"{_place(server)}, private_key=None"
        _reached(remote_stack, f"connection({place}, password='open sesame')")
        words = _refused(remote_stack, f"connection({place}, password='wrong')")
        # The official plugin trips over the answer of OpenSSH to its second way of sending a password.
        assert "ssh: unable to authenticate" in words or not is_stand_in(), words


def test_key_goes_before_agent(remote_stack: Stack, sshd: Sshd, tmp_path: Path) -> None:
    """An agent with more keys than a server tries does no harm, because the private key comes first."""
    keys = []
    for number in range(7):
        path = tmp_path / f"key{number}"
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(path)], check=True)
        keys.append(path.read_text())
    with running_agent(tmp_path, *keys) as socket:
        _reached(remote_stack, f"connection(agent_socket_path={socket!r})")


def test_ipv6(remote_stack: Stack, sshd6: Sshd) -> None:
    """A host may have an IPv6 address, and an error shows the address in brackets before the port."""
    key = f"private_key={sshd6.private_key!r}"
    _reached(remote_stack, f"connection({_place(sshd6)}, {key})")
    words = _refused(remote_stack, f"connection(host='::1', port={sshd6.port}.0, private_key=None)")
    if is_stand_in():
        assert f"[::1]:{sshd6.port}: ssh" in words
    dead = f"connection({_place(sshd6)}, {key})".replace(f"port={sshd6.port}.0", "port=1.0")
    assert "dial tcp [::1]:1: connect: connection refused" in _refused(remote_stack, dead)


def test_bastion_by_agent_and_ipv6(remote_stack: Stack, sshd: Sshd, sshd6: Sshd, tmp_path: Path) -> None:
    """A bastion with an IPv6 address of its own leads to a host, and the agent opens both."""
    with running_agent(tmp_path, sshd.private_key, sshd6.private_key) as socket:
        agent = f"agent_socket_path={socket!r}"
        for first, second in ((sshd6, sshd), (sshd, sshd6)):
            proxy = f"proxy=remote.ProxyConnectionArgs({_place(first)}, {agent})"
            _reached(remote_stack, f"connection({_place(second)}, private_key=None, {agent}, {proxy})")


def test_bastion_with_another_host_key(remote_stack: Stack, sshd: Sshd, sshd6: Sshd) -> None:
    """A bastion whose host key has changed is an error that speaks of the proxy."""
    place = _place(sshd6).replace(sshd6.host_key, sshd.host_key)
    proxy = f"proxy=remote.ProxyConnectionArgs({place}, dial_error_limit=1)"
    words = _refused(remote_stack, f"connection({proxy})")
    assert "proxy: after 1 failed attempts" in words and "ssh: host key mismatch" in words


def test_host_key_of_another_kind(remote_stack: Stack, tmp_path: Path) -> None:
    """A server that has no host key of the pinned kind is not accepted."""
    path = tmp_path / "ecdsa"
    subprocess.run(["ssh-keygen", "-q", "-t", "ecdsa", "-N", "", "-C", "", "-f", str(path)], check=True)
    key = path.with_suffix(".pub").read_text().strip()
    assert "host key" in _refused(remote_stack, f"connection(host_key={key!r})")


def test_command_that_ends_before_it_reads_its_input(remote_stack: Stack) -> None:
    """The exit status and the words of the command are the error, however much input is left."""
    result = remote_stack.up(_command("create='echo not today >&2; exit 3', stdin='x' * 3_000_000"))
    assert not result.ok
    assert "Process exited with status 3" in result.output and "not today" in result.output
