"""Visitors of the website as a program; run in the lab's outside network.

    visitor.py download HOST PATH        reads slowly until a line comes on stdin, then to the end
    visitor.py ask WORKERS HOST PATH …   asks for these again and again until a line comes on stdin

Events are lines of JSON: {"event": "started"} once answers come, and at the end {"event": "done", …}.
"""

from __future__ import annotations

import hashlib
import http.client
import itertools
import json
import sys
import threading
import time
from collections import Counter
from typing import Any

ADDRESS = "203.0.113.10"
SLOW_BYTES, SLOW_PAUSE = 16384, 0.05
# Answers until it is certain that every worker is at work and every server has been asked.
WARM = 300
# Longer than HAProxy takes to find a lost server, shorter than it waits for the answer of one.
ANSWER_SECONDS = 20


def say(**event: Any) -> None:
    """One event."""
    print(json.dumps(event), flush=True)


def download(stop: threading.Event, host: str, path: str) -> None:
    """One answer, slowly: its size and digest, and when it could not be read to its end, why."""
    connection = http.client.HTTPConnection(ADDRESS, 80, timeout=ANSWER_SECONDS)
    connection.request("GET", path, headers={"Host": host})
    answer = connection.getresponse()
    size, digest, fault = 0, hashlib.sha256(), ""
    say(event="started", status=answer.status, length=int(answer.headers["Content-Length"]))
    try:
        while part := answer.read(SLOW_BYTES if not stop.wait(0) else 1 << 20):
            size += len(part)
            digest.update(part)
            stop.wait(SLOW_PAUSE)
    except (OSError, http.client.HTTPException) as error:
        fault = f"{type(error).__name__} {error}"
    say(event="done", size=size, sha256=digest.hexdigest(), fault=fault)


def ask(stop: threading.Event, workers: int, host: str, paths: list[str]) -> None:
    """Many answers: how many, by whom, the slowest, and what failed, with the time when it was asked for."""
    servers: Counter[str] = Counter()
    faults: list[dict[str, Any]] = []
    seconds: list[float] = []
    lock = threading.Lock()
    next_path = itertools.cycle(paths)

    def work() -> None:
        while not stop.is_set():
            with lock:
                path = next(next_path)
            started, fault, server = time.time(), "", ""
            try:
                server = _one(host, path)
            except (OSError, http.client.HTTPException) as error:
                fault = f"{type(error).__name__} {error}"
            with lock:
                seconds.append(time.time() - started)
                if fault:
                    faults.append({"path": path, "asked": started, "failed": time.time(), "fault": fault})
                else:
                    servers[server] += 1
                    if servers.total() == WARM:
                        say(event="started")

    threads = [threading.Thread(target=work) for _ in range(workers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seconds.sort()
    percentiles = {str(p): round(1000 * seconds[len(seconds) * p // 100]) for p in (50, 95, 99)}
    say(
        event="done",
        servers=dict(servers),
        faults=faults,
        slowest=round(seconds[-1], 2),
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


def main() -> None:
    """A verb and its arguments."""
    stop = threading.Event()

    def wait_for_line() -> None:
        sys.stdin.readline()
        stop.set()

    threading.Thread(target=wait_for_line, daemon=True).start()
    match sys.argv[1:]:
        case ["download", host, path]:
            download(stop, host, path)
        case ["ask", workers, host, *paths]:
            ask(stop, int(workers), host, paths)
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    main()
