"""Visitors of the website as a program; run in the lab's outside network.

    visitor.py download HOST PATH    reads slowly until a line comes on stdin, then to the end
    visitor.py ask --workers N --rate N --most N [--burst N] [--seconds N] HOST PATH …
                                     asks for these in turn until a line comes on stdin

``ask`` makes at most --rate requests a second and at most --most in all. It is an error to need more.
--burst: so many requests are due at the same time. --seconds: it stops after so many seconds of answers.

Events are lines of JSON: {"event": "started"} once answers come, and at the end {"event": "done", …}.
"""

from __future__ import annotations

import argparse
import hashlib
import http.client
import itertools
import json
import sys
import threading
import time
from collections import Counter
from typing import Any

from events import fail, say
from pace import Pace, TooMany

ADDRESS = "203.0.113.10"
# A slow download: bytes a part, parts a second, and parts in two minutes.
SLOW_BYTES, SLOW_RATE, SLOW_MOST = 16384, 20, 2400
# Answers until it is certain that every worker is at work and every server has been asked.
WARM = 300
# Longer than HAProxy takes to find a lost server, shorter than it waits for the answer of one.
ANSWER_SECONDS = 20
# Visitors notice an answer that takes longer.
LATE_SECONDS = 0.5


def download(stop: threading.Event, host: str, path: str) -> None:
    """One answer, slowly: its size and digest, and when it could not be read to its end, why."""
    connection = http.client.HTTPConnection(ADDRESS, 80, timeout=ANSWER_SECONDS)
    connection.request("GET", path, headers={"Host": host})
    answer = connection.getresponse()
    size, digest, fault = 0, hashlib.sha256(), ""
    pace = Pace(SLOW_RATE, SLOW_MOST, wait=stop.wait)
    say(event="started", status=answer.status, length=int(answer.headers["Content-Length"]))
    try:
        while part := answer.read(1 << 20 if stop.is_set() else SLOW_BYTES):
            size += len(part)
            digest.update(part)
            if not stop.is_set():
                pace.turn()
    except (OSError, http.client.HTTPException) as error:
        fault = f"{type(error).__name__} {error}"
    except TooMany as error:
        fail(error)
    say(event="done", size=size, sha256=digest.hexdigest(), fault=fault)


def ask(
    stop: threading.Event, pace: Pace, workers: int, host: str, paths: list[str], seconds: float = 0
) -> None:
    """Many answers: how many, by whom, the slowest, and what failed, with the time when it was asked for.

    Answers that took more than half a second are listed as well: (asked, seconds). seconds: stop by itself
    after so many seconds of answers; 0 for never.
    """
    servers: Counter[str] = Counter()
    faults: list[dict[str, Any]] = []
    durations: list[float] = []
    late: list[tuple[float, float]] = []
    lock = threading.Lock()
    next_path = itertools.cycle(paths)

    def started() -> None:
        say(event="started")
        if seconds:
            timer = threading.Timer(seconds, stop.set)
            timer.daemon = True
            timer.start()

    def request() -> None:
        with lock:
            path = next(next_path)
        asked, begun, fault, server = time.time(), time.monotonic(), "", ""
        try:
            server = _one(host, path)
        except (OSError, http.client.HTTPException) as error:
            fault = f"{type(error).__name__} {error}"
        with lock:
            durations.append(time.monotonic() - begun)
            if durations[-1] > LATE_SECONDS:
                late.append((asked, round(durations[-1], 2)))
            if fault:
                faults.append({"path": path, "asked": asked, "failed": time.time(), "fault": fault})
            else:
                servers[server] += 1
                if servers.total() == WARM:
                    started()

    def work() -> None:
        while not stop.is_set():
            try:
                pace.turn()
            except TooMany as error:
                fail(error)
                stop.set()
            if not stop.is_set():
                request()

    threads = [threading.Thread(target=work) for _ in range(workers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    durations.sort()
    percentiles = {str(p): round(1000 * durations[len(durations) * p // 100]) for p in (50, 95, 99)}
    say(
        event="done",
        servers=dict(servers),
        faults=faults,
        slowest=round(durations[-1], 2),
        late=late,
        milliseconds=percentiles,
    )


def _one(host: str, path: str) -> str:
    """Who answered with 200; raises OSError when nobody did."""
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "system.hosts"}) if path == "/rpc" else None
    connection = http.client.HTTPConnection(ADDRESS, 80, timeout=ANSWER_SECONDS)
    try:
        connection.request("POST" if body else "GET", path, body, {"Host": host})
        answer = connection.getresponse()
        text = answer.read()
        if answer.status != 200 or (body and b'"result"' not in text):
            raise ConnectionError(f"status {answer.status}: {text[:200]!r}")
        return str(answer.headers["X-Served-By"])
    finally:
        connection.close()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    one = verbs.add_parser("download")
    one.add_argument("host")
    one.add_argument("path")
    many = verbs.add_parser("ask")
    many.add_argument("--workers", type=int, required=True)
    many.add_argument("--rate", type=float, required=True)
    many.add_argument("--most", type=int, required=True)
    many.add_argument("--burst", type=int, default=1)
    many.add_argument("--seconds", type=float, default=0.0)
    many.add_argument("host")
    many.add_argument("paths", nargs="+")
    return parser.parse_args()


def main() -> None:
    """Do what the command line says, until a line comes or the bounds are reached."""
    options, stop = _options(), threading.Event()

    def wait_for_line() -> None:
        sys.stdin.readline()
        stop.set()

    threading.Thread(target=wait_for_line, daemon=True).start()
    if options.verb == "download":
        download(stop, options.host, options.path)
    else:
        pace = Pace(options.rate, options.most, burst=options.burst, wait=stop.wait)
        ask(stop, pace, options.workers, options.host, options.paths, options.seconds)


if __name__ == "__main__":
    main()
