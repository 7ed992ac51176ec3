"""``habla init``: writes a stack for a new fleet, and generates its secrets."""

from __future__ import annotations

import ipaddress
import re
import secrets
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from habla.cli.command_options import command, report_options
from habla.cli.invocation import Invocation, program
from habla.cli.result import Result
from habla.errors import Fault, SettingsError, not_one_of, raise_faults

if TYPE_CHECKING:
    from habla.plan import FleetPlan
    from habla.settings.new_stack import NewHost

__all__ = ["init"]

_LAB_HOSTS = ("front1=front", "stable1=stable", "stable2=stable", "web1=web", "monitor1=monitor")
_HOST = re.compile(
    r"(?P<name>[a-z0-9-]+)=(?P<role>[a-z0-9-]+)(?:@(?:(?P<user>[a-z_][a-z0-9_-]*)@)?(?P<address>[^@\s]+?)(?::(?P<port>\d+))?)?"
)
_SCAN_SECONDS = 5
# The random bytes of a password. As text they are letters, digits, hyphens and underscores.
_PASSWORD_BYTES = 24


@command(
    examples=(
        "habla init trial",
        "habla init test --domain example.net --host web1=web@198.51.100.40",
    )
)
@click.argument("environment", metavar="ENV")
@click.option("--domain", metavar="DOMAIN", help="The domain of the fleet, such as example.net.")
@click.option(
    "--host",
    "hosts",
    multiple=True,
    metavar="NAME=ROLE[@ADDRESS]",
    help="A host, with the address where SSH reaches it, or USER@ADDRESS:PORT. The lab makes a host without "
    "an address. Repeat it for each host.",
)
@report_options
def init(invocation: Invocation, *, environment: str, domain: str | None, hosts: tuple[str, ...]) -> Result:
    """Write stacks/Pulumi.ENV.yaml, and generate the secrets of the stack.

    The stack is valid at once. Without --host it is a fleet of five hosts that the lab makes; on a terminal,
    habla asks. habla reads the SSH host keys of the machines and prints their fingerprints. Compare these.

    Run it again after `pulumi stack init ENV`: it then generates every password that the stack needs and does
    not have, and hands them to Pulumi. It never changes a file or a secret that is there.
    """
    from habla.plan.stack_files import load_plan
    from habla.settings.yaml_reader import read_mapping

    path = invocation.root / "stacks" / f"Pulumi.{environment}.yaml"
    lines: list[str] = []
    # `pulumi stack init` makes a file that only has the salt of the secrets.
    created = not path.exists() or "config" not in read_mapping(path)
    if created:
        plan, lines = _write(invocation, path, environment=environment, domain=domain, hosts=hosts)
    elif domain or hosts:
        fix = "edit the file, or name another stack"
        raise SettingsError([Fault("ENV", "the stack is there", value=str(path), fix=fix)])
    else:
        plan = load_plan(invocation.root, environment)
    made, yours, ready = _secrets(invocation, plan, environment=environment)
    lines += [f"generated the secret {name}" for name in made]
    steps = _next_steps(invocation.root, environment, missing=not ready, yours=yours)
    if steps:
        lines += ["", "Next:", *(f"  {step}" for step in steps)]
    document = {"stack": str(path), "created": created, "secrets": made, "next": steps}
    return Result(document, lines or [f"{path} has all that it needs"])


def _write(
    invocation: Invocation, path: Path, *, environment: str, domain: str | None, hosts: Sequence[str]
) -> tuple[FleetPlan, list[str]]:
    """Write the file, and take it back if it is not valid. Returns its plan, and lines for the user."""
    from habla.plan.stack_files import load_plan
    from habla.settings.new_stack import new_stack

    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", environment):
        rule = "letters, digits and . _ -, up to 100 characters"
        raise SettingsError([Fault("ENV", "not a name of a stack", value=environment, rule=rule)])
    if sys.stdin.isatty() and not hosts and domain is None:
        domain, hosts = _asked()
    chosen, lines = _hosts(invocation, hosts or _LAB_HOSTS)
    text = new_stack(environment, chosen, domain=domain or f"{environment}.example.net")
    before = path.read_text("utf-8") if path.exists() else None
    path.write_text(text + (before or ""), "utf-8")
    try:
        plan = load_plan(invocation.root, environment)
    except Exception:
        if before is None:
            path.unlink()
        else:
            path.write_text(before, "utf-8")
        raise
    return plan, [*lines, f"wrote {path}"]


def _asked() -> tuple[str, tuple[str, ...]]:
    domain = click.prompt("Domain of the fleet", default="example.net", err=True)
    click.echo("Hosts, one per line, as NAME=ROLE@ADDRESS. An empty line ends the list.", err=True)
    click.echo("Without any, the lab makes five hosts on this machine.", err=True)
    hosts = []
    while line := click.prompt("Host", default="", show_default=False, err=True).strip():
        hosts.append(line)
    return domain, tuple(hosts)


