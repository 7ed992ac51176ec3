"""The habla command's own ssh at a real server: every way to a host, and the words when it is closed."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sshd import Sshd, encrypted, free_port, running_agent, running_sshd

from habla.cli.ssh import Shells, UnreachableError, shells
from habla.plan import make_plan
from habla.plan.archive_files import ArchiveFiles
from habla.settings.loading import load_settings

OTHER = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIB9dG4kjRhQTtWTVzd2t27+t0DEHBPW7iOD23TUiYLio"


@pytest.fixture
def sshd6(tmp_path: Path) -> Iterator[Sshd]:
    """A server on the IPv6 loopback address."""
    (tmp_path / "six").mkdir()
    with running_sshd(tmp_path / "six", address="::1") as server:
        yield server


@pytest.fixture
def identity(sshd: Sshd, tmp_path: Path) -> Path:
    """The file of the private key that the session's server accepts."""
    return _file(sshd.private_key, tmp_path / "identity")


@pytest.fixture(autouse=True)
def no_agent(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only a test's own agent has a part in it."""
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)


def _file(key: str, path: Path) -> Path:
    path.write_text(key)
    path.chmod(0o600)
    return path


def _ssh(server: Sshd, **changes: Any) -> dict[str, Any]:
    found = {"address": server.address, "port": server.port, "user": server.user, "host_key": server.host_key}
    return {**found, **changes}


@contextmanager
def _shells(directory: Path, ssh: dict[str, Any], *, identity: Path | None) -> Iterator[Shells]:
    settings = load_settings("test", {"hosts": {"web1": {"role": "web", "ssh": ssh}}})
    plan = make_plan(settings, {}, read_archive=ArchiveFiles(directory).archive)
    with shells(directory, plan, identity=identity) as reached:
        yield reached


def _says(directory: Path, ssh: dict[str, Any], *, identity: Path | None) -> str:
    with _shells(directory, ssh, identity=identity) as reached, pytest.raises(UnreachableError) as caught:
        reached.run("web1", "echo reached")
    return str(caught.value)


def test_every_open_way(sshd: Sshd, sshd6: Sshd, identity: Path, tmp_path: Path) -> None:
    """A key, IPv6, and a bastion of either kind lead to the host."""
    _file(sshd6.private_key, tmp_path / "identity6")
    with running_agent(tmp_path, sshd.private_key, sshd6.private_key) as socket:
        ways = [
            (_ssh(sshd), identity),
            (_ssh(sshd6), tmp_path / "identity6"),
            (_ssh(sshd), None),
            (_ssh(sshd6, bastion=_ssh(sshd)), None),
            (_ssh(sshd, bastion=_ssh(sshd6)), None),
        ]
        for ssh, key in ways:
            with pytest.MonkeyPatch.context() as patch, _shells(tmp_path, ssh, identity=key) as reached:
                if key is None:
                    patch.setenv("SSH_AUTH_SOCK", socket)
                assert reached.run("web1", "echo reached") == "reached\n", ssh


def test_closed_ways_are_explained(sshd: Sshd, sshd6: Sshd, identity: Path, tmp_path: Path) -> None:
    """Each error has the host, the fact and, where it is not plain, the fix."""
    place = f"{sshd.user}@127.0.0.1 port {sshd.port}"
    (tmp_path / "locked").mkdir()
    locked = _file(
        encrypted(sshd.private_key, "secret", directory=tmp_path / "locked"), tmp_path / "locked/key"
    )
    login = f"web1: ssh cannot log in as {place}: {sshd.user}@127.0.0.1: Permission denied (publickey"
    words = _says(tmp_path, _ssh(sshd), identity=locked)
    assert words.startswith(login) and words.endswith(
        "): add the key to your SSH agent with ssh-add, or name its file with --identity"
    )
    changed = (
        "web1: the host shows another host key than the settings have: if you have made the machine anew"
    )
    assert _says(tmp_path, _ssh(sshd, host_key=OTHER), identity=identity).startswith(changed)
    bastion = _ssh(sshd, bastion=_ssh(sshd6, host_key=OTHER))
    changed = "web1: the host or its bastion shows another host key than the settings have"
    assert _says(tmp_path, bastion, identity=identity).startswith(changed)
    path = tmp_path / "ecdsa"
    subprocess.run(["ssh-keygen", "-q", "-t", "ecdsa", "-N", "", "-C", "", "-f", str(path)], check=True)
    kind = _ssh(sshd, host_key=path.with_suffix(".pub").read_text().strip())
    assert "shows another host key" in _says(tmp_path, kind, identity=identity)
    closed = free_port()
    words = _says(tmp_path, _ssh(sshd, port=closed), identity=identity)
    assert words.startswith(f"web1: ssh cannot reach {sshd.user}@127.0.0.1 port {closed}: ")
    assert "Connection refused" in words


def test_a_command_that_fails_is_no_fault_of_ssh(sshd: Sshd, identity: Path, tmp_path: Path) -> None:
    """The last words of the command are the reason, also when they are on standard output."""
    with _shells(tmp_path, _ssh(sshd), identity=identity) as reached:
        for command, words in (
            ("echo no >&2; exit 1", "no"),
            ("echo out; exit 1", "out"),
            ("exit 4", "exit status 4"),
        ):
            with pytest.raises(UnreachableError, match=f"^web1: {words}$"):
                reached.run("web1", command)
