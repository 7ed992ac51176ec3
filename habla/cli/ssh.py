"""SSH to the hosts of a stack with the user's own client, with the host keys that Pulumi uses."""

from __future__ import annotations

import shlex
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import KW_ONLY, dataclass
from pathlib import Path

from habla.errors import HablaError, LabError
from habla.plan import FleetPlan
from habla.settings.models import BastionSettings, SshSettings

__all__ = ["Shells", "UnreachableError", "shells"]

# Seconds to wait for a connection.
_CONNECT = 10
_SSH_FAILED = 255


class UnreachableError(HablaError, RuntimeError):
    """A host cannot be reached, or its command failed."""


@dataclass(frozen=True)
class _Target:
    address: str
    port: int
    _: KW_ONLY
    user: str
    host_key: str
    identity: Path | None
    bastion: BastionSettings | None = None


@dataclass(frozen=True)
class Shells:
    """Runs commands on the hosts of a stack."""

    targets: dict[str, _Target]
    known: Path
    """A known_hosts file with the key of each host."""

    def command(self, host: str, words: Sequence[str] = ()) -> list[str]:
        """The ssh command line. Raises UnreachableError if the host has no address or host key."""
        target = self._target(host)
        options = self._options(target.identity)
        if target.bastion is not None:
            bastion = target.bastion
            jump = [*options, "-p", str(bastion.port), f"{bastion.user}@{bastion.address}"]
            # ssh fills in %h and %p. The brackets are for IPv6 addresses, and ssh takes them for others too.
            jump = [*(word.replace("%", "%%") for word in jump), "-W", "[%h]:%p"]
            options = [*options, "-o", f"ProxyCommand={shlex.join(jump)}"]
        return [*options, "-p", str(target.port), f"{target.user}@{target.address}", *words]

    def line(self, host: str, options: Sequence[str]) -> list[str]:
        """The ssh command line for a person, with these options. His own known_hosts has the host keys."""
        target = self._target(host)
        words = ["ssh", *options]
        if target.identity:
            words += ["-i", str(target.identity)]
        if target.bastion is not None:
            jump = target.bastion
            address = f"[{jump.address}]" if ":" in jump.address else jump.address
            words += ["-J", f"{jump.user}@{address}:{jump.port}"]
        return [*words, "-p", str(target.port), f"{target.user}@{target.address}"]

    def run(self, host: str, command: str, *, stdin: str = "") -> str:
        """Run a shell command as root and return its stdout.

        Raises UnreachableError, with the host and the reason, if the command fails.
        """
        user = self.targets[host].user if host in self.targets else ""
        line = command if user == "root" else f"sudo -n sh -c {shlex.quote(command)}"
        done = subprocess.run(
            self.command(host, [line]), input=stdin, capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            raise UnreachableError(f"{host}: {_reason(host, self.targets[host], done=done)}")
        return done.stdout

    def _target(self, host: str) -> _Target:
        target = self.targets.get(host)
        if target is None:
            known = ", ".join(self.targets) or "none"
            raise UnreachableError(f"no host {host} to reach; hosts that can be reached: {known}")
        return target

    def _options(self, identity: Path | None) -> list[str]:
        words = ["ssh", "-o", "BatchMode=yes", "-o", f"ConnectTimeout={_CONNECT}"]
        words += ["-o", f"UserKnownHostsFile={self.known}", "-o", "StrictHostKeyChecking=yes"]
        return [*words, "-i", str(identity)] if identity else words


@contextmanager
def shells(root: Path, plan: FleetPlan, *, identity: Path | None = None) -> Iterator[Shells]:
    """Shells on the hosts that have an address and a host key in the settings, and on the hosts of the lab.

    identity: the private key for the hosts of the settings; None leaves the choice to ssh.
    """
    targets = _existing(plan, identity)
    if plan.settings.lab is not None:
        targets |= _made(root / plan.settings.lab.directory)
    with tempfile.TemporaryDirectory(prefix="habla-") as directory:
        known = Path(directory) / "known_hosts"
        ends: list[_Target | BastionSettings] = [*targets.values()]
        ends += [target.bastion for target in targets.values() if target.bastion]
        known.write_text("".join(map(_known_line, ends)))
        yield Shells(targets, known)


def _reason(host: str, target: _Target, *, done: subprocess.CompletedProcess[str]) -> str:
    """Why a command failed, and the fix where the reason alone does not show it."""
    # A shell of nologin says on stdout that it runs no commands.
    lines = (done.stderr.strip() or done.stdout.strip()).splitlines()
    last = lines[-1] if lines else f"exit status {done.returncode}"
    place = f"{target.user}@{target.address} port {target.port}"
    # ssh reports its own failures, and those of the jump over a bastion, with status 255.
    if done.returncode == _SSH_FAILED:
        if "Host key verification failed" in done.stderr:
            by = "the host or its bastion" if target.bastion else "the host"
            return (
                f"{by} shows another host key than the settings have: if you have made the machine anew, put "
                f"its new key into hosts.{host}.ssh, as `ssh-keyscan -t ed25519 ADDRESS` prints it"
            )
        denied = next((line for line in lines if "Permission denied" in line), "")
        if denied:
            return (
                f"ssh cannot log in as {place}: {denied.rstrip('.')}: "
                "add the key to your SSH agent with ssh-add, or name its file with --identity"
            )
        return f"ssh cannot reach {place}: {last}"
    if last.startswith("sudo: "):
        return (
            f"{target.user} may not use sudo without a password: {last.removeprefix('sudo: ')}: "
            f"allow it in /etc/sudoers.d, or set hosts.{host}.ssh.user to root"
        )
    return last


def _known_line(end: _Target | BastionSettings) -> str:
    """A line of known_hosts. OpenSSH expects the port only if it is not the standard one."""
    return f"{end.address if end.port == 22 else f'[{end.address}]:{end.port}'} {end.host_key}\n"


def _existing(plan: FleetPlan, identity: Path | None) -> dict[str, _Target]:
    common = plan.settings.ssh
    targets = {}
    for name, host in plan.settings.hosts.items():
        own = host.ssh or SshSettings()
        if own.address and own.host_key and not host.unreachable:
            targets[name] = _Target(
                own.address,
                own.port or common.port or 22,
                user=own.user or common.user or "root",
                host_key=own.host_key,
                identity=identity,
                bastion=own.bastion or common.bastion,
            )
    return targets


def _made(directory: Path) -> dict[str, _Target]:
    # Imported late: only a stack with a lab needs it.
    from habla.lab.paths import LabPaths
    from habla.lab.verbs import status

    key = directory / "keys" / "id_ed25519"
    answer = status(LabPaths.of(directory))
    # Without the supervisor, as after a reboot of this machine, no host runs or has an address.
    if answer["hosts"] and answer["supervisor"] is None:
        raise LabError(f"the lab does not run; start it with: python -m habla.lab start --dir {directory}")
    return {
        host["name"]: _Target(
            host["address"], host["port"], user=host["user"], host_key=host["host_key"], identity=key
        )
        for host in answer["hosts"]
    }