def _hosts(invocation: Invocation, words: Sequence[str]) -> tuple[list[NewHost], list[str]]:
    """The hosts, and the fingerprints of their keys as lines. Raises SettingsError with every fault."""
    from habla.services.catalog import default_roles
    from habla.settings.new_stack import NewHost

    faults, found, lines = [], [], []
    roles = sorted(default_roles())
    for word in words:
        match = _HOST.fullmatch(word)
        if match is None:
            rule = "NAME=ROLE, NAME=ROLE@ADDRESS or NAME=ROLE@USER@ADDRESS:PORT"
            faults.append(Fault("--host", "cannot be read", value=word, rule=rule))
            continue
        if match["role"] not in roles:
            faults.append(not_one_of("--host", "unknown role", value=match["role"], known=roles))
            continue
        port, key = int(match["port"] or 22), ""
        if match["address"]:
            fault = _address_fault(match["address"])
            if fault:
                faults.append(fault)
                continue
            with invocation.waiting(f"reading the host key of {match['address']}"):
                key = _host_key(match["address"], port)
            if not key:
                rule = f"SSH must answer at {match['address']} port {port}, with an ed25519 key"
                faults.append(Fault("--host", "no host key", value=word, rule=rule, fix="start sshd there"))
                continue
            lines.append(f"{match['name']}: {_fingerprint(key)}")
        user = match["user"] or "root"
        found.append(
            NewHost(
                match["name"],
                match["role"],
                address=match["address"] or "",
                port=port,
                host_key=key,
                user=user,
            )
        )
    raise_faults(SettingsError, faults)
    if lines:
        lines.insert(0, "Compare these fingerprints with: ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub")
    return found, lines


def _address_fault(text: str) -> Fault | None:
    try:
        ipaddress.IPv4Address(text)
    except ValueError:
        rule = "an IPv4 address, such as 198.51.100.10"
        return Fault("--host", "not an address", value=text, rule=rule)
    return None


def _host_key(address: str, port: int) -> str:
    """The public ed25519 host key of a machine, or "" if it does not answer."""
    words = ["ssh-keyscan", "-t", "ed25519", "-T", str(_SCAN_SECONDS), "-p", str(port), address]
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=3 * _SCAN_SECONDS, check=False)
    except (FileNotFoundError, subprocess.TimeoutExpired):
        return ""
    lines = [line.split() for line in done.stdout.splitlines() if not line.startswith("#")]
    return next((" ".join(words[1:3]) for words in lines if len(words) >= 3), "")


def _fingerprint(key: str) -> str:
    done = subprocess.run(
        ["ssh-keygen", "-lf", "-"], input=f"{key}\n", capture_output=True, text=True, check=False
    )
    return done.stdout.strip() or key


def _secrets(
    invocation: Invocation, plan: FleetPlan, *, environment: str
) -> tuple[list[str], list[str], bool]:
    """Generate the missing secrets.

    Returns the secrets that were generated, those that only the user can give, and whether Pulumi knows the
    stack, without which nothing is generated.
    """
    from habla.plan.plan_faults import needed_secrets
    from habla.settings.passwords import generated_names

    missing = sorted(set(needed_secrets(plan)) - set(plan.settings.secrets))
    ours = [name for name in missing if name in generated_names(plan.settings)]
    yours = [name for name in missing if name not in ours]
    if not ours:
        return [], yours, True
    command = _pulumi(invocation.root)
    if command is None or not _is_known(command, invocation.root, environment=environment):
        return [], yours, False
    made = []
    for name in ours:
        with invocation.waiting(f"setting the secret {name}"):
            _set_secret(command, invocation.root, environment=environment, name=name)
        made.append(name)
    return made, yours, True


def _pulumi(root: Path) -> str | None:
    """The Pulumi CLI: the clone's own, or the one on PATH."""
    own = root / ".toolchain" / "bin" / "pulumi"
    return str(own) if own.is_file() else shutil.which("pulumi")


def _is_known(command: str, root: Path, *, environment: str) -> bool:
    """Whether Pulumi has the stack."""
    words = [command, "stack", "export", "--stack", environment, "--non-interactive"]
    return (
        subprocess.run(words, cwd=root, stdin=subprocess.DEVNULL, capture_output=True, check=False).returncode
        == 0
    )


def _set_secret(command: str, root: Path, *, environment: str, name: str) -> None:
    """Hand a new password to Pulumi on its stdin, so that it is in no argument list. Raises SettingsError."""
    words = [
        command,
        "config",
        "set",
        "--secret",
        "--path",
        f'habla:secrets["{name}"]',
        "--stack",
        environment,
    ]
    done = subprocess.run(
        [*words, "--non-interactive"],
        cwd=root,
        input=secrets.token_urlsafe(_PASSWORD_BYTES),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        reason = (done.stderr or done.stdout).strip().splitlines()
        raise SettingsError([Fault(f"secrets.{name}", "Pulumi did not take it", value=" ".join(reason[-2:]))])


def _next_steps(root: Path, environment: str, *, missing: bool, yours: Sequence[str]) -> list[str]:
    """The next steps of the user, as command lines."""
    from habla.plan.plan_faults import secret_command

    habla, own = program(), root / ".toolchain" / "bin" / "pulumi"
    pulumi = "pulumi" if shutil.which("pulumi") or not own.is_file() else ".toolchain/bin/pulumi"
    steps = [f"{pulumi} stack init {environment}", f"{habla} init {environment}"] if missing else []
    steps += [f"{secret_command(name, environment, pulumi=pulumi)}   # yours to give" for name in yours]
    return [*steps, f"{habla} render -s {environment}", f"{pulumi} up -s {environment} --continue-on-error"]
