"""The pace of loads in tests: never above its rate, never above its number."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pace import Pace, TooMany


class Clock:
    """A clock that goes on only when somebody waits."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now

    def wait(self, seconds: float) -> None:
        """Let so many seconds pass."""
        self.now += seconds


def paced(rate: float, most: int, burst: int = 1) -> tuple[Pace, Clock]:
    """A pace and the clock that it uses."""
    clock = Clock()
    return Pace(rate, most, burst=burst, clock=clock, wait=clock.wait), clock


def test_turns_are_one_interval_apart_however_long_a_request_takes() -> None:
    """A request that is shorter than the interval delays nothing, so the rate does not drift."""
    pace, clock = paced(rate=4, most=9)
    times = []
    for number in pace:
        times.append(clock.now - 1000)
        clock.wait(0.2 * (number % 2))
    assert times == pytest.approx([number / 4 for number in range(9)])


def test_lost_turns_are_not_made_up_for() -> None:
    """After a request that took ten intervals, the next ones are again one interval apart."""
    pace, clock = paced(rate=10, most=4)
    times = []
    for number in pace:
        times.append(clock.now - 1000)
        clock.wait(1.0 if number == 0 else 0.0)
    assert times == pytest.approx([0, 1.0, 1.1, 1.2])


def test_a_burst_is_due_at_once_and_the_rate_stays_the_same() -> None:
    """Three turns at a time, and six a second."""
    pace, clock = paced(rate=6, most=8, burst=3)
    times = [clock.now - 1000 for _ in pace]
    assert times == pytest.approx([0, 0, 0, 0.5, 0.5, 0.5, 1, 1])


def test_the_rest_of_a_late_burst_is_lost() -> None:
    """Two turns of the first burst are left when its time is over; they do not add to the next one."""
    pace, clock = paced(rate=6, most=8, burst=3)
    times = []
    for number in pace:
        times.append(clock.now - 1000)
        clock.wait(2.0 if number == 0 else 0.0)
    assert times == pytest.approx([0, 2, 2, 2, 2.5, 2.5, 2.5, 3])


@given(
    rate=st.floats(0.5, 500),
    burst=st.integers(1, 5),
    requests=st.lists(st.floats(0, 3), min_size=1, max_size=30),
)
def test_no_stretch_of_time_has_more_turns_than_the_rate_allows(
    rate: float, burst: int, requests: list[float]
) -> None:
    """Whatever time requests take, two intervals' turns are the most that come on top of the rate."""
    pace, clock = paced(rate, len(requests), burst)
    times = []
    for number in pace:
        times.append(clock.now)
        clock.wait(requests[number])
    for first, begin in enumerate(times):
        for count, end in enumerate(times[first:], 1):
            assert count <= rate * (end - begin) + 2 * burst + 1e-6


def test_the_number_of_turns_is_never_exceeded() -> None:
    """The turn after the last one is an error that says what to do; it stays one."""
    pace, _ = paced(rate=100, most=3)
    for _ in range(3):
        pace.turn()
    for _ in range(2):
        with pytest.raises(TooMany, match="all 3 turns at 100 a second are used up"):
            pace.turn()


def test_a_loop_over_a_pace_ends_with_its_last_turn() -> None:
    """Here the number is the plan and not a bound."""
    pace, _ = paced(rate=100, most=3)
    assert list(pace) == [0, 1, 2]


@pytest.mark.parametrize("bounds", [(0, 1, 1), (-1, 1, 1), (1, 0, 1), (1, 1, 0)])
def test_bounds_are_greater_than_0(bounds: tuple[float, int, int]) -> None:
    """A load without a rate or without a number is refused."""
    rate, most, burst = bounds
    with pytest.raises(ValueError, match="must be greater than 0"):
        Pace(rate, most, burst=burst)


def _in_threads(count: int, work: Callable[[], None]) -> None:
    threads = [threading.Thread(target=work) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_threads_share_the_rate_and_the_number() -> None:
    """Eight threads with the real clock together get every turn once, and never before it is due."""
    pace, times, refused = Pace(rate=200, most=60), [], []

    def work() -> None:
        try:
            while True:
                pace.turn()
                times.append(time.monotonic())
        except TooMany as error:
            refused.append(error)

    started = time.monotonic()
    _in_threads(8, work)
    assert len(times) == 60 and len(refused) == 8
    assert max(times) - started >= 59 / 200
    # How many had come after how long: a busy machine makes turns late, but never early.
    assert all(number <= (moment - started) * 200 + 1 for number, moment in enumerate(sorted(times)))
