"""``habla addresses``: the address plan, and how many addresses are free in each role."""

from __future__ import annotations

import click

from habla.cli.command_options import command, host_filters, report_options, stack_option
from habla.cli.invocation import Invocation
from habla.cli.result import Result

__all__ = ["addresses"]


@command(
    examples=(
        "habla addresses -s lab",
        "habla addresses -s production --role stable --json",
        "habla addresses -s staging --write",
    )
)
@stack_option
@host_filters
@click.option("--write", is_flag=True, help="Write the addresses to the file without deploying anything.")
@report_options
def addresses(invocation: Invocation, *, write: bool) -> Result:
    """Print the address plan.

    It has the internal address of every host, by role, and the number of free addresses of each role. A host
    keeps its address for as long as stacks/addresses.STACK.yaml lists it. `pulumi up` writes that file.
    """
    from habla.plan.stack_addresses import plan_stack_addresses
    from habla.plan.stack_files import read_held, write_held
    from habla.settings import held_addresses_path, read_stack

    root, environment = invocation.root, invocation.environment
    settings = read_stack(root, environment)
    held = read_held(root, environment)
    plan = plan_stack_addresses(settings, held)
    chosen = invocation.chosen(settings)
    everything = len(chosen) == len(settings.hosts)
    text, roles = [f"network {plan.network}"], {}
    for role, ranges in plan.ranges.items():
        hosts = {name: address for name, address in plan.of_role(role).items() if name in chosen}
        if not ranges or not (hosts or everything):
            continue
        text.append(f"\n{role:<10} {', '.join(map(str, ranges))}, {plan.free[role]} free")
        found = {}
        for name, address in sorted(hosts.items(), key=lambda item: item[1]):
            is_new = held.get(name) != address
            text.append(f"  {address!s:<15} {name}{'  (new)' if is_new else ''}")
            found[name] = {"address": str(address), "new": is_new}
        roles[role] = {"ranges": list(map(str, ranges)), "free": plan.free[role], "hosts": found}
    notes = []
    if write and write_held(root, environment, addresses=plan.hosts):
        notes.append(f"written to {held_addresses_path(root, environment)}")
    return Result({"network": str(plan.network), "roles": roles}, text, notes=notes)
