"""Finds the files that grow fastest. It keeps the sizes of written files from run to run."""

from __future__ import annotations

import os
import stat
import time
from dataclasses import dataclass
from typing import Any, Iterable, Mapping

from .logs import Seen
from .openfiles import taken
from .partitions import holder

# A look is compared with one at least so old; a shorter time makes rates of chance.
LEAST_SECONDS = 15.0
_KEPT = 4000
_ENTRIES = 30000
_WALK_SECONDS = 1.0


@dataclass(frozen=True)
class Growth:
    """A file with its size in bytes and its growth in bytes a minute. rate: None for a file that is new.

    owner: the process that has it open.
    """

    path: str
    bytes: int
    rate: float | None
    owner: str = ""


def sizes(seen: Seen) -> dict[str, int]:
    """The sizes to keep for the next look: path -> bytes. Only the largest if there are very many."""
    found = dict(seen.files)
    for entry in seen.open:
        found[entry.path] = max(entry.bytes, found.get(entry.path, 0))
    return dict(sorted(found.items(), key=lambda item: -item[1])[:_KEPT])


def kept(looks: list[dict[str, Any]], now: float, current: Mapping[str, int]) -> list[dict[str, Any]]:
    """The looks to keep: this one, and the newest that is old enough to compare the next with."""
    before = baseline(looks, now)
    return [*([before] if before else []), {"time": now, "sizes": dict(current)}]


def baseline(looks: list[dict[str, Any]], now: float) -> dict[str, Any] | None:
    """The newest look that is old enough to compare with."""
    older = [look for look in looks if look["time"] <= now - LEAST_SECONDS]
    return older[-1] if older else None


def fastest(
    point: str,
    points: list[str],
    current: Mapping[str, int],
    before: dict[str, Any] | None,
    seen: Seen,
    now: float,
) -> list[Growth]:
    """The five files of a partition that grow fastest; when none grows, the largest of those written to.

    A log that the earlier look did not have grew from nothing. Any other file that is new to this look may
    have existed before: it has no rate, and its place in the order is by the most that it may have grown.
    """
    owners = {entry.path: ", ".join(map(str, entry.openers[:2])) for entry in seen.open}
    found: list[tuple[float, Growth]] = []
    for path, size in current.items():
        if holder(path, points) != point:
            continue
        rate, most = None, 0.0
        if before is not None:
            most = (size - before["sizes"].get(path, 0)) / ((now - before["time"]) / 60)
            rate = most if path in before["sizes"] or path in seen.files else None
        found.append((max(most, 0.0), Growth(path, size, rate, owners.get(path, ""))))
    found.sort(key=lambda item: (-item[0], -item[1].bytes, item[1].path))
    growing = [growth for most, growth in found if most > 0]
    return (growing or [growth for _, growth in found])[:5]


def recent(point: str, since: float, known: Iterable[str]) -> dict[str, int]:
    """The twenty largest files of a partition that were written since then: path -> bytes.

    Bounded: at most a second or 30,000 files, so that a look never becomes a load.
    """
    device = os.stat(point).st_dev
    seen, known = 0, set(known)
    ends = time.monotonic() + _WALK_SECONDS
    found: dict[str, int] = {}
    waiting = [point]
    while waiting and seen < _ENTRIES and time.monotonic() < ends:
        try:
            entries = list(os.scandir(waiting.pop(0)))
        except OSError:
            continue
        for entry in entries:
            seen += 1
            try:
                status = entry.stat(follow_symlinks=False)
            except OSError:
                continue
            if stat.S_ISDIR(status.st_mode) and status.st_dev == device:
                waiting.append(entry.path)
            elif stat.S_ISREG(status.st_mode) and status.st_mtime >= since:
                found[entry.path] = taken(status)
    largest = sorted(found.items(), key=lambda item: -item[1])[:20]
    return {path: size for path, size in largest if path not in known}
