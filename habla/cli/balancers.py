"""The servers behind HAProxy and the old processes of its instances, as the front hosts see them."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import KW_ONLY, dataclass
from functools import cache
from typing import Any

from habla.cli.ssh import Shells, UnreachableError
from habla.model.programs import package_texts
from habla.onhost.haproxy.instances import LEFT_OUT, directory
from habla.onhost.haproxy.servers import DOWN, MAINTENANCE
from habla.onhost.watch.readable_times import duration
from habla.plan import FleetPlan, HostPlan

__all__ = [
    "Answer",
    "OldProcess",
    "ServerState",
    "ask",
    "fronts",
    "left_out_file",
    "parse_left_out",
    "parse_stats",
    "shared_addresses",
]

# Runs on a front host, on Python 3.9 or newer, after the text of the module that finds old processes. Its
# arguments are INSTANCE=PORT of each statistics page.
_ASK = """\
import dataclasses, json, subprocess, sys, urllib.request
answers, left, old = {}, {}, {}
for name, _, port in (word.partition("=") for word in sys.argv[1:]):
    try:
        # Before the statistics: a reload writes the file first.
        with open(LEFT_OUT % name) as file:
            left[name] = json.load(file)
    except (OSError, ValueError):
        left[name] = {}
    try:
        url = "http://127.0.0.1:%s/;csv" % port
        answers[name] = urllib.request.urlopen(url, timeout=5).read().decode()
    except OSError as error:
        answers[name] = "down: %s" % getattr(error, "reason", error)
    try:
        old[name] = [dataclasses.asdict(process) for process in find(name)]
    except OSError:
        old[name] = []
addresses = subprocess.run(["ip", "-o", "-4", "address"], capture_output=True, text=True).stdout
addresses = [line.split()[3].split("/")[0] for line in addresses.splitlines()]
print(json.dumps({"stats": answers, "left_out": left, "addresses": addresses, "old_processes": old}))
"""
# The state of a server that the config of its instance leaves out: this, and the reason.
_LEFT_OUT = "LEFT OUT"


@cache
def _question() -> str:
    """The text of the program that runs on a front host."""
    finder = package_texts("habla.onhost.watch")["old_processes.py"]
    return f"{finder}\n\nLEFT_OUT = {left_out_file('%s')!r}\n{_ASK}"


def left_out_file(instance: str) -> str:
    """The file of a front host with the servers that the config of an instance leaves out."""
    return f"{directory(instance)}/{LEFT_OUT}"


@dataclass(frozen=True)
class ServerState:
    """One server as one HAProxy instance sees it."""

    instance: str
    backend: str
    _: KW_ONLY
    server: str
    state: str
    """The state in HAProxy's words, such as ``UP`` or ``DRAIN``; or ``LEFT OUT`` with the reason."""
    sessions: int
    queue: int
    check: str
    """The result of the last health check, in a few words."""

    @property
    def drained(self) -> bool:
        """Whether HAProxy sends it nothing new.

        It is drained (``DRAIN`` in 2.x, ``NOLB`` in 1.3) or down, or HAProxy's config leaves it out.
        """
        return self.state.startswith(("DRAIN", "NOLB", "DOWN", "MAINT", _LEFT_OUT))

    @property
    def down(self) -> bool:
        """Whether it cannot serve: its checks fail, or it was down when HAProxy's config left it out."""
        return self.state.startswith(("DOWN", "MAINT")) or self.state == f"{_LEFT_OUT} ({DOWN})"

    @property
    def in_maintenance(self) -> bool:
        """Whether it is left out because its instance is in maintenance."""
        return self.state == f"{_LEFT_OUT} ({MAINTENANCE})"


@dataclass(frozen=True)
class OldProcess:
    """A process of an instance that a reload replaced. It stays until its connections have ended."""

    instance: str
    pid: int
    _: KW_ONLY
    replaced_seconds: float
    """How long ago it was replaced."""
    sessions: int
    """The connections of its clients."""
    servers: Mapping[str, int]
    """Address of a server -> connections to it."""


@dataclass(frozen=True)
class Answer:
    """The answer of one front host."""

    host: str
    servers: tuple[ServerState, ...] = ()
    _: KW_ONLY
    faults: Mapping[str, str] | None = None
    """The instances that do not answer, with the reason. The key is empty if the host cannot be reached."""
    addresses: tuple[str, ...] = ()
    """The IPv4 addresses that the host has."""
    old_processes: tuple[OldProcess, ...] = ()
    """The old processes of its instances, the oldest of each first."""

    @property
    def maintenance(self) -> tuple[str, ...]:
        """The instances in maintenance."""
        return tuple(dict.fromkeys(server.instance for server in self.servers if server.in_maintenance))


