"""SSH to the hosts of a stack, with the user's own client: their host keys are pinned as for Pulumi."""

from __future__ import annotations

import argparse
import shlex
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from habla.errors import HablaError
from habla.lab.paths import LabPaths
from habla.lab.verbs import status
from habla.plan import FleetPlan
from habla.settings.models import BastionSettings, SshSettings

__all__ = ["Shells", "UnreachableError", "add_identity", "shells"]

# Seconds to wait for a connection.
_CONNECT = 10


class UnreachableError(HablaError, RuntimeError):
    """A host cannot be reached, or its command failed."""


@dataclass(frozen=True)
class _Target:
    address: str
    port: int
    user: str
    host_key: str
    identity: Path | None
    bastion: BastionSettings | None = None


@dataclass(frozen=True)
class Shells:
    """Runs commands on the hosts of a stack. known: a file of pinned host keys, there for as long as this."""

    targets: dict[str, _Target]
    known: Path

    def command(self, host: str, words: Sequence[str] = ()) -> list[str]:
        """The ssh command line. Raises UnreachableError where the host is not known."""
        target = self.targets.get(host)
        if target is None:
            raise UnreachableError(f"no host {host} to reach: there is {', '.join(self.targets) or 'none'}")
        options = self._options(target.identity)
        if target.bastion is not None:
            bastion = target.bastion
            jump = [*options, "-p", str(bastion.port), "-W", "%h:%p", f"{bastion.user}@{bastion.address}"]
            options = [*options, "-o", f"ProxyCommand={shlex.join(jump)}"]
        return [*options, "-p", str(target.port), f"{target.user}@{target.address}", *words]

    def run(self, host: str, command: str, stdin: str = "") -> str:
        """Run a shell command as root; its stdout. Raises UnreachableError with the last words of stderr."""
        user = self.targets[host].user if host in self.targets else ""
        line = command if user == "root" else f"sudo -n sh -c {shlex.quote(command)}"
        done = subprocess.run(
            self.command(host, [line]), input=stdin, capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            words = done.stderr.strip().splitlines() or [f"exit status {done.returncode}"]
            raise UnreachableError(f"{host}: {words[-1]}")
        return done.stdout

    def _options(self, identity: Path | None) -> list[str]:
        words = ["ssh", "-o", "BatchMode=yes", "-o", f"ConnectTimeout={_CONNECT}"]
        words += ["-o", f"UserKnownHostsFile={self.known}", "-o", "StrictHostKeyChecking=yes"]
        return [*words, "-i", str(identity)] if identity else words


def add_identity(parser: argparse.ArgumentParser) -> None:
    """The option that names a private key."""
    parser.add_argument(
        "-i",
        "--identity",
        type=Path,
        metavar="FILE",
        help="private key, if not the SSH agent's or a lab's",
    )


@contextmanager
def shells(root: Path, plan: FleetPlan, identity: Path | None = None) -> Iterator[Shells]:
    """The hosts of a plan that can be reached: those of the settings, and those that the lab has made."""
    targets = _existing(plan, identity)
    if plan.settings.lab is not None:
        targets |= _made(root / plan.settings.lab.directory)
    with tempfile.TemporaryDirectory(prefix="habla-") as directory:
        known = Path(directory) / "known_hosts"
        ends: list[_Target | BastionSettings] = [*targets.values()]
        ends += [target.bastion for target in targets.values() if target.bastion]
        known.write_text("".join(_known_line(end.address, end.port, end.host_key) for end in ends))
        yield Shells(targets, known)


def _known_line(address: str, port: int, host_key: str) -> str:
    """A line of known_hosts, as OpenSSH looks it up: the standard port is not named."""
    return f"{address if port == 22 else f'[{address}]:{port}'} {host_key}\n"


def _existing(plan: FleetPlan, identity: Path | None) -> dict[str, _Target]:
    common = plan.settings.ssh
    targets = {}
    for name, host in plan.settings.hosts.items():
        own = host.ssh or SshSettings()
        if own.address and own.host_key and not host.unreachable:
            targets[name] = _Target(
                own.address,
                own.port or common.port or 22,
                own.user or common.user or "root",
                own.host_key,
                identity,
                own.bastion or common.bastion,
            )
    return targets


def _made(directory: Path) -> dict[str, _Target]:
    key = directory / "keys" / "id_ed25519"
    return {
        host["name"]: _Target(host["address"], host["port"], host["user"], host["host_key"], key)
        for host in status(LabPaths.of(directory))["hosts"]
    }
