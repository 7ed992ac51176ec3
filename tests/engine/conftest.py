"""Fixtures of the tests that run the real engine; skipped, with the reason, where it is not installed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sshd import SSHD, Sshd, running_sshd
from throwaway import STAMP, Stack


@pytest.fixture
def stack(tmp_path: Path) -> Stack:
    """An empty stack; programs use `local` of pulumi_command."""
    if not STAMP.exists():
        pytest.skip("no pulumi CLI: make toolchain")
    directory = tmp_path / "project"
    directory.mkdir()
    return Stack(directory)


@pytest.fixture(scope="session")
def sshd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    """A server that accepts the variables that the plugin sets by itself, and those named HABLA_*."""
    if not Path(SSHD).exists():
        pytest.skip(f"no {SSHD}: apt-get install openssh-server")
    with running_sshd(tmp_path_factory.mktemp("sshd"), "PULUMI_COMMAND_* HABLA_*") as server:
        yield server


@pytest.fixture
def remote_stack(tmp_path: Path, sshd: Sshd) -> Stack:
    """An empty stack; its programs have `connection(**changes)`, which leads to the server."""
    if not STAMP.exists():
        pytest.skip("no pulumi CLI: make toolchain")
    directory = tmp_path / "project"
    directory.mkdir()
    base = {
        "host": "127.0.0.1",
        "port": float(sshd.port),
        "user": sshd.user,
        "private_key": sshd.private_key,
        "host_key": sshd.host_key,
        "dial_error_limit": 1,
        "per_dial_timeout": 5,
    }
    return Stack(
        directory, f"def connection(**changes): return remote.ConnectionArgs(**({base!r} | changes))\n"
    )
