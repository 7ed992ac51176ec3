"""A server of the website dies in one way or another, and visitors hardly notice."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
from fleet import OLD_ARCHIVE, STABLE, Fleet
from hosts import wait_for
from old_forum import old_forum
from pace import Pace

pytestmark = pytest.mark.lab

LEFT, GONE = STABLE
RATE, UNIT = 150, "habla-old"
# The figures of docs/haproxy.md. A request in progress on 1.3 fails, and some that wait in its queue.
OLD = bool(OLD_ARCHIVE)


@dataclass(frozen=True)
class Failure:
    """A way to fail. slowest: seconds that a request may take. lost: requests that may fail in 1.3.

    over: seconds after which all is as before.
    """

    begin: Callable[[Fleet], object]
    end: Callable[[Fleet], object]
    slowest: float
    lost: int
    over: float = 6.0


FAILURES = {
    "killed": Failure(
        lambda fleet: fleet.ssh(GONE, f"systemctl kill --signal=KILL {UNIT}; systemctl stop {UNIT}"),
        lambda fleet: fleet.ssh(GONE, f"systemctl start {UNIT}"),
        slowest=2.0,
        lost=150,
    ),
    "restarted": Failure(
        lambda fleet: fleet.ssh(GONE, f"systemctl restart {UNIT}"),
        lambda fleet: None,
        slowest=2.0,
        lost=60,
    ),
    "hung": Failure(
        lambda fleet: fleet.ssh(GONE, f"systemctl kill --signal=STOP {UNIT}"),
        lambda fleet: fleet.ssh(GONE, f"systemctl kill --signal=CONT {UNIT}"),
        slowest=5.0,
        lost=12,
    ),
    "off": Failure(
        lambda fleet: fleet.kill(GONE),
        lambda fleet: fleet.start(GONE),
        slowest=4.0,
        lost=20,
    ),
}


@pytest.fixture(scope="module")
def old(fleet: Fleet) -> Iterator[Fleet]:
    """The fleet with a program that takes 20 ms for a request, on both stable hosts."""
    fleet.up(old_forum(fleet, json.dumps(dict.fromkeys(STABLE, 0.02))))
    yield fleet
    fleet.up()


@pytest.mark.parametrize("name", FAILURES)
def test_visitors_hardly_notice_a_server_that_fails(old: Fleet, name: str) -> None:
    """In 2.x no request fails; in both dialects only those of the first seconds are slow."""
    failure = FAILURES[name]
    wait_for(lambda: old.uses(GONE), 90, f"{GONE} in rotation")
    with old.visitors("/old/work", workers=10, rate=RATE, most=RATE * 90) as visitors:
        visitors.expect(30, event="started")
        begun = time.time()
        failure.begin(old)
        try:
            # Visitors go on for so long, to see what comes after the first seconds.
            for _ in Pace(rate=1, most=int(failure.over) + 6):
                pass
            visitors.tell(stop=True)
            done = visitors.expect(60, event="done")
        finally:
            failure.end(old)
    late = [(asked - begun, seconds) for asked, seconds in done["late"]]
    faults = [(fault["asked"] - begun, fault["fault"]) for fault in done["faults"]]
    total = sum(done["servers"].values()) + len(faults)
    words = f"{len(faults)} failed, {len(late)} took over 0.5 s, at most {done['slowest']} s"
    print(f"{name}: of {total} requests {words}")
    assert done["slowest"] <= failure.slowest
    assert len(faults) <= (failure.lost if OLD else 0), faults[:5]
    assert max((asked for asked, _ in [*late, *faults]), default=0) < failure.over
