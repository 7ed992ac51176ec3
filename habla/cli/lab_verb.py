"""``habla lab``: what the lab of a stack runs, and how to reach it."""

from __future__ import annotations

import argparse
import subprocess
from pathlib import Path
from typing import Any

from habla.cli.balancers import shared_addresses
from habla.cli.ssh import shells
from habla.errors import LabError
from habla.lab.paths import LabPaths
from habla.lab.verbs import status
from habla.model.service import Forward
from habla.plan import FleetPlan
from habla.plan.stack_files import load_plan

__all__ = ["add_verb"]


def add_verb(verbs: Any, common: argparse.ArgumentParser) -> None:
    """Add the verb to the command line."""
    parser = verbs.add_parser("lab", help="what the lab runs and how to reach it")
    subverbs = parser.add_subparsers(dest="subverb", required=True, metavar="VERB")
    summary = subverbs.add_parser(
        "summary", parents=[common], help="print hosts, addresses, services and how to reach them"
    )
    summary.set_defaults(run=_summary)
    ssh = subverbs.add_parser("ssh", parents=[common], help="a shell, or a command, on a host of the lab")
    ssh.add_argument("host", metavar="HOST")
    ssh.add_argument("command", nargs=argparse.REMAINDER, metavar="COMMAND")
    ssh.set_defaults(run=_ssh)


def _summary(root: Path, options: argparse.Namespace) -> int:
    plan, _, made = _lab(root, options.stack)
    for line in _table(plan, made):
        print(line)
    return 0


def _ssh(root: Path, options: argparse.Namespace) -> int:
    plan, _, _ = _lab(root, options.stack)
    with shells(root, plan) as reached:
        return subprocess.run(reached.command(options.host, options.command), check=False).returncode


def _lab(root: Path, environment: str) -> tuple[FleetPlan, Path, dict[str, Any]]:
    """The plan of a stack, where its lab is, and the lab's hosts by name."""
    plan = load_plan(root, environment)
    if plan.settings.lab is None:
        raise LabError(f"stack {environment} has no lab: it has no habla:lab section")
    directory = root / plan.settings.lab.directory
    made = {host["name"]: host for host in status(LabPaths.of(directory))["hosts"]}
    if not made:
        raise LabError(f"no lab is in {directory}: make up")
    return plan, directory, made


def _table(plan: FleetPlan, made: dict[str, Any]) -> list[str]:
    lines = [f"{'host':<10} {'role':<9} {'address':<15} {'state':<8} services"]
    for name, host in plan.hosts.items():
        state = "running" if made.get(name, {}).get("running") else "stopped"
        services = ", ".join(service.name for service in host.services)
        lines.append(f"{name:<10} {host.role.name:<9} {host.site.address!s:<15} {state:<8} {services}")
    lines.append("")
    known = {
        name: forward
        for host in plan.hosts.values()
        for service in host.services
        for name, forward in service.forwards(host.site).items()
    }
    for machine in made.values():
        for name, port in machine.get("forwards", {}).items():
            forward = known.get(name, Forward(port, name))
            lines.append(f"{forward.label:<28} {forward.url.format(port=port)}")
    for shared, hosts in shared_addresses(plan).items():
        names = ", ".join(hosts)
        lines.append(f"{f'shared by {names}':<28} {shared}  (who has it: habla status)")
    lines.append(f"{'a shell on a host':<28} .venv/bin/habla lab ssh -s {plan.settings.environment} HOST")
    return lines
