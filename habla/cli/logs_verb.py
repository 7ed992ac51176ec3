"""``habla logs``: the logs without a size limit on the hosts, and the largest size of all others."""

from __future__ import annotations

import click

from habla.cli.command_options import command, host_filters, identity_option, report_options, stack_option
from habla.cli.exit_status import ExitStatus
from habla.cli.invocation import Invocation
from habla.cli.result import Result

__all__ = ["logs"]


@command(
    examples=(
        "habla logs -s production",
        "habla logs -s production --role stable --json",
        "habla logs -s lab --bounds",
    )
)
@stack_option
@host_filters
@identity_option
@click.option(
    "--bounds",
    is_flag=True,
    help="Print the largest size of each log instead, calculated from the settings. It asks no host.",
)
@report_options
def logs(invocation: Invocation, *, bounds: bool) -> Result:
    """Find logs without a size limit on the hosts.

    It asks the hosts over SSH for files that grow, or are in a log directory, and that no logrotate rule
    rotates by size. The exit status is 1 if there is such a file, and 3 if a host cannot be asked. Each host
    also looks for such files by itself and sends an alert (habla:alerts). docs/disk.md explains what to do
    about them.
    """
    from habla.cli import log_answers

    plan = invocation.plan()
    hosts = invocation.chosen(plan.settings)
    if bounds:
        return Result(log_answers.bounds_document(plan, hosts), [log_answers.bounds_table(plan, hosts)])
    asked = [name for name in hosts if not plan.settings.hosts[name].unreachable]
    with invocation.shells(plan) as reached, invocation.waiting(f"asking {len(asked)} hosts"):
        answers = log_answers.ask(reached, asked)
    faults = [f"{answer.host}: {fault}" for answer in answers for fault in answer.faults]
    faults += log_answers.crowded(plan, answers)
    found = ExitStatus.FOUND if faults or any(answer.uncovered for answer in answers) else ExitStatus.DONE
    return Result(
        {answer.host: answer.document for answer in answers},
        log_answers.uncovered_text(answers),
        faults=faults,
        status=ExitStatus.FAILED if any(answer.fault for answer in answers) else found,
    )
