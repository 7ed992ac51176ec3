"""``habla lab``: a summary of the lab of a stack, and a shell on its hosts."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING, Any

import click

from habla.cli.command_options import command, host_argument, host_filters, report_options, stack_option
from habla.cli.invocation import Invocation, program
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
    """Print the hosts of the lab, how to reach them, and what to try.

    Each host has its role, address, state and services. The lines below list the services that this machine
    reaches on ports of its loopback address, with their accounts and passwords.
    """
    from habla.cli.balancers import shared_addresses
    from habla.cli.lab_access import accesses, passwords, wanted_secrets

    plan, made = _lab(invocation)
    chosen = invocation.chosen(plan.settings)
    hosts = [_host(plan, name, made=made) for name in chosen]
    ways = accesses(plan, {name: made[name].get("forwards", {}) for name in chosen if name in made})
    running = {name for name, host in made.items() if host.get("running")}
    found: dict[str, str] = {}
    if wanted := wanted_secrets(plan, ways, running=running):
        with invocation.shells(plan) as reached, invocation.waiting("reading the passwords of the lab"):
            found = passwords(reached, wanted)
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
    reach = [(way.what, way.url, way.login(found)) for way in ways]
    reach += [
        (f"shared by {', '.join(names)}", address, "habla status shows which host has it")
        for address, names in shared.items()
    ]
    return Result(
        {
            "hosts": hosts,
            "access": [way.plain(found) for way in ways],
            "shared_addresses": shared,
        },
        [
            Table(("host", "role", "address", "state", "services"), rows, fixed=4),
            "",
            Table(("what", "where", "log in as"), reach, fixed=2),
            "",
            Table(("try next", ""), _commands_to_try(plan)),
        ],
    )


# The words after HOST are a command with options of its own.
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


def _commands_to_try(plan: FleetPlan) -> list[tuple[str, str]]:
    """Command lines, each with its purpose."""
    habla, environment = program(), plan.settings.environment
    stable = next(
        (name for name, host in plan.hosts.items() if host.role.name == "stable"), next(iter(plan.hosts))
    )
    return [
        (f"{habla} status -s {environment}", "the servers behind HAProxy"),
        (f"{habla} drain -s {environment} {stable}", "take a host out of rotation; undrain puts it back"),
        (f"{habla} lab ssh -s {environment} {stable}", "a shell on a host"),
    ]


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
    """A host of the plan as it is in the lab."""
    host = plan.hosts[name]
    return {
        "name": name,
        "role": host.role.name,
        "address": str(host.site.address),
        "state": "running" if made.get(name, {}).get("running") else "stopped",
        "services": [service.name for service in host.services],
    }
