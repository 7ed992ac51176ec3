"""``habla status``: the servers behind both HAProxy instances, in one table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from habla.cli.command_options import command, host_filters, identity_option, report_options, stack_option
from habla.cli.exit_status import ExitStatus
from habla.cli.invocation import Invocation
from habla.cli.result import Result, Table, Tone, Toned

if TYPE_CHECKING:
    from habla.cli.balancers import Answer, OldProcess, ServerState

__all__ = ["old_processes_table", "servers_table", "status"]

_HEAD = ("front", "instance", "backend", "server", "state", "sessions", "queue", "last check")
_OLD_HEAD = ("front", "instance", "old process", "replaced", "sessions")


@command(
    examples=(
        "habla status -s lab",
        "habla status -s production --host stable1",
        "habla status -s production --quiet || echo look at the fleet",
    )
)
@stack_option
@host_filters
@identity_option
@report_options
def status(invocation: Invocation) -> Result:
    """Print the state of the servers behind HAProxy.

    It asks the HAProxy instances of all front hosts over SSH. Each server has its state, sessions, queue and
    last check. A second table has the old processes that serve their last connections after a reload. --host
    and --role choose the servers, and the old processes, on these hosts. The exit status is 1 if a backend
    has no server left or an instance is in maintenance, and 3 if an instance does not answer.
    """
    from habla.cli.balancers import ask, fronts, shared_addresses

    plan = invocation.plan()
    chosen = invocation.chosen(plan.settings)
    with invocation.shells(plan) as reached, invocation.waiting(f"asking {', '.join(fronts(plan))}"):
        answers = ask(reached, plan)
    holders = {
        shared: [answer.host for answer in answers if shared in answer.addresses]
        for shared in shared_addresses(plan)
    }
    everything = len(chosen) == len(plan.hosts)
    shown = [
        (answer.host, server)
        for answer in answers
        for server in answer.servers
        if everything or server.server in chosen
    ]
    old = [
        (answer.host, process)
        for answer in answers
        for process in answer.old_processes
        if answer.host in chosen
    ]
    silent = list(_silent(answers))
    instances = {(host, item.instance) for host, item in shown}
    maintenance = [
        (answer.host, instance)
        for answer in answers
        for instance in answer.maintenance
        if answer.host in chosen or (answer.host, instance) in instances
    ]
    found = [
        f"{front}: {instance} is in maintenance; end it with habla maintenance off {instance}"
        for front, instance in maintenance
    ]
    found += [
        f"{front}: backend {backend} of {instance} has no server left"
        for front, instance, backend in _unserved(answers)
        if any((front, instance, backend) == (host, item.instance, item.backend) for host, item in shown)
    ]
    lines = [f"shared address {shared}: {', '.join(names) or 'nobody'}" for shared, names in holders.items()]
    document = {
        "servers": [{"front": front, **asdict(server)} for front, server in shown],
        "old_processes": [{"front": front, **asdict(process)} for front, process in old],
        "shared_addresses": holders,
        "maintenance": [{"front": front, "instance": instance} for front, instance in maintenance],
        "faults": [*silent, *found],
    }
    tables: list[str | Table] = [servers_table(shown)]
    if old:
        tables += ["", old_processes_table(old)]
    return Result(
        document,
        [*tables, *lines],
        faults=[*silent, *found],
        status=ExitStatus.FAILED if silent else ExitStatus.FOUND if found else ExitStatus.DONE,
    )


def servers_table(servers: Sequence[tuple[str, ServerState]]) -> Table:
    """A table with one row for each server of each HAProxy instance, with the front host."""
    rows = [
        (
            front,
            item.instance,
            item.backend,
            item.server,
            Toned(item.state, _tone(item)),
            str(item.sessions),
            str(item.queue),
            item.check,
        )
        for front, item in servers
    ]
    return Table(_HEAD, rows, fixed=7)


def old_processes_table(processes: Sequence[tuple[str, OldProcess]]) -> Table:
    """A table with one row for each old process, with the front host."""
    from habla.onhost.watch.readable_times import duration

    rows = [
        (front, item.instance, str(item.pid), f"{duration(item.replaced_seconds)} ago", str(item.sessions))
        for front, item in processes
    ]
    return Table(_OLD_HEAD, rows, fixed=5)


def _tone(server: ServerState) -> Tone:
    if server.down:
        return Tone.BAD
    return Tone.WARNING if server.drained else Tone.GOOD


def _silent(answers: Sequence[Answer]) -> Iterator[str]:
    for answer in answers:
        for instance, words in (answer.faults or {}).items():
            yield f"{answer.host}: {instance} {words}" if instance else words


def _unserved(answers: Sequence[Answer]) -> Iterator[tuple[str, str, str]]:
    """Front host, instance and name of each backend that has no server left, except in maintenance."""
    for answer in answers:
        backends: dict[tuple[str, str], bool] = {}
        for item in answer.servers:
            key = item.instance, item.backend
            backends[key] = backends.get(key, False) or not item.drained
        for (instance, backend), served in backends.items():
            if not served and instance not in answer.maintenance:
                yield answer.host, instance, backend