def fronts(plan: FleetPlan) -> list[str]:
    """The hosts that run HAProxy."""
    return [name for name, host in plan.hosts.items() if any(service.balances for service in host.services)]


def shared_addresses(plan: FleetPlan) -> dict[str, list[str]]:
    """Public address -> the hosts that share it."""
    found: dict[str, list[str]] = {}
    for name, host in plan.hosts.items():
        for service in host.services:
            if service.shared_address():
                found.setdefault(service.shared_address(), []).append(name)
    return found


def ask(shells: Shells, plan: FleetPlan, *, hosts: Sequence[str] | None = None) -> list[Answer]:
    """Ask front hosts at once: all of them, or only some."""
    hosts = fronts(plan) if hosts is None else hosts
    with ThreadPoolExecutor(max(1, len(hosts))) as pool:
        return list(pool.map(lambda host: _ask(shells, host, pages=_pages(plan.hosts[host])), hosts))


def _pages(host: HostPlan) -> dict[str, int]:
    """Instance -> port of its statistics page."""
    return {name: port for service in host.services for name, port in service.stats_pages().items()}


def _ask(shells: Shells, host: str, *, pages: Mapping[str, int]) -> Answer:
    # The stats page, because a query on the stats socket is not safe in 1.3.14.10.
    command = f"python3 - {' '.join(f'{name}={port}' for name, port in pages.items())}"
    try:
        found: dict[str, Any] = json.loads(shells.run(host, command, stdin=_question()))
    except UnreachableError as error:
        return Answer(host, faults={"": str(error)})
    servers: list[ServerState] = []
    faults = {}
    for instance, text in found["stats"].items():
        if text.startswith("# "):
            running = list(parse_stats(instance, text))
            servers += running
            servers += parse_left_out(instance, found["left_out"][instance], running=running)
        else:
            faults[instance] = text
    # 1.3 lists the backends in reverse order.
    servers.sort(key=lambda item: (item.instance != "www", item.backend, item.server))
    return Answer(
        host,
        tuple(servers),
        faults=faults,
        addresses=tuple(found["addresses"]),
        old_processes=tuple(_old_processes(found["old_processes"])),
    )


def _old_processes(found: Mapping[str, list[dict[str, Any]]]) -> Iterator[OldProcess]:
    """The old processes of all instances of a front host."""
    for instance, processes in found.items():
        for fields in processes:
            yield OldProcess(instance, **fields)


def parse_stats(instance: str, text: str) -> Iterator[ServerState]:
    """The servers in the CSV of a stats page of HAProxy 1.3 or 2.x."""
    for row in csv.DictReader(io.StringIO(text.removeprefix("# "))):
        if row["svname"] in ("FRONTEND", "BACKEND"):
            continue
        yield ServerState(
            instance,
            row["pxname"],
            server=row["svname"],
            state=row["status"],
            sessions=int(row["scur"] or 0),
            queue=int(row["qcur"] or 0),
            check=_check(row),
        )


def parse_left_out(
    instance: str, reasons: Mapping[str, str], *, running: Sequence[ServerState]
) -> Iterator[ServerState]:
    """The servers that the config of an instance leaves out.

    reasons: BACKEND/SERVER -> the reason. running: the servers that the present process has. During a reload,
    a server may be in both. The process then still has the config of before.
    """
    known = {(item.backend, item.server) for item in running}
    for label, reason in reasons.items():
        backend, _, server = label.partition("/")
        if (backend, server) not in known:
            state = f"{_LEFT_OUT} ({reason})"
            yield ServerState(instance, backend, server=server, state=state, sessions=0, queue=0, check="")


def _check(row: Mapping[str, str]) -> str:
    """The result of the last check. 1.3 reports only the failed checks and the time of the last change."""
    if row.get("check_status"):
        code = f"/{row['check_code']}" if row.get("check_code", "0") not in ("", "0") else ""
        return f"{row['check_status'].removeprefix('* ')}{code} in {row.get('check_duration') or 0} ms"
    unchanged = duration(float(row.get("lastchg") or 0))
    return f"{row.get('chkfail') or 0} failed, as now for {unchanged}"
