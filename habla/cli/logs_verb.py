"""``habla logs``: logs that nothing bounds, as the hosts find them; and what the others take at most."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from habla.cli.ssh import Shells, UnreachableError, add_identity, shells
from habla.cli.table import table
from habla.hosts.budget import size_text
from habla.hosts.watch import PROGRAM
from habla.plan import FleetPlan
from habla.plan.stack_files import load_plan

__all__ = ["Answer", "add_verb", "ask", "bounds_table", "crowded", "uncovered_table"]

_UNCOVERED = ("host", "partition", "size", "file", "what is wrong", "open in")
_ABSENT = "it has no watcher yet: deploy the stack first"
_BOUNDS = ("host", "partition", "at most", "rule", "log")


@dataclass(frozen=True)
class Answer:
    """What one host said. document: as the watcher prints it; empty when it could not be asked (fault)."""

    host: str
    document: dict[str, Any]
    fault: str = ""

    @property
    def faults(self) -> tuple[str, ...]:
        return (self.fault,) if self.fault else tuple(self.document["faults"])

    @property
    def uncovered(self) -> tuple[dict[str, Any], ...]:
        return tuple(self.document.get("uncovered", ()))


def add_verb(verbs: Any, common: argparse.ArgumentParser) -> None:
    """Add the verb to the command line."""
    parser = verbs.add_parser(
        "logs",
        parents=[common],
        help="logs that nothing bounds, on the hosts",
        description="Asks all hosts over SSH which files grow, or lie where logs are, and are rotated by no "
        "rule of logrotate or only by time. Exit status 1 when there are any, or a host cannot be asked. "
        "Each host looks for them by itself too, and tells (habla:alerts). docs/disk.md says what to do.",
    )
    add_identity(parser)
    parser.add_argument(
        "--bounds",
        action="store_true",
        help="print instead what each log takes at most, from the settings alone; no host is asked",
    )
    parser.add_argument("--json", action="store_true", help="print what the hosts say, as JSON")
    parser.set_defaults(run=_run)


def _run(root: Path, options: argparse.Namespace) -> int:
    plan = load_plan(root, options.stack)
    if options.bounds:
        print("\n".join(bounds_table(plan)))
        return 0
    with shells(root, plan, options.identity) as reached:
        answers = ask(reached, plan)
    if options.json:
        print(json.dumps({answer.host: answer.document for answer in answers}, indent=2, sort_keys=True))
    else:
        print("\n".join(uncovered_table(answers)))
    faults = [f"{answer.host}: {fault}" for answer in answers for fault in answer.faults]
    faults += crowded(plan, answers)
    for fault in faults:
        print(f"habla: {fault}", file=sys.stderr)
    return 1 if faults or any(answer.uncovered for answer in answers) else 0


def ask(reached: Shells, plan: FleetPlan) -> list[Answer]:
    """Ask all hosts that are not given up (``unreachable``), at once."""

    def one(host: str) -> Answer:
        # Its exit status says whether it found any; whether it could look, its document.
        command = f"if [ -x {PROGRAM} ]; then {PROGRAM} --logs 2>&1; else echo {_ABSENT}; fi || true"
        try:
            text = reached.run(host, command)
        except UnreachableError as error:
            return Answer(host, {}, str(error).removeprefix(f"{host}: "))
        try:
            return Answer(host, json.loads(text))
        except ValueError:
            return Answer(host, {}, (text.strip().splitlines() or ["no answer"])[-1])

    hosts = [name for name in plan.hosts if not plan.settings.hosts[name].unreachable]
    with ThreadPoolExecutor(16) as pool:
        return list(pool.map(one, hosts))


def crowded(plan: FleetPlan, answers: Sequence[Answer]) -> list[str]:
    """Globs that match more files than their bounds count."""
    found = []
    for answer in answers:
        paths = [PurePosixPath(path) for path in answer.document.get("covered", ())]
        for budget in plan.hosts[answer.host].budgets:
            for bound in budget.bounds:
                count = sum(path.match(bound.path) for path in paths)
                if count > bound.files:
                    found.append(
                        f"{answer.host}: {count} files match {bound.path}, its bound counts {bound.files}: "
                        "set files of that log"
                    )
    return found


def uncovered_table(answers: Sequence[Answer]) -> list[str]:
    """The files, and how to mend each kind; or that there are none."""
    found = [(answer.host, log) for answer in answers for log in answer.uncovered]
    covered = sum(len(answer.document.get("covered", ())) for answer in answers)
    asked = sum(1 for answer in answers if answer.document)
    said = f"{covered} logs on {asked} host{'s' if asked != 1 else ''} have a rule by size"
    if not found:
        return [f"{said}, and no other file grows like one"]
    rows = [
        (host, log["partition"], size_text(log["bytes"]), log["path"], log["why"], _openers(log))
        for host, log in found
    ]
    fixes = sorted({(log["reason"], log["fix"]) for _, log in found})
    return [*table(_UNCOVERED, rows), "", *(f"{reason}: {fix}" for reason, fix in fixes), said]


def _openers(log: dict[str, Any]) -> str:
    return ", ".join(f"{who['unit'] or who['command']} ({who['pid']})" for who in log["open_by"]) or "-"


def bounds_table(plan: FleetPlan) -> list[str]:
    """What each log takes at most, and each partition in all."""
    return table(_BOUNDS, list(_bound_rows(plan)))


def _bound_rows(plan: FleetPlan) -> Iterator[tuple[str, ...]]:
    for name, host in plan.hosts.items():
        for budget in host.budgets:
            if not budget.bounds:
                continue
            for bound in budget.bounds:
                yield name, budget.mount, size_text(bound.bytes), bound.rule, bound.path
            share = budget.needed * 100 // budget.size
            text = f"{share} % of {size_text(budget.size)}; {size_text(budget.allowed)} are allowed"
            reserved = f", {size_text(budget.reserved)} reserved" if budget.reserved else ""
            yield name, budget.mount, size_text(budget.needed), "all", f"{text}{reserved}"
