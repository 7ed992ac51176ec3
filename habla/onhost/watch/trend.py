"""When a partition will be full at its recent rate. Pure. Times are seconds since 1970.

The use of a partition of logs goes up and down with their rotation, and an installed package is one jump.
Neither is a trend. So the window is cut into four quarters, and two conditions must hold. The lowest use of
each quarter is higher than that of the quarter before. And the use is higher than ever before the window, by
at least half of its rise within the window. Logs with a rule by size are left out, because they grow only up
to their bound.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Sequence

# Samples of a window, and highest marks of the time before it. They keep the state small for all settings.
_SAMPLES = 60
_PEAKS = 100
_PARTS = 4
_SHARES = (0.5, 0.25)


@dataclass(frozen=True)
class Trend:
    """bytes a minute, and seconds until nothing is left at that rate."""

    rate: float
    seconds: float


def remember(
    history: dict[str, Any] | None, now: float, used: int, bounded: int, minutes: int, hours: int
) -> dict[str, Any]:
    """The history with this sample: ``samples`` of the window, ``peaks`` of the hours before it.

    used: bytes in all; bounded: bytes of logs with a rule by size. A sample is time, used - bounded, used.

    Samples of the future come from a clock that was wrong, and are dropped.
    """
    window, reach = minutes * 60.0, hours * 3600.0
    history = history or {"samples": [], "peaks": []}
    samples = [sample for sample in history["samples"] if sample[0] <= now]
    peaks = [[at, value] for at, value in history["peaks"] if now - reach - window <= at <= now]
    if not samples or now - samples[-1][0] >= window / _SAMPLES:
        samples.append([now, used - bounded, used])
    bucket = max(window / _PARTS, reach / _PEAKS)
    for at, value, _ in (sample for sample in samples if sample[0] < now - window):
        if peaks and at - peaks[-1][0] < bucket:
            peaks[-1][1] = max(peaks[-1][1], value)
        else:
            peaks.append([at, value])
    return {"samples": [sample for sample in samples if sample[0] >= now - window], "peaks": peaks}


def rate(samples: Sequence[Sequence[float]], now: float, used: int, seconds: float) -> float | None:
    """Bytes of all that is used, a minute, over the last ``seconds``; None without an earlier sample."""
    recent = [sample for sample in samples if now - seconds <= sample[0] < now]
    if not recent:
        return None
    return (used - recent[0][2]) / ((now - recent[0][0]) / 60)


def trend(
    history: dict[str, Any], now: float, used: int, available: int, minutes: int, hours: int
) -> Trend | None:
    """When the partition will be full at this rate, or None if it does not fill.

    used: without bounded logs. The rate is measured over the whole window, its last half and its last
    quarter, because a rise that has just begun shows in the shorter ones. A shorter part allows only a
    shorter forecast: its share of ``hours``.
    """
    samples = [*history["samples"], [now, used, 0]]
    peaks = [value for _, value in history["peaks"]]
    found = _rise(samples, peaks, minutes * 60.0 / _PARTS, available)
    for share in _SHARES:
        begins = now - minutes * 60.0 * share
        before = [value for at, value, _ in samples if at < begins]
        if before and (found is None or found.seconds >= hours * 3600.0):
            recent = [sample for sample in samples if sample[0] >= begins]
            rising = _rise(recent, [*peaks, *before], minutes * 60.0 / _PARTS * share, available)
            if rising is not None and rising.seconds < hours * 3600.0 * share:
                found = rising
    return found


def _rise(
    samples: Sequence[Sequence[float]], peaks: Sequence[float], least: float, available: int
) -> Trend | None:
    """The trend of these samples, which span ``least`` seconds or more; peaks: the use before them."""
    start, now, used = samples[0][0], samples[-1][0], samples[-1][1]
    length = (now - start) / _PARTS
    if now - start < least:
        return None
    lowest = []
    for part in range(_PARTS):
        begins, ends = start + part * length, start + (part + 1) * length
        values = [sample[1] for sample in samples if begins <= sample[0] <= ends]
        if not values:
            return None
        lowest.append(min(values))
    rise = lowest[-1] - lowest[0]
    steps = [later - earlier for earlier, later in zip(lowest, lowest[1:])]
    # A step of its share gives or takes: one of a few jumps is no rise from end to end.
    if rise <= 0 or min(steps) < rise / 10:
        return None
    if used - max(peaks, default=0) < rise / 2:
        return None
    each = rise / (length * (_PARTS - 1))
    return Trend(each * 60, available / each)
