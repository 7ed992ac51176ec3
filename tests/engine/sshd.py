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
    address: str = "127.0.0.1"

    def sessions(self) -> int:
        """How many connections the server serves now: one child process each."""
        children = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text()
        return len(children.split())


def _key(path: Path) -> str:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", str(path)], check=True)
    return path.with_suffix(".pub").read_text().strip()


def free_port(address: str = "127.0.0.1") -> int:
    """A port of a loopback address that nobody listened on a moment ago."""
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET) as probe:
        probe.bind((address, 0))
        port: int = probe.getsockname()[1]
        return port


@contextlib.contextmanager
def running_sshd(
    directory: Path, accept_env: str = "", *, address: str = "127.0.0.1", password: str = ""
) -> Iterator[Sshd]:
    """A server on loopback that ends, by its process id, when the block does. It logs to `directory`/log.

    password: root's, for this server alone, which then runs in a mount namespace with its own /etc/shadow.
    """
    host_key = _key(directory / "host_key")
    client_key = _key(directory / "client_key")
    authorized = directory / "authorized_keys"
    authorized.write_text(client_key + "\n")
    port = free_port(address)
    configuration = directory / "sshd_config"
    configuration.write_text(
        f"ListenAddress {address}\nPort {port}\nHostKey {directory / 'host_key'}\n"
        f"AuthorizedKeysFile {authorized}\nStrictModes no\nUsePAM no\n"
        f"PasswordAuthentication {'yes' if password else 'no'}\n"
        f"PermitRootLogin {'yes' if password else 'prohibit-password'}\n"
        "MaxStartups 200\nPidFile none\nSubsystem sftp internal-sftp\n"
        + (f"AcceptEnv {accept_env}\n" if accept_env else "")
    )
    # The privilege separation directory that Debian's service makes at its start.
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    with (directory / "log").open("wb") as log:
        process = subprocess.Popen(
            [*_alone(directory, password), SSHD, "-D", "-e", "-f", str(configuration)],
            stderr=log,
            stdin=subprocess.DEVNULL,
        )
    try:
        _wait_for((address, port), process, log=directory / "log")
        user = os.environ.get("USER") or subprocess.check_output(["id", "-un"], text=True).strip()
        private_key = (directory / "client_key").read_text()
        yield Sshd(port, user, private_key, host_key, process.pid, address)
    finally:
        process.terminate()
        try:
            process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _alone(directory: Path, password: str) -> list[str]:
    """The beginning of a command line, for a program that sees this password of root."""
    if not password:
        return []
    crypted = subprocess.check_output(["openssl", "passwd", "-6", password], text=True).strip()
    shadow = directory / "shadow"
    shadow.write_text(f"root:{crypted}:20000:0:99999:7:::\nsshd:!:20000::::::\n")
    shadow.chmod(0o600)
    return ["unshare", "--mount", "sh", "-c", f'mount --bind {shadow} /etc/shadow && exec "$@"', "sh"]


def _wait_for(place: tuple[str, int], process: subprocess.Popen[bytes], *, log: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        with contextlib.suppress(OSError), socket.create_connection(place, timeout=1):
            return
        time.sleep(0.02)
    raise RuntimeError(f"sshd does not listen on {place}: {log.read_text()}")


@contextlib.contextmanager
def running_agent(directory: Path, *private_keys: str) -> Iterator[str]:
    """The socket of an SSH agent with these keys. It ends, by its process id, when the block does."""
    path = str(directory / "agent")
    environment = {**os.environ, "SSH_AUTH_SOCK": path}
    process = subprocess.Popen(["ssh-agent", "-D", "-a", path], stdout=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + _START_SECONDS
        while not _listens(path) and time.monotonic() < deadline:
            time.sleep(0.02)
        for key in private_keys:
            subprocess.run(
                ["ssh-add", "-q", "-"], input=key.encode(), env=environment, check=True, capture_output=True
            )
        yield path
    finally:
        process.terminate()
        process.wait()


def _listens(path: str) -> bool:
    """Whether a socket accepts connections: its file is there a moment earlier."""
    with socket.socket(socket.AF_UNIX) as connection:
        return connection.connect_ex(path) == 0


def encrypted(private_key: str, passphrase: str, *, directory: Path) -> str:
    """The same private key, encrypted."""
    path = directory / "encrypted"
    path.write_text(private_key)
    path.chmod(0o600)
    subprocess.run(["ssh-keygen", "-q", "-p", "-P", "", "-N", passphrase, "-f", str(path)], check=True)
    return path.read_text()
