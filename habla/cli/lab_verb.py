"""``habla lab``: a summary of the lab of a stack, and a shell on its hosts."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING, Any

import click

from habla.cli.command_options import command, host_argument, host_filters, report_options, stack_option
from habla.cli.invocation import Invocation
from habla.cli.result import Result, Table, Tone, Toned
from habla.errors import LabError, SettingsError, not_one_of

if TYPE_CHECKING:
    from habla.plan import FleetPlan

__all__ = ["ssh", "summary"]


@command(examples=("habla lab summary -s lab", "habla lab summary -s lab --role stable"))
@stack_option
@host_filters
@report_options
def summary(invocation: Invocation) -> Result:
    """Print the hosts of the lab, and how to reach them.

    Each host has its role, address, state and services. The lines below are the services that this machine
    reaches on ports of its loopback address.
    """
    from habla.cli.balancers import shared_addresses

    plan, made = _lab(invocation)
    chosen = invocation.chosen(plan.settings)
    hosts = [_host(plan, name, made=made) for name in chosen]
    shared = shared_addresses(plan)
    rows = [
        (
            host["name"],
            host["role"],
            host["address"],
            Toned(host["state"], Tone.GOOD if host["state"] == "running" else Tone.BAD),
            ", ".join(host["services"]),
        )
        for host in hosts
    ]
    ways = [(label, url) for host in hosts for label, url in host["forwards"]]
    ways += [
        (f"shared by {', '.join(names)}", f"{address}  (habla status shows which host has it)")
        for address, names in shared.items()
    ]
    ways.append(("a shell on a host", f"habla lab ssh -s {invocation.environment} HOST"))
    return Result(
        {"hosts": hosts, "shared_addresses": shared},
        [
            Table(("host", "role", "address", "state", "services"), rows, fixed=4),
            "",
            Table(("reach", "at"), ways),
        ],
    )


# What follows HOST is a command with options of its own.
@command(
    examples=("habla lab ssh -s lab stable1", "habla lab ssh -s lab stable1 journalctl -u ejabberd -n 20"),
    context_settings={"allow_interspersed_args": False},
)
@stack_option
@host_argument()
@click.argument("words", nargs=-1, metavar="[COMMAND ...]", type=click.UNPROCESSED)
def ssh(invocation: Invocation, *, host: str, words: tuple[str, ...]) -> int:
    """Open a shell, or run a command, on a host of the lab.

    The exit status is that of the shell or the command.
    """
    plan, _ = _lab(invocation)
    if host not in plan.hosts:
        raise SettingsError(
            [not_one_of("HOST", "the lab has no such host", value=host, known=tuple(plan.hosts))]
        )
    remote = words[1:] if words[:1] == ("--",) else words
    with invocation.shells(plan) as reached:
        return subprocess.run(reached.command(host, remote), check=False).returncode


def _lab(invocation: Invocation) -> tuple[FleetPlan, dict[str, Any]]:
    """The plan of a stack, and the hosts of its lab by name. Raises LabError if there is no lab."""
    from habla.lab.paths import LabPaths
    from habla.lab.verbs import status

    plan = invocation.plan()
    if plan.settings.lab is None:
        raise LabError(f"stack {invocation.environment} has no lab: its settings have no section habla:lab")
    directory = invocation.root / plan.settings.lab.directory
    made = {host["name"]: host for host in status(LabPaths.of(directory))["hosts"]}
    if not made:
        raise LabError(f"there is no lab in {directory}; make one with: make up")
    return plan, made


def _host(plan: FleetPlan, name: str, *, made: dict[str, Any]) -> dict[str, Any]:
    """A host of the plan as it is in the lab. forwards: pairs of a label and a URL on this machine."""
    from habla.model.service import Forward

    host, machine = plan.hosts[name], made.get(name, {})
    known = {
        key: forward
        for other in plan.hosts.values()
        for service in other.services
        for key, forward in service.forwards(other.site).items()
    }
    forwards = []
    for key, port in machine.get("forwards", {}).items():
        forward = known.get(key, Forward(port, key))
        forwards.append((forward.label, forward.url.format(port=port)))
    return {
        "name": name,
        "role": host.role.name,
        "address": str(host.site.address),
        "state": "running" if machine.get("running") else "stopped",
        "services": [service.name for service in host.services],
        "forwards": forwards,
    }
