"""``habla lab``: a summary of the lab of a stack, and a shell on its hosts."""

from __future__ import annotations

import argparse
import subprocess
from pathlib import Path
from typing import Any

from habla.cli.balancers import shared_addresses
from habla.cli.exit_status import ExitStatus
from habla.cli.ssh import shells
from habla.errors import LabError
from habla.lab.paths import LabPaths
from habla.lab.verbs import status
from habla.model.service import Forward
from habla.plan import FleetPlan
from habla.plan.stack_files import load_plan

__all__ = ["ssh", "summary"]


def summary(root: Path, options: argparse.Namespace) -> int:
    """Print the hosts of the lab, with their addresses, services and forwarded ports."""
    plan, made = _lab(root, options.stack)
    for line in _table(plan, made):
        print(line)
    return ExitStatus.DONE


def ssh(root: Path, options: argparse.Namespace) -> int:
    """Open a shell, or run the given command, on a host of the lab and return its exit status."""
    plan, _ = _lab(root, options.stack)
    with shells(root, plan) as reached:
        return subprocess.run(reached.command(options.host, options.command), check=False).returncode


def _lab(root: Path, environment: str) -> tuple[FleetPlan, dict[str, Any]]:
    """The plan of a stack, and the hosts of its lab by name. Raises LabError if there is no lab."""
    plan = load_plan(root, environment)
    if plan.settings.lab is None:
        raise LabError(f"stack {environment} has no lab: its settings have no section habla:lab")
    directory = root / plan.settings.lab.directory
    made = {host["name"]: host for host in status(LabPaths.of(directory))["hosts"]}
    if not made:
        raise LabError(f"there is no lab in {directory}; make one with: make up")
    return plan, made


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
        lines.append(f"{f'shared by {names}':<28} {shared}  (habla status shows which host has it)")
    lines.append(f"{'a shell on a host':<28} .venv/bin/habla lab ssh -s {plan.settings.environment} HOST")
    return lines
