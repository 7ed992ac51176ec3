"""The rate and the number of requests that a test makes.

Every load in a test takes its turns from a `Pace`. Without one, a test asks as fast as the machine allows,
and a fast machine runs out of ports: each closed connection keeps its port for a minute, and there are about
28,000 of them.

This module runs on hosts too. It uses nothing but Python's standard library, from Python 3.9 on.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator


class TooMany(RuntimeError):
    """A load has used up its turns before it was told to stop."""


class Pace:
    """Turns at a fixed rate, up to a fixed number. Several threads may share one pace.

    A turn that nobody takes within its interval is lost. A load that was held up does not hurry afterwards.
    """

    def __init__(
        self,
        rate: float,
        most: int,
        *,
        burst: int = 1,
        clock: Callable[[], float] = time.monotonic,
        wait: Callable[[float], object] = time.sleep,
    ) -> None:
        """Set the bounds. The first turn is due when somebody takes it.

        rate: turns a second. most: turns in all. burst: this many turns are due at the same time, and the
        next ones follow after burst / rate seconds. clock: seconds that never go back. wait: sleeps for some
        seconds, or less when the load was told to stop.
        """
        if rate <= 0 or most < 1 or burst < 1:
            raise ValueError(f"rate {rate}, most {most} and burst {burst} must be greater than 0")
        self.rate, self.most = rate, most
        self._burst, self._interval = burst, burst / rate
        self._clock, self._wait = clock, wait
        self._lock = threading.Lock()
        self._taken = 0
        self._due: float | None = None
        self._left = 0

    def take(self) -> float:
        """Take the next turn, and return the seconds until it is due.

        Raises TooMany when all turns are used up.
        """
        with self._lock:
            if self._taken == self.most:
                raise TooMany(
                    f"all {self.most} turns at {self.rate:g} a second are used up; "
                    "end the load earlier, or raise its number of turns"
                )
            self._taken += 1
            now = self._clock()
            if self._due is None:
                self._due, self._left = now, self._burst
            elif not self._left:
                self._due, self._left = self._due + self._interval, self._burst
            if now - self._due >= self._interval:
                self._due, self._left = now, self._burst
            self._left -= 1
            return max(0.0, self._due - now)

    def turn(self) -> None:
        """Take the next turn and wait until it is due. Raises TooMany when all turns are used up."""
        seconds = self.take()
        if seconds:
            self._wait(seconds)

    def __iter__(self) -> Iterator[int]:
        """Wait for each turn, and number them from 0. The last turn ends the loop; that is no error."""
        for number in range(self.most):
            self.turn()
            yield number
