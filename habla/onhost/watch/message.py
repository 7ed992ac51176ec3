"""The text of a message: the fault, its place and speed, the files that cause it, and the advice."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Sequence

from .events import Notice, Record, reached
from .growth import Growth
from .logs import Uncovered
from .partitions import Partition
from .readable_times import duration, moment, since, span, stamp
from .settings import Settings
from .tell import Message

_ADVICE = {
    "space": "Find the program that writes so much (above) and stop it, or make room.",
    "inodes": "There are very many small files: find their directory and the program that makes them.",
    "trend": "Find the program that writes so much (above). Bound its logs, or make the partition larger.",
    "mount": "Files for this partition now go to the one below it: find out why, and mount it.",
    "logs": "Each of these logs may fill its partition: apply the fix below it.",
    "faults": "Correct this: until then logs may not be rotated, and habla finds no logs without a rule.",
    "peer": "Nothing watches the partitions of that host now: check whether it is up (habla status).",
    "old processes": "Each stays until its clients have gone: habla status. Find what reloads it so often.",
    "monitor": "Nothing draws or watches the fleet now: check that host, its poller and its web server.",
}
# The page with more about a kind, where it is not that of the watcher.
_PAGES = {"old processes": "docs/haproxy.md"}
_LISTED = 15


@dataclass(frozen=True)
class Context:
    """The results of a look, for the details. rates: mount point -> bytes a minute; growth: -> its files."""

    partitions: Sequence[Partition] = ()
    rates: dict[str, float] = field(default_factory=dict)
    growth: dict[str, list[Growth]] = field(default_factory=dict)
    uncovered: Sequence[Uncovered] = ()


def write(settings: Settings, notice: Notice, context: Context, now: float) -> Message:
    """The message of one notice."""
    subject = f"[habla {settings.environment}] {settings.host}: {notice.subject}"
    record = notice.record
    lines = [f"{settings.host} ({settings.environment}): {record['headline']}.", ""]
    lines += [*_times(record, now), f"Time of this message: {stamp(now)}."]
    over = not record["level"]
    point = record["point"]
    partition = next((seen for seen in context.partitions if seen.mount == point), None)
    if partition:
        lines += ["", *_partition(partition, context.rates.get(point))]
    if not over:
        if record["kind"] in ("faults", "peer", "monitor") and record["current"]:
            lines += ["", *(f"  {item}" for item in record["current"][:_LISTED])]
        if context.growth.get(point):
            grows = any(growth.rate is None or growth.rate > 0 for growth in context.growth[point])
            title = "Fastest-growing files of" if grows else "Nothing grows now; the largest logs of"
            lines += ["", f"{title} {point}:", *map(_growth, context.growth[point])]
        lines += _uncovered(context.uncovered, record)
        lines += ["", f"What to do: {_ADVICE[record['kind']]}"]
        lines.append(f"{_PAGES.get(record['kind'], 'docs/disk.md')} of habla explains more.")
    return Message(subject, "\n".join(lines) + "\n")


def _partition(partition: Partition, rate: float | None) -> list[str]:
    lines = [
        f"Partition {partition.mount}: {partition.use:.1f} % of {size(partition.size)} used,"
        f" {partition.available} bytes ({size(partition.available)}) free."
    ]
    if partition.inodes:
        left = partition.inodes - partition.inodes_used
        lines.append(f"Inodes: {partition.inode_use:.1f} % used, {left} free.")
    if rate is not None and rate >= 1024:
        seconds = partition.available / rate * 60
        full = f": full in {span(seconds)}" if seconds >= 1 else ""
        lines.append(f"It grows by {size(rate)} a minute{full}.")
    elif rate is not None and rate <= -1024:
        lines.append(f"It shrinks by {size(-rate)} a minute.")
    return lines


def _growth(growth: Growth) -> str:
    rate = "written to just now, " if growth.rate is None else f"{size(growth.rate)}/min, "
    owner = f" ({growth.owner})" if growth.owner else ""
    return f"  {growth.path}: {rate}{size(growth.bytes)}{owner}"


def _uncovered(found: Sequence[Uncovered], record: Record) -> list[str]:
    """Those that an event of logs is about, else all of the partition."""
    if record["kind"] == "logs":
        chosen = [log for log in found if log.path in record["current"]]
    else:
        chosen = [log for log in found if log.partition == record["point"]]
    if not chosen:
        return []
    lines = ["", "Logs that no size bounds:"]
    for log in sorted(chosen, key=lambda log: -log.bytes)[:_LISTED]:
        owners = f"; open by {', '.join(map(str, log.openers[:3]))}" if log.openers else ""
        lines += [f"  {log.path}: {size(log.bytes)}; {log.why}{owners}", f"    fix: {log.fix}"]
    if len(chosen) > _LISTED:
        lines.append(f"  and {len(chosen) - _LISTED} more: habla logs lists them")
    return lines


def size(count: float) -> str:
    """Bytes in words: ``12.3 MiB``."""
    sign, count = ("-" if count < 0 else ""), abs(count)
    for unit in ("bytes", "KiB", "MiB", "GiB"):
        if count < 1024 or unit == "GiB":
            break
        count /= 1024
    return f"{sign}{count:.0f} {unit}" if unit == "bytes" else f"{sign}{count:.1f} {unit}"


def _times(record: Record, now: float) -> list[str]:
    """When it began and how long it has lasted, or lasted until it was over."""
    began, risen = record["since"], reached(record)
    if not record["level"]:
        lines = [f"It lasted {_interval(record, now)}; its worst level was {record['worst']}."]
    elif risen > began:
        level = record["level"].capitalize()
        lines = [f"{level} {since(risen, now)}; at least a warning {since(began, now)}."]
    else:
        lines = [f"{since(began, now).capitalize()}."]
    # Earlier versions kept words here.
    if record["earlier"] and isinstance(record["earlier"], dict):
        earlier = record["earlier"]
        lines.append(f"It was {earlier['worst']} before, for {_interval(earlier, now)}, and well in between.")
    return lines


def _interval(record: Record, now: float) -> str:
    began, ended = record["since"], record["ended"]
    return f"{duration(ended - began)}, from {moment(began, now)} to {moment(ended, now)}"
