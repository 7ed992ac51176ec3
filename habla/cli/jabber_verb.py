"""``habla jabber``: the ways of an operator to the Jabber nodes of a stack."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from habla.cli.command_options import command, host_argument, identity_option, report_options, stack_option
from habla.cli.exit_status import ExitStatus
from habla.cli.invocation import Invocation
from habla.cli.result import Result
from habla.errors import SettingsError, not_one_of

if TYPE_CHECKING:
    from habla.model.service import Service
    from habla.plan import FleetPlan

__all__ = ["admin", "force"]


@command(examples=("habla jabber force -s production stable1",))
@stack_option
@identity_option
@report_options
@host_argument()
def force(invocation: Invocation, *, host: str) -> Result:
    """Let the Jabber node of HOST serve with its own data, at once.

    A Jabber node that starts may wait for another one, which may have newer data. This command ends the wait:
    the node serves with its own data. When the other node returns, the records that only it has are merged.
    docs/jabber-cluster.md has the details.
    """
    from habla.services.jabber.jabber_units import CLUSTER_TOOL

    plan = invocation.plan()
    _chosen(plan, host)
    with invocation.shells(plan) as reached, invocation.waiting(f"asking {host}"):
        said = reached.run(host, f"{CLUSTER_TOOL} force")
    lines = said.splitlines()
    return Result({"host": host, "output": lines}, lines)


@command(examples=("habla jabber admin -s production", "habla jabber admin -s production stable2"))
@stack_option
@identity_option
@report_options
@host_argument(required=False)
def admin(invocation: Invocation, *, host: str | None) -> Result:
    """Print the SSH command that leads to ejabberd's admin page.

    It also prints the URL of the page, and the accounts that may log in. The page listens on the loopback
    address of each Jabber host only. Without HOST it leads to the first host with Jabber.
    """
    plan = invocation.plan()
    name = host or next(iter(_nodes(plan)), "")
    page = _chosen(plan, name).admin_page()
    if page is None:
        fault = "services.jabber.admin_port is null, so there is no admin page"
        return Result(None, faults=[fault], status=ExitStatus.FOUND)
    with invocation.shells(plan) as reached:
        words = reached.line(name, ["-N", "-L", f"{page.port}:127.0.0.1:{page.port}"])
    url = f"http://127.0.0.1:{page.port}{page.path}"
    accounts = ", ".join(page.accounts) or "nobody yet: name accounts in services.jabber.admins"
    return Result(
        {"host": name, "command": words, "url": url, "accounts": list(page.accounts)},
        [shlex.join(words), f"then open  {url}", f"log in as  {accounts}"],
    )


def _nodes(plan: FleetPlan) -> dict[str, Service]:
    """Host -> its Jabber."""
    from habla.services.jabber import Jabber

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
