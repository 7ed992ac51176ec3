"""A real OpenSSH server on loopback, with keys, port and configuration of its own."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

SSHD = "/usr/sbin/sshd"

_START_SECONDS = 10.0


@dataclass(frozen=True)
class Sshd:
    """A running server: what a client needs to reach it."""

    port: int
    user: str
    private_key: str
    """OpenSSH PEM of the one key that may log in."""
    host_key: str
    """The server's public key, as in an authorized_keys file."""
    pid: int

    def sessions(self) -> int:
        """How many connections the server serves now: one child process each."""
        children = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text()
        return len(children.split())


def _key(path: Path) -> str:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", str(path)], check=True)
    return path.with_suffix(".pub").read_text().strip()


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listened on a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextlib.contextmanager
def running_sshd(directory: Path, accept_env: str = "") -> Iterator[Sshd]:
    """A server on 127.0.0.1 that ends, by its process id, when the block does. It logs to `directory`/log."""
    host_key = _key(directory / "host_key")
    client_key = _key(directory / "client_key")
    authorized = directory / "authorized_keys"
    authorized.write_text(client_key + "\n")
    port = free_port()
    configuration = directory / "sshd_config"
    configuration.write_text(
        f"ListenAddress 127.0.0.1\nPort {port}\nHostKey {directory / 'host_key'}\n"
        f"AuthorizedKeysFile {authorized}\nStrictModes no\nUsePAM no\nPasswordAuthentication no\n"
        "PermitRootLogin prohibit-password\nMaxStartups 200\nPidFile none\nSubsystem sftp internal-sftp\n"
        + (f"AcceptEnv {accept_env}\n" if accept_env else "")
    )
    # The privilege separation directory that Debian's service makes at its start.
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    with (directory / "log").open("wb") as log:
        process = subprocess.Popen(
            [SSHD, "-D", "-e", "-f", str(configuration)], stderr=log, stdin=subprocess.DEVNULL
        )
    try:
        _wait_for(port, process, directory / "log")
        user = os.environ.get("USER") or subprocess.check_output(["id", "-un"], text=True).strip()
        private_key = (directory / "client_key").read_text()
        yield Sshd(port, user, private_key, host_key, process.pid)
    finally:
        process.terminate()
        try:
            process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_for(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.02)
    raise RuntimeError(f"sshd does not listen on port {port}: {log.read_text()}")
