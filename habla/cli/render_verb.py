"""``habla render``: every file of every host, from the settings alone."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from habla.cli.command_options import command, host_filters, report_options, stack_option
from habla.cli.invocation import Invocation
from habla.cli.result import Result

if TYPE_CHECKING:
    from habla.onhost.document import File
    from habla.plan import FleetPlan

__all__ = ["render", "rendered"]


def rendered(plan: FleetPlan, hosts: Collection[str] | None = None) -> Iterator[tuple[str, str, File]]:
    """Host, path and content of each file that the plan puts on hosts, sorted by host and path.

    hosts: the hosts to take files from, or None for all hosts.
    """
    for name, host in sorted(plan.hosts.items()):
        if hosts is None or name in hosts:
            files = {path: file for state in host.states.values() for path, file in state.files.items()}
            yield from ((name, path, file) for path, file in sorted(files.items()))


@command(
    examples=(
        "habla render -s lab --host front1",
        "habla render -s production --out rendered",
        "habla render -s production --quiet && echo the settings are valid",
    )
)
@stack_option
@host_filters
@click.option(
    "--out",
    metavar="DIR",
    type=click.Path(path_type=Path, file_okay=False),
    help="Write the files to DIR/HOST/absolute/path instead of printing them.",
)
@report_options
def render(invocation: Invocation, *, out: Path | None) -> Result:
    """Print every file of every host.

    It needs no Pulumi, no SSH and no secrets: it prints the name of a secret in place of its value. The same
    settings give the same bytes on every machine.
    """
    plan = invocation.plan()
    hosts = invocation.chosen(plan.settings)
    files = list(rendered(plan, hosts))
    document = {
        name: {
            path: {"mode": file.mode, "owner": file.owner, "group": file.group, "text": file.text}
            for host, path, file in files
            if host == name
        }
        for name in hosts
    }
    if out is None:
        text = []
        for host, path, file in files:
            text += [f"--- {host}:{path} {file.mode} {file.owner}:{file.group}", file.text.removesuffix("\n")]
        return Result(document, text, notes=plan.notes)
    for host, path, file in files:
        target = out / host / path.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(file.text, "utf-8", newline="")
    return Result(document, [f"{len(files)} files of {len(hosts)} hosts in {out}"], notes=plan.notes)
