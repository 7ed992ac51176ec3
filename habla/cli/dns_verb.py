"""``habla dns``: the records that a fleet needs in the DNS."""

from __future__ import annotations

from habla.cli.command_options import command, report_options, stack_option
from habla.cli.exit_status import ExitStatus
from habla.cli.invocation import Invocation
from habla.cli.result import Result

__all__ = ["dns"]


@command(examples=("habla dns -s production", "habla dns -s production > fleet.zone"))
@stack_option
@report_options
def dns(invocation: Invocation) -> Result:
    """Print the records that the DNS needs.

    They are a zone file with the names that people need to reach the fleet: the website, virtual hosts and
    the domains of Jabber. It asks no host. The exit status is 1 if no HAProxy has a public address.
    """
    from habla.plan.dns_records import dns_lines, public_addresses

    plan = invocation.plan()
    lines = dns_lines(plan)
    document = {
        "addresses": list(map(str, public_addresses(plan))),
        "records": [line for line in lines if line and not line.startswith((";", "$"))],
    }
    return Result(document, lines, status=ExitStatus.DONE if document["addresses"] else ExitStatus.FOUND)
