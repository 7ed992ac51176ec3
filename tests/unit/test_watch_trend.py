"""When a partition counts as on its way to full: steady growth does, rotation and single jumps do not."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from habla.onhost.watch.trend import Trend, rate, remember, trend

MIB = 1 << 20
SIZE = 4096 * MIB


def watched(
    used: Callable[[float], float],
    minutes: int,
    window: int = 60,
    bounded: Callable[[float], float] = lambda _: 0,
) -> list[Trend | None]:
    """What is found at each minute. used, bounded: bytes at a minute, of all and of bounded logs."""
    history, found = None, []
    for minute in range(minutes):
        now, value, logs = 1e9 + minute * 60, int(used(minute)), int(bounded(minute))
        history = remember(history, now, value, logs, window, 24)
        found.append(trend(history, now, value - logs, SIZE - value, window, 24))
    return found


def soon(found: list[Trend | None]) -> bool:
    """Whether any says: full within a day."""
    return any(one is not None and one.seconds < 86400 for one in found)


def test_steady_growth_is_a_trend_with_its_rate_and_time() -> None:
    """10 MiB a minute into 4 GiB: seen after a quarter of the window."""
    found = watched(lambda minute: 100 * MIB + 10 * MIB * minute, 40)
    assert not any(found[:15])
    assert found[20] is not None
    assert found[20].rate == pytest.approx(10 * MIB, rel=0.05)
    assert found[20].seconds == pytest.approx((4096 - 300) / 10 * 60, rel=0.05)


@pytest.mark.parametrize("period", [3, 5, 10, 17, 25, 40, 59, 61, 90, 150, 240])
def test_rotation_is_no_trend(period: int) -> None:
    """A sawtooth of 1 GiB, as long as ten of its teeth, whatever their length, once one was seen."""
    found = watched(lambda minute: 500 * MIB + 1024 * MIB * (minute % period) / period, 10 * period + 120)
    assert not soon(found[period + 62 :])


def test_logs_that_grow_towards_their_bound_are_no_trend() -> None:
    """On a host that is new, nobody has yet seen one rotated."""
    grows = lambda minute: 10 * MIB * minute  # noqa: E731
    assert soon(watched(grows, 60))
    assert not soon(watched(grows, 60, bounded=grows))


def test_a_single_jump_is_no_trend() -> None:
    """A package of 600 MiB, installed within three minutes."""
    jump = watched(lambda minute: 500 * MIB + 200 * MIB * min(max(minute - 30, 0), 3), 200)
    assert not soon(jump)


def test_growth_below_rotation_is_a_trend() -> None:
    """The lowest use rises although use goes up and down."""
    assert soon(watched(lambda minute: 10 * MIB * minute + 50 * MIB * (minute % 5), 100))


def test_growth_that_begins_after_hours_of_rest_is_a_trend_within_minutes() -> None:
    """20 MiB a minute, full in three hours: no need to wait until all of the window rises."""
    found = watched(lambda minute: 100 * MIB + 20 * MIB * max(minute - 180, 0), 240)
    assert not soon(found[:180])
    assert soon(found[:198])


def test_a_short_look_says_nothing_of_a_far_day() -> None:
    """1 MiB a minute for twenty minutes, full in two days and a half."""
    found = watched(lambda minute: 100 * MIB + 1 * MIB * max(minute - 180, 0), 200)
    assert not soon(found)


def test_a_use_that_stays_is_no_trend() -> None:
    """Nothing rises."""
    assert not any(watched(lambda _: 500 * MIB, 120))


def test_a_clock_set_back_is_survived() -> None:
    """Samples of the future are dropped."""
    history = remember(None, 2e9, 5, 0, 60, 24)
    assert remember(history, 1e9, 7, 2, 60, 24)["samples"] == [[1e9, 5, 7]]


def test_the_history_stays_small() -> None:
    """A look every five seconds for three days keeps no more than two hundred numbers."""
    history = None
    for second in range(0, 3 * 86400, 5):
        history = remember(history, 1e9 + second, 1, 0, 60, 24 * 90)
    assert history is not None
    assert len(history["samples"]) + len(history["peaks"]) < 200


def test_the_rate_is_of_the_last_while() -> None:
    """From the oldest sample within it, end to end."""
    samples = [[0.0, 0, 0], [900.0, 0, 100], [960.0, 0, 160]]
    assert rate(samples, 1020.0, 220, 120.0) == 60.0
    assert rate([], 1020.0, 220, 120.0) is None
