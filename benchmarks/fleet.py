"""The hosts that tools are measured on: machines of a lab, reached over SSH on loopback."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CLONE = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Fleet:
    """hosts: name -> what ``host-create`` printed. key: the private key's file. known: a known_hosts file."""

    directory: Path
    hosts: dict[str, dict[str, Any]]
    key: Path
    known: Path

    def everywhere(self, command: str, stdin: str = "") -> None:
        """Run a shell command on all hosts at once. Raises RuntimeError with the words of one that fails."""
        with ThreadPoolExecutor(len(self.hosts)) as pool:
            list(pool.map(lambda name: self._ssh(name, command, stdin), self.hosts))

    def _ssh(self, name: str, command: str, stdin: str) -> None:
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


def _lab(directory: Path, verb: str, document: object = None) -> Any:
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
def running_fleet(directory: Path, count: int) -> Iterator[Fleet]:
    """So many hosts, gone with the block."""
    try:
        lab = _lab(directory, "lab-create", {"packages": []})
        names = [f"host{number:02}" for number in range(count)]
        with ThreadPoolExecutor(4) as pool:
            made = list(
                pool.map(lambda name: _lab(directory, "host-create", {"name": name, "forwards": {}}), names)
            )
        hosts = {host["name"]: host for host in made}
        known = directory / "known_hosts"
        known.write_text(
            "".join(f"[127.0.0.1]:{host['port']} {host['host_key']}\n" for host in hosts.values())
        )
        yield Fleet(directory, hosts, Path(lab["private_key_file"]), known)
    finally:
        _lab(directory, "lab-delete")
