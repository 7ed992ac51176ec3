"""What the HAProxy instances of a stack say about their servers, asked at their stats pages."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from habla.cli.ssh import Shells, UnreachableError
from habla.plan import FleetPlan, HostPlan

__all__ = ["Answer", "ServerState", "ask", "fronts", "parse_stats", "shared_addresses"]

# Runs on a front host, with INSTANCE=PORT of each statistics page as its words; Python 3.9.
_ASK = """\
import json, subprocess, sys, urllib.request
answers = {}
for name, _, port in (word.partition("=") for word in sys.argv[1:]):
    try:
        url = "http://127.0.0.1:%s/;csv" % port
        answers[name] = urllib.request.urlopen(url, timeout=5).read().decode()
    except OSError as error:
        answers[name] = "down: %s" % getattr(error, "reason", error)
addresses = subprocess.run(["ip", "-o", "-4", "address"], capture_output=True, text=True).stdout
addresses = [line.split()[3].split("/")[0] for line in addresses.splitlines()]
print(json.dumps({"stats": answers, "addresses": addresses}))
"""


@dataclass(frozen=True)
class ServerState:
    """One server as one instance sees it. state: HAProxy's word. check: the last one, in a few words."""

    instance: str
    backend: str
    server: str
    state: str
    sessions: int
    queue: int
    check: str

    @property
    def drained(self) -> bool:
        """Whether it gets nothing new: ``DRAIN`` in 2.x, ``NOLB`` in 1.3; or it is down."""
        return self.state.startswith(("DRAIN", "NOLB", "DOWN", "MAINT"))


@dataclass(frozen=True)
class Answer:
    """What a front host said. faults: instances that do not answer, with why. addresses: its own."""

    host: str
    servers: tuple[ServerState, ...] = ()
    faults: Mapping[str, str] | None = None
    addresses: tuple[str, ...] = ()


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


def ask(shells: Shells, plan: FleetPlan) -> list[Answer]:
    """Ask all front hosts at once."""
    hosts = fronts(plan)
    with ThreadPoolExecutor(max(1, len(hosts))) as pool:
        return list(pool.map(lambda host: _ask(shells, host, pages=_pages(plan.hosts[host])), hosts))


def _pages(host: HostPlan) -> dict[str, int]:
    """Instance -> port of its statistics page."""
    return {name: port for service in host.services for name, port in service.stats_pages().items()}


def _ask(shells: Shells, host: str, *, pages: Mapping[str, int]) -> Answer:
    # The stats page and not the socket: that of 1.3.14.10 is not safe to ask.
    command = f"python3 - {' '.join(f'{name}={port}' for name, port in pages.items())}"
    try:
        found: dict[str, Any] = json.loads(shells.run(host, command, _ASK))
    except UnreachableError as error:
        return Answer(host, faults={"": str(error)})
    servers: list[ServerState] = []
    faults = {}
    for instance, text in found["stats"].items():
        if text.startswith("# "):
            servers += parse_stats(instance, text)
        else:
            faults[instance] = text
    # 1.3 lists backends backwards.
    servers.sort(key=lambda item: (item.instance != "www", item.backend, item.server))
    return Answer(host, tuple(servers), faults, tuple(found["addresses"]))


def parse_stats(instance: str, text: str) -> Iterator[ServerState]:
    """The servers of the statistics as CSV, of either dialect."""
    for row in csv.DictReader(io.StringIO(text.removeprefix("# "))):
        if row["svname"] in ("FRONTEND", "BACKEND"):
            continue
        yield ServerState(
            instance,
            row["pxname"],
            row["svname"],
            row["status"],
            int(row["scur"] or 0),
            int(row["qcur"] or 0),
            _check(row),
        )


def _check(row: Mapping[str, str]) -> str:
    """2.x says what the last check found; 1.3 only how many failed, and when the state last changed."""
    if row.get("check_status"):
        code = f"/{row['check_code']}" if row.get("check_code", "0") not in ("", "0") else ""
        return f"{row['check_status'].removeprefix('* ')}{code} in {row.get('check_duration') or 0} ms"
    return f"{row.get('chkfail') or 0} failed, as now for {row.get('lastchg') or 0} s"
