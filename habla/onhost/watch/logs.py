"""Finds logs without a bound: growing files, or files in log directories, that no rule by size rotates."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any, Iterable, Iterator, Mapping

from .openfiles import Opener, OpenFile, taken
from .partitions import holder
from .rules import Rules
from .settings import Settings

# Never more than this from one look: a directory of a million files is a fault of its own kind.
MOST = 20000
_DELETED_FROM = 1 << 20
_TEMPORARY = ("/tmp/", "/var/tmp/")
# Not logs: fixed once the system is installed, written anew as a whole each time, bounded by the number of
# users, or kept by their own daemon.
_EXEMPT = (
    "*/README",
    "/var/log/journal/*",
    "/var/log/apt/eipp.log.xz",
    "/var/log/fontconfig.log",
    "/var/log/installer/*",
    "/var/log/lastlog",
    "/var/log/faillog",
    "/var/log/tallylog",
    "/var/lib/habla-watch/*",
)
_FIX = {
    "no rule": "add it to the logs of its program (apps.NAME.logs), or to logs.extra in the stack",
    "by time": "add size or maxsize to its rule: until the next date the log may grow without a bound",
    "refused": "correct the fault that logrotate names, often with `su USER GROUP` in the rule",
    "deleted": "restart the program that has it open: only then is its space free",
    "still written": "add copytruncate, or a postrotate that makes the daemon open its log again",
}


@dataclass(frozen=True)
class Uncovered:
    """A file without a bound. reason: a key of the fixes. why: the details as text."""

    path: str
    bytes: int
    partition: str
    reason: str
    why: str
    openers: tuple[Opener, ...] = ()

    @property
    def fix(self) -> str:
        """The advice for a file."""
        return _FIX[self.reason]

    def plain(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "path": self.path,
            "bytes": self.bytes,
            "partition": self.partition,
            "reason": self.reason,
            "why": self.why,
            "fix": self.fix,
            "open_by": [{"pid": who.pid, "command": who.command, "unit": who.unit} for who in self.openers],
        }


@dataclass
class Seen:
    """The files to judge. files: path -> bytes, in log directories. cut: the list is incomplete."""

    files: dict[str, int] = field(default_factory=dict)
    open: list[OpenFile] = field(default_factory=list)
    cut: bool = False


def listed(directories: Iterable[str], in_memory: frozenset[int]) -> Seen:
    """The regular files below the log directories, with their sizes."""
    seen = Seen()
    for directory in directories:
        for path, status in walk(directory):
            if len(seen.files) >= MOST:
                seen.cut = True
                return seen
            if status.st_dev not in in_memory:
                seen.files[path] = taken(status)
    return seen


def walk(directory: str) -> Iterator[tuple[str, os.stat_result]]:
    """Regular files below a directory, without links and without files that vanish during the look."""
    waiting = [directory]
    while waiting:
        try:
            entries = sorted(os.scandir(waiting.pop()), key=lambda entry: entry.name)
        except OSError:
            continue
        for entry in entries:
            try:
                status = entry.stat(follow_symlinks=False)
            except OSError:
                continue
            if stat.S_ISDIR(status.st_mode):
                waiting.append(entry.path)
            elif stat.S_ISREG(status.st_mode):
                yield entry.path, status


def uncovered(
    settings: Settings, rules: Rules, seen: Seen, before: Mapping[str, int], points: list[str]
) -> list[Uncovered]:
    """Every file without a bound, sorted by path.

    before: sizes at an earlier look, by path: a file that is open for writing at any place, and grew since,
    is taken for a log. points: the mount points of partitions.
    """
    below = tuple(directory.rstrip("/") + "/" for directory in settings.directories)
    data = tuple(directory.rstrip("/") + "/" for directory in settings.data)
    found: dict[str, Uncovered] = {}
    openers = {entry.path: tuple(entry.openers) for entry in seen.open if not entry.deleted}

    def judge(path: str, size: int, grown: bool) -> None:
        reason, why = _reason(rules, path, grown)
        if reason:
            place = holder(path, points)
            found[path] = Uncovered(path, size, place, reason, why, openers.get(path, ()))

    for path, size in seen.files.items():
        if not _exempt(settings, path) and not path.startswith(data):
            grown = path in openers and size > before.get(path, size)
            judge(path, size, grown)
    for entry in seen.open:
        path = entry.path
        if path.startswith(data) or path in seen.files or _exempt(settings, path):
            continue
        if entry.deleted:
            temporary = path.startswith(_TEMPORARY) and not entry.append
            if entry.bytes >= _DELETED_FROM and not temporary:
                why = "deleted, but still open: it takes space that no file shows"
                found[path] = Uncovered(
                    path, entry.bytes, holder(path, points), "deleted", why, tuple(entry.openers)
                )
        elif entry.append or path.startswith(below) or entry.bytes > before.get(path, entry.bytes):
            judge(path, entry.bytes, entry.bytes > before.get(path, entry.bytes))
    return [found[path] for path in sorted(found)]


def bounded(rules: Rules, seen: Seen, points: list[str]) -> dict[str, int]:
    """Mount point -> bytes of the logs that a rule by size keeps in bounds, including their rotated files."""
    found = dict.fromkeys(points, 0)
    for path, size in seen.files.items():
        rule = rules.rule_of(path)
        place = holder(path, points)
        if place and (rule.bytes if rule else rules.is_old(path)):
            found[place] += size
    return found


def _reason(rules: Rules, path: str, grown: bool) -> tuple[str, str]:
    if path in rules.refused:
        return "refused", f"logrotate refuses to rotate it: {rules.refused[path]}"
    rule = rules.rule_of(path)
    if rule is not None:
        return ("", "") if rule.bytes else ("by time", f"its rule rotates it {rule.when}, whatever its size")
    if rules.is_old(path):
        return ("still written", "rotated away, but still written to") if grown else ("", "")
    return "no rule", "no rule of logrotate rotates it"


def _exempt(settings: Settings, path: str) -> bool:
    return any(fnmatchcase(path, glob) for glob in (*_EXEMPT, *settings.exempt))
