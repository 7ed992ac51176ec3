"""``habla lab``: a summary of the lab of a stack, and a shell on its hosts."""

from __future__ import annotations

import argparse
import subprocess
from pathlib import Path
from typing import Any

from habla.cli.ssh import shells
from habla.errors import LabError
from habla.lab.paths import LabPaths
from habla.lab.verbs import status
from habla.plan import FleetPlan
from habla.plan.stack_files import load_plan
from habla.services.keepalived import FRONT

__all__ = ["ssh", "summary"]


def summary(root: Path, options: argparse.Namespace) -> int:
    """Print the hosts of the lab, with their addresses, services and forwarded ports."""
    plan, made = _lab(root, options.stack)
    for line in _table(plan, made):
        print(line)
    return 0


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
        lines.append(
            f"{name:<10} {host.role.name:<9} {host.site.address!s:<15} {state:<8} {', '.join(host.serves)}"
        )
    lines.append("")
    for host in made.values():
        for forward, port in host.get("forwards", {}).items():
            lines.append(f"{_reached(plan, forward):<28} {_url(plan, forward, port=port)}")
    vrrp = plan.settings.load_balancer.vrrp
    if vrrp is not None:
        fronts = ", ".join(end.host for end in plan.endpoints.named(FRONT))
        lines.append(f"{f'shared by {fronts}':<28} {vrrp.address.ip}  (habla status shows which host has it)")
    lines.append(f"{'a shell on a host':<28} .venv/bin/habla lab ssh -s {plan.settings.environment} HOST")
    return lines


def _reached(plan: FleetPlan, forward: str) -> str:
    return {
        "www": f"http://{plan.settings.load_balancer.hosts[0]}/",
        "c2s": f"XMPP for {plan.settings.domain}",
        "bosh": "BOSH, websocket",
        "cacti": "Cacti (admin)",
    }.get(forward, forward)


def _url(plan: FleetPlan, forward: str, *, port: int) -> str:
    match forward:
        case "www":
            other = plan.settings.services.static.host
            return f"http://127.0.0.1:{port}/  (static images: curl -H 'Host: {other}' …)"
        case "bosh":
            return f"http://127.0.0.1:{port}/bosh  ws://127.0.0.1:{port}/websocket"
        case "cacti":
            return f"http://127.0.0.1:{port}/cacti/"
        case _:
            return f"127.0.0.1:{port}"
