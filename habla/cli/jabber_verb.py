"""``habla jabber force HOST``: let a node that waits for lost ones serve with its own data."""

from __future__ import annotations

import argparse
from pathlib import Path

from habla.cli.exit_status import ExitStatus
from habla.cli.ssh import shells
from habla.errors import Fault, SettingsError
from habla.plan.stack_files import load_plan
from habla.services.jabber.jabber import CLUSTER_TOOL, Jabber

__all__ = ["force"]


def force(root: Path, options: argparse.Namespace) -> int:
    """Let the node of a host stop waiting for the data of others, at once."""
    plan = load_plan(root, options.stack)
    nodes = [
        name for name, host in plan.hosts.items() if Jabber.kind in [item.kind for item in host.services]
    ]
    if options.host not in nodes:
        rule = f"hosts with Jabber: {', '.join(nodes) or 'none'}"
        fault = Fault(
            "HOST", "the host has no Jabber node", value=options.host, rule=rule, fix="choose one of these"
        )
        raise SettingsError([fault])
    with shells(root, plan, identity=options.identity) as reached:
        print(reached.run(options.host, f"{CLUSTER_TOOL} force"), end="")
    return ExitStatus.DONE
