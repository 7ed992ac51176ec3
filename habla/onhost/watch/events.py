"""Finds faults, and decides which of them the operator must be told. Pure: takes looks and the old state.

An event is one partition and one cause (or the host's logs, or one peer). The operator is told when it
begins, when it gets worse and once when it is over, never in between. It counts as told only after the
message was delivered. Until then it stays due, and an event that is over by then is told in one message.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Iterable, Mapping, Sequence

from .logs import Uncovered
from .partitions import Partition
from .readable_times import span
from .settings import Settings
from .trend import Trend

HYSTERESIS = 2.0
# How long a worse level that was told and passed is not told again.
AGAIN_SECONDS = 3600.0
_RANK = {"": 0, "warning": 1, "critical": 2}
# The keys of a record that are times.
_TIMES = ("since", "reached", "told_at", "clear", "ended")

Record = dict[str, Any]


@dataclass(frozen=True)
class Condition:
    """The state of one cause at this look. level: "" (no fault), ``warning`` or ``critical``.

    headline: the state in words, for a subject. kind: a key of the advice. items: parts, each told once.
    hold: seconds that it must have been well before it counts as over. since: when it began, where that is
    known to be before this look; 0 where it is not.
    """

    level: str
    headline: str
    kind: str
    point: str = ""
    items: tuple[str, ...] = ()
    hold: float = 0.0
    since: float = 0.0


@dataclass(frozen=True)
class Notice:
    """A message to the operator. label: the word in brackets at the end of the subject."""

    key: str
    record: Record = field(compare=False)
    label: str

    @property
    def subject(self) -> str:
        """Without the host: ``/var/log 91 % full (critical)``."""
        return f"{self.record['headline']} ({self.label})"


def of_partition(
    partition: Partition, settings: Settings, told: Mapping[str, Record], found: Trend | None
) -> dict[str, Condition]:
    """Space, inodes and trend of a partition."""
    point = partition.mount
    space, inodes, rising = f"space {point}", f"inodes {point}", f"trend {point}"
    conditions = {
        space: Condition(
            _level(partition.use, settings, told.get(space)),
            f"{point} {partition.use:.0f} % full",
            "space",
            point,
        )
    }
    if partition.inodes:
        conditions[inodes] = Condition(
            _level(partition.inode_use, settings, told.get(inodes)),
            f"{point} {partition.inode_use:.0f} % of inodes used",
            "inodes",
            point,
        )
    active = bool(told.get(rising, {}).get("level"))
    limit = settings.trend_hours * 3600.0 * (1.5 if active else 1.0)
    # An operator who knows that it is nearly full need not hear that it will be full.
    soon = found is not None and found.seconds < limit and (active or not conditions[space].level)
    words = f"full in {span(found.seconds)}" if found and soon else "no longer on its way to full"
    conditions[rising] = Condition(
        "warning" if soon else "",
        f"{point} {words}",
        "trend",
        point,
        hold=settings.trend_minutes * 60 / 4,
    )
    return conditions


def _level(use: float, settings: Settings, record: Record | None) -> str:
    """A level once reached holds until use is two points below it."""
    before = _RANK[record["level"]] if record else 0
    for level in ("critical", "warning"):
        limit = settings.critical if level == "critical" else settings.warning
        if use >= limit - (HYSTERESIS if before >= _RANK[level] else 0):
            return level
    return ""


def of_missing(settings: Settings, present: Sequence[str]) -> dict[str, Condition]:
    """The partitions in the settings that are not mounted, so that their files go elsewhere."""
    found = {}
    for point in settings.partitions:
        here = point in present
        words = "mounted" if here else "not mounted"
        found[f"mount {point}"] = Condition("" if here else "critical", f"{point} {words}", "mount", point)
    return found


def of_logs(found: Iterable[Uncovered], first: Mapping[str, float]) -> Condition:
    """All logs without a bound, under the name of the largest. first: when each was first seen."""
    items = tuple(log.path for log in sorted(found, key=lambda log: (-log.bytes, log.path)))
    if not items:
        return Condition("", "every log has a rule by size", "logs")
    more = f" and {len(items) - 1} more" if len(items) > 1 else ""
    return Condition(
        "warning", f"no size bounds {items[0]}{more}", "logs", items=items, since=_earliest(items, first)
    )


def of_faults(faults: Sequence[str], first: Mapping[str, float]) -> Condition:
    """The faults that kept the watcher from looking. first: when each fault was first seen."""
    if not faults:
        return Condition("", "logrotate's rules can be read", "faults")
    return Condition(
        "warning", faults[0][:120], "faults", items=tuple(faults), since=_earliest(faults, first)
    )


def of_old_processes(instance: str, count: int, most: int) -> Condition:
    """The old processes that an instance of HAProxy has after reloads. most: as many as it may have."""
    noun = "process" if count == 1 else "processes"
    level = "warning" if count > most else ""
    return Condition(level, f"haproxy@{instance} has {count} old {noun}", "old processes")


def _earliest(items: Sequence[str], first: Mapping[str, float]) -> float:
    return min((first[item] for item in items if item in first), default=0.0)


def advance(
    events: Mapping[str, Record], conditions: Mapping[str, Condition], now: float
) -> dict[str, Record]:
    """The events after this look. Causes that were not looked at keep their state."""
    after = {key: dict(record) for key, record in events.items()}
    for key, condition in conditions.items():
        record = after.get(key)
        if condition.level:
            after[key] = _bad(record, condition, now)
        elif record and record["level"]:
            # A cause that flickers is one event.
            clear = record["clear"] or now
            if now - clear >= condition.hold:
                record.update(level="", headline=condition.headline, ended=clear)
            record["clear"] = clear
        elif record:
            record["headline"] = condition.headline
    return after


def _bad(record: Record | None, condition: Condition, now: float) -> Record:
    if record is None or not record["level"]:
        # It came back before anybody heard that it was over (or that it was there at all).
        earlier = {key: record[key] for key in ("worst", "since", "ended")} if record else {}
        begun = condition.since or now
        record = {"since": begun, "told": "", "told_at": 0.0, "worst": "", "items": [], "earlier": earlier}
        record.update(level=condition.level, reached=begun)
    passed = _RANK[condition.level] < _RANK[record["told"]] and now - record["told_at"] >= AGAIN_SECONDS
    return {
        **record,
        "level": condition.level,
        "reached": now if condition.level != record["level"] else reached(record),
        "kind": condition.kind,
        "point": condition.point,
        "headline": condition.headline,
        "worst": max(record["worst"], condition.level, key=_RANK.__getitem__),
        "told": condition.level if passed else record["told"],
        "current": list(condition.items),
        "clear": 0.0,
        "ended": 0.0,
    }


def due(events: Mapping[str, Record]) -> list[Notice]:
    """The notices that are due now, the worst first."""
    found = []
    for key, record in events.items():
        level, told = record["level"], record["told"]
        new = set(record["current"]) - set(record["items"])
        if level and (_RANK[level] > _RANK[told] or new):
            found.append(Notice(key, record, level))
        elif not level:
            label = "recovered" if told else f"was {record['worst']}, recovered"
            found.append(Notice(key, record, label))
    return sorted(found, key=lambda notice: (-_RANK[notice.record["worst"]], notice.key))


def mark(events: Mapping[str, Record], notice: Notice, now: float) -> dict[str, Record]:
    """The events after the notice was delivered. Those that are over are forgotten."""
    after = dict(events)
    if not notice.record["level"]:
        after.pop(notice.key, None)
    else:
        after[notice.key] = {
            **notice.record,
            "told": notice.record["level"],
            "told_at": now,
            "items": list(notice.record["current"]),
        }
    return after


def reached(record: Record) -> float:
    """When the event reached its level. Records of earlier versions only have its beginning."""
    at: float = record["reached"] if "reached" in record else record["since"]
    return at


def shifted(events: Mapping[str, Record], seconds: float) -> dict[str, Record]:
    """The events with each of their times moved by ``seconds``: the clock was set."""
    return {key: _shifted(record, seconds) for key, record in events.items()}


def _shifted(record: Record, seconds: float) -> Record:
    after = {**record}
    for name in _TIMES:
        if after.get(name):
            after[name] += seconds
    if isinstance(after.get("earlier"), dict):
        after["earlier"] = _shifted(after["earlier"], seconds)
    return after
