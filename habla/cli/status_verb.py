"""``habla status``: the servers behind both HAProxy instances, in one table."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from habla.cli.balancers import Answer, ask, shared_addresses
from habla.cli.exit_status import ExitStatus
from habla.cli.ssh import shells
from habla.cli.table import table
from habla.plan.stack_files import load_plan

__all__ = ["run", "servers_table"]

_HEAD = ("front", "instance", "backend", "server", "state", "sessions", "queue", "last check")


def run(root: Path, options: argparse.Namespace) -> int:
    """Print the table, the instances that do not answer, and the backends without a server."""
    plan = load_plan(root, options.stack)
    with shells(root, plan, identity=options.identity) as reached:
        answers = ask(reached, plan)
    for line in servers_table(answers):
        print(line)
    for shared in shared_addresses(plan):
        holders = [answer.host for answer in answers if shared in answer.addresses]
        print(f"shared address {shared}: {', '.join(holders) or 'nobody'}")
    silent, unserved = list(_silent(answers)), list(_unserved(answers))
    for fault in (*silent, *unserved):
        print(f"habla: {fault}", file=sys.stderr)
    if silent:
        return ExitStatus.FAILED
    return ExitStatus.FOUND if unserved else ExitStatus.DONE


def servers_table(answers: Sequence[Answer]) -> list[str]:
    """A table with one line per server of each HAProxy instance."""
    rows = [
        (
            answer.host,
            item.instance,
            item.backend,
            item.server,
            item.state,
            str(item.sessions),
            str(item.queue),
            item.check,
        )
        for answer in answers
        for item in answer.servers
    ]
    return table(_HEAD, rows)


def _silent(answers: Sequence[Answer]) -> Iterator[str]:
    for answer in answers:
        for instance, words in (answer.faults or {}).items():
            yield f"{answer.host}: {instance} {words}" if instance else words


def _unserved(answers: Sequence[Answer]) -> Iterator[str]:
    for answer in answers:
        backends: dict[tuple[str, str], bool] = {}
        for item in answer.servers:
            key = item.instance, item.backend
            backends[key] = backends.get(key, False) or not item.drained
        for (instance, backend), served in backends.items():
            if not served:
                yield f"{answer.host}: backend {backend} of {instance} has no server left"
