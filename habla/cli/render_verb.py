"""``habla render``: every file of every host, from the settings alone."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

from habla.cli.exit_status import ExitStatus
from habla.errors import Fault, SettingsError
from habla.onhost.document import File
from habla.plan import FleetPlan
from habla.plan.stack_files import load_plan

__all__ = ["rendered", "run"]


def rendered(plan: FleetPlan, only: str | None = None) -> Iterator[tuple[str, str, File]]:
    """Host, path and content of each file that the plan puts on hosts, sorted by host and path.

    only: the host to take files from, or None for all hosts. Raises SettingsError if the plan has no such
    host.
    """
    if only is not None and only not in plan.hosts:
        known = ", ".join(plan.hosts)
        rule = f"hosts of this stack: {known}"
        raise SettingsError(
            [Fault("--host", "no such host", value=only, rule=rule, fix="choose one of these")]
        )
    for name, host in sorted(plan.hosts.items()):
        if only in (None, name):
            files = {path: file for state in host.states.values() for path, file in state.files.items()}
            yield from ((name, path, file) for path, file in sorted(files.items()))


def run(root: Path, options: argparse.Namespace) -> int:
    """Print the files, or write them below the directory that ``--out`` names."""
    plan = load_plan(root, options.stack)
    count = 0
    for host, path, file in rendered(plan, options.host):
        count += 1
        if options.out is None:
            print(f"--- {host}:{path} {file.mode} {file.owner}:{file.group}")
            print(file.text, end="" if file.text.endswith("\n") else "\n")
            continue
        target = options.out / host / path.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(file.text, "utf-8", newline="")
    for note in plan.notes:
        print(f"note: {note}", file=sys.stderr)
    if options.out is not None:
        print(f"{count} files of {len(plan.hosts) if not options.host else 1} hosts in {options.out}")
    return ExitStatus.DONE
