"""Asks an address for a page over and over; run in the lab's outside network.

    watcher.py ADDRESS SECONDS HOST PATH    SECONDS: how long it waits for an answer

It asks 100 times a second, for five minutes at most. It is an error to need more.

Events are lines of JSON: {"event": "started"} once answers come, and for each line on stdin
{"event": "report", "gap": the longest time in seconds without an answer, "answers": …, "faults": […]}
about the time since the last one.
"""

from __future__ import annotations

import http.client
import sys
import threading
import time
from itertools import pairwise

from events import fail, say
from pace import Pace, TooMany

WORKERS, RATE, MOST = 4, 100, 30_000


class Watch:
    """Workers that ask, and what became of it."""

    def __init__(self, address: str, seconds: float, host: str, path: str) -> None:
        self._address, self._seconds, self._host, self._path = address, seconds, host, path
        self._lock = threading.Lock()
        self._pace = Pace(RATE, MOST)
        self._answering = threading.Event()
        self._answers: list[float] = []
        self._faults: list[str] = []
        for _ in range(WORKERS):
            threading.Thread(target=self._work, daemon=True).start()

    def wait_for_answers(self) -> None:
        """Wait until every worker has had time for an answer."""
        self._answering.wait()

    def report(self) -> dict[str, object]:
        """What happened since the last report."""
        with self._lock:
            answers, faults = [*self._answers, time.monotonic()], self._faults
            self._answers, self._faults = self._answers[-1:], []
        gap = max(later - earlier for earlier, later in pairwise(answers))
        return {"gap": round(gap, 2), "answers": len(answers) - 1, "faults": faults}

    def _work(self) -> None:
        while True:
            fault = ""
            try:
                self._pace.turn()
                self._ask()
            except TooMany as error:
                fail(error)
                return
            except (OSError, http.client.HTTPException) as error:
                fault = f"{type(error).__name__} {error}"
            with self._lock:
                if fault:
                    self._faults.append(fault)
                else:
                    self._answers.append(time.monotonic())
                    if len(self._answers) == WORKERS:
                        self._answering.set()

    def _ask(self) -> None:
        connection = http.client.HTTPConnection(self._address, 80, timeout=self._seconds)
        try:
            connection.request("GET", self._path, headers={"Host": self._host})
            answer = connection.getresponse()
            answer.read()
            if answer.status != 200:
                raise ConnectionError(f"status {answer.status}")
        finally:
            connection.close()


def main() -> None:
    """Report whenever a line comes, until there are no more."""
    address, seconds, host, path = sys.argv[1:]
    watch = Watch(address, float(seconds), host, path)
    watch.wait_for_answers()
    say(event="started")
    for _ in sys.stdin:
        say(event="report", **watch.report())


if __name__ == "__main__":
    main()
