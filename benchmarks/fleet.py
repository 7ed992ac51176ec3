"""The hosts that tools are measured on, reached over SSH on loopback.

A host is either an sshd in its own root and process namespace over the lab's base image, or a whole systemd
host of a lab. The first kind uses nothing that other labs may have used up, and is enough for both tools,
because only files are measured. There, SYSTEMD_OFFLINE makes systemctl work without systemd.
"""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import KW_ONLY, dataclass
from pathlib import Path
from typing import Any

from habla.lab.image import ensure_base, image_directory

CLONE = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Fleet:
    """The hosts of a measurement."""

    directory: Path
    hosts: dict[str, dict[str, Any]]
    """Name -> the output of ``host-create``."""
    _: KW_ONLY
    key: Path
    """The file of the private key that may log in."""
    known: Path
    """The known_hosts file with the hosts' keys."""

    def everywhere(self, command: str, stdin: str = "") -> None:
        """Run a shell command on all hosts at once. Raises RuntimeError with the output of one that fails."""
        with ThreadPoolExecutor(len(self.hosts)) as pool:
            list(pool.map(lambda name: self._ssh(name, command, stdin=stdin), self.hosts))

    def _ssh(self, name: str, command: str, *, stdin: str) -> None:
        options = ("BatchMode=yes", "IdentitiesOnly=yes", f"UserKnownHostsFile={self.known}")
        line = ["ssh", "-q", "-F", "/dev/null", "-i", str(self.key), "-p", str(self.hosts[name]["port"])]
        line += [f"-o{option}" for option in options]
        done = subprocess.run(
            [*line, "root@127.0.0.1", command],
            input=stdin,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"{name}: {command}: {done.stdout}{done.stderr}")


def _lab(directory: Path, verb: str, *, document: object = None) -> Any:
    done = subprocess.run(
        [sys.executable, "-m", "habla.lab", verb, "--dir", str(directory / "lab")],
        input=json.dumps(document or {}),
        capture_output=True,
        text=True,
        cwd=CLONE,
        timeout=600,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(done.stderr)
    return json.loads(done.stdout) if done.stdout else None


@contextlib.contextmanager
def lab_fleet(directory: Path, count: int) -> Iterator[Fleet]:
    """That many systemd hosts of a lab, which is removed after the block."""
    try:
        lab = _lab(directory, "lab-create", document={"packages": []})
        with ThreadPoolExecutor(4) as pool:
            made = list(
                pool.map(
                    lambda name: _lab(directory, "host-create", document={"name": name, "forwards": {}}),
                    _names(count),
                )
            )
        yield _fleet(directory, {host["name"]: host for host in made}, key=Path(lab["private_key_file"]))
    finally:
        _lab(directory, "lab-delete")


@contextlib.contextmanager
def sshd_fleet(directory: Path, count: int) -> Iterator[Fleet]:
    """That many sshd processes, which end after the block."""
    image = image_directory(ensure_base())
    public = _key(directory / "id_ed25519")
    processes: list[subprocess.Popen[bytes]] = []
    hosts = {}
    try:
        for name in _names(count):
            home = directory / name
            port = _free_port()
            hosts[name] = {"name": name, "port": port, "host_key": _prepare(home, port, public=public)}
            script = _START.format(name=name, home=home, image=image)
            with (directory / f"{name}.log").open("wb") as log:
                processes.append(
                    subprocess.Popen(
                        [*_UNSHARE, "sh", "-euc", script], stdin=subprocess.DEVNULL, stdout=log, stderr=log
                    )
                )
        for host in hosts.values():
            _wait(int(host["port"]), directory / f"{host['name']}.log")
        yield _fleet(directory, hosts, key=directory / "id_ed25519")
    finally:
        for process in processes:
            # unshare itself ignores SIGTERM. Its child, the first process of the namespace, ends with it, and
            # so do all other processes there.
            process.kill()
            process.wait()


_UNSHARE = ("unshare", "--mount", "--uts", "--pid", "--fork", "--kill-child", "--propagation=private")
_START = """\
hostname {name}
cd {home}
mount -t overlay overlay -o lowerdir={image},upperdir={home}/upper,workdir={home}/work root
mount -t proc proc root/proc
mount --rbind /dev root/dev
mount -t tmpfs tmpfs root/run
mkdir root/run/sshd
exec chroot root /usr/sbin/sshd -D -e -f /etc/ssh/bench
"""
_CONFIG = """\
ListenAddress 127.0.0.1
Port {port}
HostKey /etc/ssh/bench_key
AuthorizedKeysFile /etc/ssh/bench_users
StrictModes no
UsePAM no
PasswordAuthentication no
MaxStartups 200
SetEnv SYSTEMD_OFFLINE=1
Subsystem sftp internal-sftp
"""


def _names(count: int) -> list[str]:
    return [f"host{number:02}" for number in range(count)]


def _fleet(directory: Path, hosts: dict[str, dict[str, Any]], *, key: Path) -> Fleet:
    known = directory / "known_hosts"
    lines = [f"[127.0.0.1]:{host['port']} {host['host_key']}\n" for host in hosts.values()]
    known.write_text("".join(lines))
    return Fleet(directory, hosts, key=key, known=known)


def _key(path: Path) -> str:
    command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", str(path)]
    subprocess.run(command, check=True)
    return path.with_suffix(".pub").read_text().strip()


def _prepare(home: Path, port: int, *, public: str) -> str:
    """Write the files of one host and return its public host key."""
    ssh = home / "upper" / "etc" / "ssh"
    for directory in (ssh, home / "work", home / "root"):
        directory.mkdir(parents=True)
    (ssh / "bench").write_text(_CONFIG.format(port=port))
    (ssh / "bench_users").write_text(public + "\n")
    return _key(ssh / "bench_key")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait(port: int, log: Path) -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.05)
    raise RuntimeError(f"no sshd on port {port}: {log.read_text()}")
