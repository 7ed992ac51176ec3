"""A lab for tests: the command line of ``habla.lab``, SSH into its hosts, what it leaves on the machine."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from habla.lab.paths import LabPaths

# The directory of this file: the helpers, some of which are programs.
SUPPORT = Path(__file__).resolve().parent
REPOSITORY = SUPPORT.parents[2]
# The release of Debian on the hosts of every test's lab, such as trixie; by default the machine's own.
RELEASE = os.environ.get("HABLA_LAB_RELEASE") or None

# Between two looks at a state that a test waits for.
_POLL_SECONDS = 0.02


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listened on a moment ago."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def wait_for(condition: Callable[[], Any], seconds: float = 15.0, what: str = "") -> Any:
    """Ask until the answer is true, and return it; fail after so many seconds."""
    deadline = time.monotonic() + seconds
    while not (answer := condition()):
        assert time.monotonic() < deadline, f"not within {seconds} s: {what or condition}"
        time.sleep(_POLL_SECONDS)
    return answer


@dataclass
class Lab:
    """One lab in a directory. hosts: what host-create printed, by name."""

    directory: Path
    hosts: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def paths(self) -> LabPaths:
        """Where the lab keeps its things."""
        return LabPaths.of(self.directory)

    def call(self, verb: str, *arguments: str, document: Any = None) -> subprocess.CompletedProcess[str]:
        """Run a verb and return what it did, whether it failed or not."""
        return subprocess.run(
            [sys.executable, "-m", "habla.lab", verb, "--dir", str(self.directory), *arguments],
            input=document if isinstance(document, str) else json.dumps(document or {}),
            capture_output=True,
            text=True,
            cwd=REPOSITORY,
            timeout=600,
            check=False,
        )

    def ask(self, verb: str, *arguments: str, document: Any = None) -> Any:
        """Run a verb that must succeed; returns the JSON it printed, or None."""
        done = self.call(verb, *arguments, document=document)
        assert done.returncode == 0, f"{verb} {arguments}: {done.stderr}"
        return json.loads(done.stdout) if done.stdout else None

    def create(self, *packages: str) -> dict[str, Any]:
        """lab-create, with the release that the tests run on."""
        releases = [RELEASE] if RELEASE else None
        return self.ask("lab-create", document={"packages": list(packages), "releases": releases})

    def host(self, name: str, **wanted: Any) -> dict[str, Any]:
        """host-create, with the release that the tests run on unless another is given; the answer is kept."""
        document = {"name": name, "release": RELEASE, **wanted}
        self.hosts[name] = self.ask("host-create", document=document)
        return self.hosts[name]

    def together(self, *wanted: dict[str, Any]) -> None:
        """Several host-create at once, as Pulumi does it."""
        with ThreadPoolExecutor(len(wanted)) as pool:
            list(pool.map(lambda one: self.host(**one), wanted))

    def ssh(
        self, name: str, command: str, user: str = "root", host_key: str | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run a shell command on a host, pinned to its key (or to another one that is given)."""
        host = self.hosts[name]
        known = self.directory / f"known-{name}-{time.monotonic_ns()}"
        known.write_text(f"[127.0.0.1]:{host['port']} {host_key or host['host_key']}\n")
        options = {
            "BatchMode": "yes",
            "ConnectTimeout": "5",
            "IdentitiesOnly": "yes",
            "StrictHostKeyChecking": "yes",
            "UserKnownHostsFile": f'"{known}"',
        }
        try:
            return subprocess.run(
                [
                    *("ssh", "-q", "-F", "/dev/null", "-p", str(host["port"])),
                    *("-i", str(self.directory / "keys/id_ed25519")),
                    *(f"-o{key}={value}" for key, value in options.items()),
                    *(f"{user}@127.0.0.1", command),
                ],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                env={key: value for key, value in os.environ.items() if key != "SSH_AUTH_SOCK"},
                timeout=300,
                check=False,
            )
        finally:
            known.unlink()

    def run(self, name: str, command: str, user: str = "root") -> str:
        """Run a shell command on a host that must succeed; returns its stdout, stripped."""
        done = self.ssh(name, command, user)
        assert done.returncode == 0, f"{name}: {command}: {done.stdout}{done.stderr}"
        return done.stdout.strip()

    def outside(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a program in the outside client's network."""
        return self.call("outside", "--", *command)

    def running(self) -> dict[str, bool]:
        """Which hosts run, by name."""
        return {host["name"]: host["running"] for host in self.ask("status")["hosts"]}

    def processes(self) -> dict[int, str]:
        """All processes of the lab on this machine, whatever they did to their names: number to command."""
        found = {}
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                try:
                    if f"/{self.paths.identity}" in (entry / "cgroup").read_text():
                        found[int(entry.name)] = (entry / "cmdline").read_text().replace("\0", " ")
                except (FileNotFoundError, ProcessLookupError):
                    continue
        return found

    def process(self, part: str) -> int:
        """The one process of the lab whose command line has that part."""
        numbers = [number for number, command in self.processes().items() if part in command]
        assert len(numbers) == 1, f"{part}: {numbers}"
        return numbers[0]

    def init_of(self, name: str) -> int:
        """The first process of a host, as the machine numbers it."""
        nspawn = self.process(f"--machine={name} ")
        children = Path(f"/proc/{nspawn}/task/{nspawn}/children").read_text().split()
        return int(children[0])


def networks_in_use() -> set[str]:
    """The network namespaces of all processes of this machine."""
    found = set()
    for entry in Path("/proc").glob("[0-9]*/ns/net"):
        try:
            found.add(str(entry.readlink()))
        except (FileNotFoundError, ProcessLookupError):
            continue
    return found
