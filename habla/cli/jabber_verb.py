"""``habla jabber``: the ways of an operator to the Jabber nodes of a stack."""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path

from habla.cli.exit_status import ExitStatus
from habla.cli.ssh import shells
from habla.errors import SettingsError, not_one_of
from habla.model.service import Service
from habla.plan import FleetPlan
from habla.plan.stack_files import load_plan
from habla.services.jabber import Jabber
from habla.services.jabber.jabber_units import CLUSTER_TOOL

__all__ = ["admin", "force"]


def force(root: Path, options: argparse.Namespace) -> int:
    """Let the node of a host stop waiting for the data of others, at once."""
    plan = load_plan(root, options.stack)
    _chosen(plan, options.host)
    with shells(root, plan, identity=options.identity) as reached:
        print(reached.run(options.host, f"{CLUSTER_TOOL} force"), end="")
    return ExitStatus.DONE


def admin(root: Path, options: argparse.Namespace) -> int:
    """Print the command that leads to the admin page of a host, and the URL that it is at then."""
    plan = load_plan(root, options.stack)
    nodes = _nodes(plan)
    host = options.host or next(iter(nodes), "")
    page = _chosen(plan, host).admin_page()
    if page is None:
        print("habla: services.jabber.admin_port is null, so there is no admin page")
        return ExitStatus.FOUND
    with shells(root, plan, identity=options.identity) as reached:
        line = shlex.join(reached.line(host, ["-N", "-L", f"{page.port}:127.0.0.1:{page.port}"]))
    accounts = ", ".join(page.accounts) or "nobody yet: name accounts in services.jabber.admins"
    print(f"{line}\nthen open  http://127.0.0.1:{page.port}{page.path}\nlog in as  {accounts}")
    return ExitStatus.DONE


def _nodes(plan: FleetPlan) -> dict[str, Service]:
    """Host -> its Jabber."""
    return {
        name: service
        for name, host in plan.hosts.items()
        for service in host.services
        if service.kind == Jabber.kind
    }


def _chosen(plan: FleetPlan, host: str) -> Service:
    nodes = _nodes(plan)
    if host not in nodes:
        fault = not_one_of("HOST", "the host has no Jabber node", value=host, known=tuple(nodes))
        raise SettingsError([fault])
    return nodes[host]
