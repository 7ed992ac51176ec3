"""The logs without a size limit on the hosts of a stack, and the largest size of all others."""

from __future__ import annotations

import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from habla.cli.result import Table, Tone, Toned
from habla.cli.ssh import Shells, UnreachableError
from habla.hosts.budget import size_text
from habla.hosts.watch import PROGRAM
from habla.plan import FleetPlan

__all__ = ["Answer", "ask", "bounds_document", "bounds_table", "crowded", "uncovered_text"]

_UNCOVERED = ("host", "partition", "size", "file", "what is wrong", "open in")
_ABSENT = "the host has no watcher yet: deploy the stack first"
_BOUNDS = ("host", "partition", "at most", "rule", "log")


@dataclass(frozen=True)
class Answer:
    """The answer of one host."""

    host: str
    document: dict[str, Any]
    """The watcher's output; empty if the host could not be asked."""
    fault: str = ""
    """The reason why the host could not be asked; empty if it answered."""

    @property
    def faults(self) -> tuple[str, ...]:
        """The reason why the host could not be asked, or else the faults that its watcher reports."""
        return (self.fault,) if self.fault else tuple(self.document["faults"])

    @property
    def uncovered(self) -> tuple[dict[str, Any], ...]:
        """The logs without a size limit, as the watcher describes them."""
        return tuple(self.document.get("uncovered", ()))


def ask(reached: Shells, hosts: Sequence[str]) -> list[Answer]:
    """Ask the hosts at once."""

    def one(host: str) -> Answer:
        # The watcher exits with 1 if it finds a log, so its exit status does not show whether it could look.
        # Its document does.
        command = f"if [ -x {PROGRAM} ]; then {PROGRAM} --logs 2>&1; else echo {_ABSENT}; fi || true"
        try:
            text = reached.run(host, command)
        except UnreachableError as error:
            return Answer(host, {}, fault=str(error).removeprefix(f"{host}: "))
        try:
            document = json.loads(text)
        except ValueError:
            document = None
        if isinstance(document, dict):
            return Answer(host, document)
        return Answer(host, {}, fault=(text.strip().splitlines() or ["no answer"])[-1])

    with ThreadPoolExecutor(16) as pool:
        return list(pool.map(one, hosts))


def crowded(plan: FleetPlan, answers: Sequence[Answer]) -> list[str]:
    """A fault for each glob that matches more files on a host than its bound allows for."""
    found = []
    for answer in answers:
        paths = [PurePosixPath(path) for path in answer.document.get("covered", ())]
        for budget in plan.hosts[answer.host].budgets:
            for bound in budget.bounds:
                count = sum(path.match(bound.path) for path in paths)
                if count > bound.files:
                    found.append(
                        f"{answer.host}: {count} files match {bound.path}, but its bound allows for "
                        f"{bound.files}: raise `files` of that log"
                    )
    return found


def uncovered_text(answers: Sequence[Answer]) -> list[str | Table]:
    """A table of the logs without a size limit and a fix for each kind, or one line if there are none."""
    found = [(answer.host, log) for answer in answers for log in answer.uncovered]
    covered = sum(len(answer.document.get("covered", ())) for answer in answers)
    asked = sum(1 for answer in answers if answer.document)
    said = f"{covered} logs on {asked} host{'s' if asked != 1 else ''} have a rule by size"
    if not found:
        return [f"{said}, and no other file grows like one"]
    rows = [
        (
            host,
            log["partition"],
            size_text(log["bytes"]),
            Toned(log["path"], Tone.BAD),
            log["why"],
            _openers(log),
        )
        for host, log in found
    ]
    fixes = sorted({(log["reason"], log["fix"]) for _, log in found})
    return [Table(_UNCOVERED, rows, fixed=3), "", *(f"{reason}: {fix}" for reason, fix in fixes), said]


def _openers(log: dict[str, Any]) -> str:
    return ", ".join(f"{who['unit'] or who['command']} ({who['pid']})" for who in log["open_by"]) or "-"


def bounds_table(plan: FleetPlan, hosts: Sequence[str]) -> Table:
    """A table of the largest size of each log of the hosts, with the sum for each partition."""
    rows: list[tuple[str, ...]] = []
    for name in hosts:
        for budget in plan.hosts[name].budgets:
            if not budget.bounds:
                continue
            rows += [
                (name, budget.mount, size_text(bound.bytes), bound.rule, bound.path)
                for bound in budget.bounds
            ]
            share = budget.needed * 100 // budget.size
            text = f"{share} % of {size_text(budget.size)}; {size_text(budget.allowed)} are allowed"
            reserved = f", {size_text(budget.reserved)} reserved" if budget.reserved else ""
            rows.append((name, budget.mount, size_text(budget.needed), "all", f"{text}{reserved}"))
    return Table(_BOUNDS, rows, fixed=4)


def bounds_document(plan: FleetPlan, hosts: Sequence[str]) -> dict[str, Any]:
    """Host -> partition -> its sizes in bytes, and the largest size of each of its logs."""
    return {
        name: {
            budget.mount: {
                "size": budget.size,
                "needed": budget.needed,
                "allowed": budget.allowed,
                "reserved": budget.reserved,
                "logs": {bound.path: {"rule": bound.rule, "bytes": bound.bytes} for bound in budget.bounds},
            }
            for budget in plan.hosts[name].budgets
        }
        for name in hosts
    }
