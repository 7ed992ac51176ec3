"""Times and durations as a person reads them, in the time zone of this host. Times are seconds since 1970."""

from __future__ import annotations

import time
from datetime import date, timedelta

_MINUTE, _DAY = 60.0, 86400.0


def duration(seconds: float) -> str:
    """A measured time in at most two units: ``45 s``, ``6 min``, ``1 h 5 min``, ``2 days 3 h``."""
    if seconds < 2 * _MINUTE:
        return f"{seconds:.0f} s" if seconds >= 1 else "under 1 s"
    # Rounded first, so that nothing lasts 60 min or 24 h.
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    if minutes < 24 * 60:
        hours, rest = divmod(minutes, 60)
        return f"{hours} h {rest} min" if rest else f"{hours} h"
    days, hours = divmod(round(minutes / 60), 24)
    unit = "day" if days == 1 else "days"
    return f"{days} {unit} {hours} h" if hours else f"{days} {unit}"


def span(seconds: float) -> str:
    """An estimated time in one unit: ``8 minutes``, ``5 hours``, ``3 days``."""
    for unit, length in (("days", 86400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{max(seconds, 0):.0f} seconds"


def moment(at: float, now: float) -> str:
    """The time ``at`` for a reader at the time ``now``: ``14:02``, ``yesterday 23:58``, or with its date.

    The zone is there where it differs from the zone of ``now``, as it does after a change of daylight saving
    time, and with each date.
    """
    then, here = time.localtime(at), time.localtime(now)
    clock = time.strftime("%H:%M", then)
    before = _date(here) - _date(then)
    if 0 <= now - at < _DAY and before <= timedelta(days=1):
        zone = "" if then.tm_gmtoff == here.tm_gmtoff else f" {_zone(then)}"
        return f"{'yesterday ' if before else ''}{clock}{zone}"
    return f"{_date(then)} {clock} {_zone(then)}"


def since(at: float, now: float) -> str:
    """When something began and how long ago that is: ``since 14:02, 6 min``."""
    if at > now:
        return f"since {moment(at, now)}, later than the clock of this host shows now"
    return f"since {moment(at, now)}, {duration(now - at) if now - at >= 1 else 'just now'}"


def stamp(at: float) -> str:
    """A time that is clear anywhere: ``2026-11-26 14:08 CET (UTC+01:00)``."""
    then = time.localtime(at)
    name, offset = _zone(then), _offset(then)
    known = name in ("UTC", offset)
    return f"{_date(then)} {time.strftime('%H:%M', then)} {name}{'' if known else f' ({offset})'}"


def _date(local: time.struct_time) -> date:
    return date(local.tm_year, local.tm_mon, local.tm_mday)


def _zone(local: time.struct_time) -> str:
    """The name of the zone; zones without a name of letters are called by their offset."""
    return local.tm_zone if local.tm_zone.isalpha() else _offset(local)


def _offset(local: time.struct_time) -> str:
    minutes = abs(local.tm_gmtoff) // 60
    return f"UTC{'-' if local.tm_gmtoff < 0 else '+'}{minutes // 60:02d}:{minutes % 60:02d}"
