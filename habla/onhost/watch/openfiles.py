"""Files that processes hold open for writing, from /proc. Deleted ones count too: their space is hidden."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import Iterator

PROC = "/proc"
_DELETED = " (deleted)"
_PSEUDO = ("/proc/", "/sys/", "/dev/", "/memfd:", "/[aio]", "/SYSV")


@dataclass(frozen=True)
class Opener:
    """A process that has a file open. unit: its systemd unit; empty when it has none."""

    pid: int
    command: str
    unit: str

    def __str__(self) -> str:
        return f"{self.command}, pid {self.pid}" + (f", {self.unit}" if self.unit else "")


@dataclass
class OpenFile:
    """A regular file that is open for writing. bytes: its space on its partition."""

    path: str
    bytes: int
    append: bool
    deleted: bool
    identity: tuple[int, int]
    openers: list[Opener] = field(default_factory=list)


def taken(status: os.stat_result) -> int:
    """The bytes that a file takes; a sparse one takes less than its length."""
    return status.st_blocks * 512


def scan(in_memory: frozenset[int], proc: str = PROC) -> dict[tuple[int, int], OpenFile]:
    """All files that are open for writing on file systems that take space, by (device, inode)."""
    found: dict[tuple[int, int], OpenFile] = {}
    for name in os.listdir(proc):
        if name.isdigit():
            for path, status, flags in _written(f"{proc}/{name}", in_memory):
                identity = status.st_dev, status.st_ino
                entry = found.get(identity)
                if entry is None:
                    deleted = path.endswith(_DELETED) and status.st_nlink == 0
                    plain = path[: -len(_DELETED)] if deleted else path
                    entry = OpenFile(plain, taken(status), False, deleted, identity)
                    found[identity] = entry
                entry.append = entry.append or bool(flags & os.O_APPEND)
                if all(opener.pid != int(name) for opener in entry.openers):
                    entry.openers.append(_opener(f"{proc}/{name}", int(name)))
    return found


def _written(process: str, in_memory: frozenset[int]) -> Iterator[tuple[str, os.stat_result, int]]:
    """Path, status and flags of the files that one process may write to. Empty if the process has ended."""
    try:
        numbers = os.listdir(f"{process}/fd")
    except OSError:
        return
    for number in numbers:
        try:
            path = os.readlink(f"{process}/fd/{number}")
            if not path.startswith("/") or path.startswith(_PSEUDO):
                continue
            status = os.stat(f"{process}/fd/{number}")
            if not stat.S_ISREG(status.st_mode) or status.st_dev in in_memory:
                continue
            flags = _flags(f"{process}/fdinfo/{number}")
        except OSError:
            continue
        if flags & os.O_ACCMODE != os.O_RDONLY:
            yield path, status, flags


def _flags(path: str) -> int:
    for line in Path(path).read_text().splitlines():
        if line.startswith("flags:"):
            return int(line.split()[1], 8)
    return 0


def _opener(process: str, pid: int) -> Opener:
    return Opener(pid, _read(f"{process}/comm").strip() or "?", unit_of(_read(f"{process}/cgroup")))


def unit_of(cgroup: str) -> str:
    """The innermost service, scope or socket of ``/proc/PID/cgroup``."""
    for line in cgroup.splitlines():
        for part in reversed(line.split(":", 2)[-1].split("/")):
            if part.endswith((".service", ".scope", ".socket")):
                return part
    return ""


def _read(path: str) -> str:
    try:
        return Path(path).read_text(errors="replace")
    except OSError:
        return ""
