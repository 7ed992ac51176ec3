"""Keeps the promises that HAProxy itself cannot keep. It looks at each instance twice a second.

- Connections to a server that is down are closed, those of replaced processes too. These make no checks any
  more, and no HAProxy closes a request that a hung program will never answer.
- 1.3: the instance is reloaded when a server with a queue is down, so that the new process leaves it out, and
  when a server that is left out is well again. In 1.3.14.10 a request that fails on a server takes the next
  one out of the queue for it, also while that server is down (``may_dequeue_tasks`` in queue.h): as long as
  requests wait, some go on to fail.
- 1.3: a replaced process ends after its time. 2.x does that itself (``hard-stop-after``).
"""

from __future__ import annotations

import csv
import io
import json
import os
import queue
import signal
import subprocess
import threading
import time
import urllib.request
from pathlib import Path
from typing import Callable, Dict, List, Sequence, Set, Tuple

from .instances import LEFT_OUT, RUNNING, Instance
from .prepare import replaced_processes
from .servers import MAINTENANCE, WELL, Server, ask, found_in

__all__ = ["Guard", "down_in", "lost_targets", "run"]

_EVERY = 0.5
_SECONDS = 5.0
# Seconds after which a server that was left out counts as well, and seconds that the first of them waits for
# the others, as one host has several.
_WELL = 1.5
_TOGETHER = 6.0
Target = Tuple[str, int]


def run(instances: Sequence[Instance], say: Callable[[str], None]) -> None:
    """Look at the instances until the program is told to end.

    Each has a thread, because a host that does not answer makes a look take longer. Raises any fault that a
    guard did not expect.
    """
    failures: queue.Queue[Exception] = queue.Queue()

    def watch(guard: Guard) -> None:
        try:
            while True:
                guard.look()
                time.sleep(_EVERY)
        except Exception as error:
            failures.put(error)

    for instance in instances:
        threading.Thread(target=watch, args=(Guard(instance, say),), daemon=True).start()
    raise failures.get()


class Guard:
    """One instance, with the findings of earlier looks. say: tells the operator."""

    def __init__(self, instance: Instance, say: Callable[[str], None]) -> None:
        self.instance = instance
        self._say = say
        self._fault = ""
        self._lost: Set[Target] = set()
        self._well: Dict[str, float] = {}

    def look(self) -> None:
        """Look once. A failure is told once, for as long as it stays the same."""
        fault = ""
        try:
            if self.instance.old:
                self._bring_back()
                self._end_replaced()
            self._close_lost()
        except (OSError, ValueError, KeyError, subprocess.SubprocessError) as error:
            fault = f"{type(error).__name__}: {error}"
        if fault and fault != self._fault:
            self._say(f"{self.instance.name}: {fault}")
        self._fault = fault

    def _close_lost(self) -> None:
        try:
            down = down_in(_statistics(self.instance.stats_port))
        except OSError:
            # It does not run, or starts at the moment. Other programs tell the operator.
            return
        if not down:
            self._lost = set()
            return
        servers = found_in(self.instance.path(RUNNING).read_text("utf-8"), self.instance.responder)
        lost = lost_targets(servers, down)
        new, self._lost = lost - self._lost, lost
        for address, port in new:
            closed = _close(address, port)
            if closed:
                name = self.instance.name
                self._say(f"{name}: {address}:{port} is down; {closed} connections to it are closed")
        if self.instance.old and queued_on(servers, lost, new=new):
            self._say(f"{self.instance.name}: reloading, so that no request waits for a server that is down")
            _systemctl("reload", self.instance.unit)

    def _bring_back(self) -> None:
        path = self.instance.path(LEFT_OUT)
        # HAProxy may not have been started yet.
        left = json.loads(path.read_text("utf-8")) if path.exists() else {}
        waiting = {label for label, why in left.items() if why != MAINTENANCE}
        if not waiting:
            self._well = {}
            return
        servers = found_in(Path(self.instance.config).read_text("utf-8"), self.instance.responder)
        answers = ask([server for server in servers if server.label in waiting])
        well = [server.label for server, answer in answers.items() if answer == WELL]
        now = time.monotonic()
        self._well = {label: self._well.get(label, now) for label in well}
        times = sorted(now - since for since in self._well.values())
        if times and (times[-1] >= _TOGETHER or (times[0] >= _WELL and len(times) == len(waiting))):
            self._say(f"{self.instance.name}: {', '.join(sorted(well))} well again; reloading")
            self._well = {}
            _systemctl("reload", self.instance.unit)

    def _end_replaced(self) -> None:
        due = [
            entry["pid"]
            for entry in replaced_processes(self.instance)
            if time.monotonic() - entry["replaced"] > self.instance.stop_after
        ]
        if due:
            # A reload that failed has replaced nothing.
            present = _systemctl("show", "--property=MainPID", "--value", self.instance.unit).strip()
            for pid in due:
                if str(pid) != present:
                    self._say(f"{self.instance.name}: the replaced process {pid} ends: its time is over")
                    os.kill(pid, signal.SIGTERM)


def down_in(statistics: str) -> List[str]:
    """BACKEND/SERVER of the servers that are down in HAProxy's statistics (CSV). Pure."""
    rows = csv.DictReader(io.StringIO(statistics.lstrip("# ")))
    return [f"{row['pxname']}/{row['svname']}" for row in rows if row["status"].startswith("DOWN")]


def lost_targets(servers: Sequence[Server], down: Sequence[str]) -> Set[Target]:
    """Addresses and ports of which every server is down: one may be in several backends. Pure."""
    states: Dict[Target, bool] = {}
    for server in servers:
        if not server.port:
            continue
        target = server.address, server.port
        states[target] = states.get(target, True) and server.label in down
    return {target for target, lost in states.items() if lost}


def queued_on(servers: Sequence[Server], lost: Set[Target], *, new: Set[Target]) -> bool:
    """Whether requests may wait for a server that was lost now, in a backend that has others. Pure."""
    served = {server.backend for server in servers if (server.address, server.port) not in lost}
    return any(
        server.limited and server.backend in served
        for server in servers
        if (server.address, server.port) in new
    )


def _statistics(port: int) -> str:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(f"http://127.0.0.1:{port}/;csv", timeout=_SECONDS) as answer:
        text: str = answer.read().decode("utf-8", "replace")
        return text


def _close(address: str, port: int) -> int:
    """Have the kernel close all connections to a server. Returns how many there were."""
    command = ["ss", "--kill", "--no-header", "--tcp", "--numeric", "state", "connected"]
    done = _run([*command, "dst", address, "dport", "=", str(port)])
    return len(done.splitlines())


def _systemctl(*words: str) -> str:
    return _run(["systemctl", *words])


def _run(command: Sequence[str]) -> str:
    """The output of a command. Raises OSError when it fails."""
    done = subprocess.run(
        list(command),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        timeout=60,
        check=False,
    )
    if done.returncode != 0:
        raise OSError(f"{' '.join(command)}: {done.stderr.decode(errors='replace').strip()}")
    return done.stdout.decode(errors="replace")
