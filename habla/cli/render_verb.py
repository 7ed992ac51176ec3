"""``habla render``: every file of every host, as it will be, from the settings alone."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from habla.errors import Fault, SettingsError
from habla.onhost.document import File
from habla.plan import FleetPlan
from habla.plan.stack_files import load_plan

__all__ = ["add_verb", "rendered"]


def add_verb(verbs: Any, common: argparse.ArgumentParser) -> None:
    """Add the verb to the command line."""
    parser = verbs.add_parser(
        "render",
        parents=[common],
        help="print every file of every host",
        description="Prints every file that the stack puts on its hosts. Needs no pulumi, no SSH and no "
        "secrets: where a secret goes, its name stands. The same settings give the same bytes everywhere.",
    )
    parser.add_argument("--host", metavar="HOST", help="of this host only")
    parser.add_argument("--out", type=Path, metavar="DIR", help="write DIR/HOST/absolute/path instead")
    parser.set_defaults(run=_run)


def rendered(plan: FleetPlan, only: str | None = None) -> Iterator[tuple[str, str, File]]:
    """Host, path and file of everything the plan puts on hosts, in order."""
    if only is not None and only not in plan.hosts:
        known = ", ".join(plan.hosts)
        raise SettingsError(
            [Fault("--host", "no such host", value=only, rule=f"hosts here: {known}", fix="choose one")]
        )
    for name, host in sorted(plan.hosts.items()):
        if only in (None, name):
            files = {path: file for state in host.states.values() for path, file in state.files.items()}
            yield from ((name, path, file) for path, file in sorted(files.items()))


def _run(root: Path, options: argparse.Namespace) -> int:
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
    return 0
