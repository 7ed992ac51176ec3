"""The file systems of this host that can fill, and how full they are.

Sizes are in bytes. Use is computed as in ``df``: used / (used + available to programs without privileges).
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Callable

MOUNTINFO = Path("/proc/self/mountinfo")
# File systems that / may have without a block device below it: the root of a container.
_ROOTS = {"overlay", "btrfs", "zfs", "virtiofs", "9p", "nfs", "nfs4", "fuse-overlayfs"}
_FIXED = {"squashfs", "iso9660", "erofs", "udf"}


@dataclass(frozen=True)
class Mount:
    """A line of mountinfo. device: ``major:minor``."""

    device: str
    point: str
    kind: str
    source: str
    read_only: bool


@dataclass(frozen=True)
class Partition:
    """How full a file system is, by its shortest mount point. inodes: 0 where it has no fixed number."""

    mount: str
    size: int
    used: int
    available: int
    inodes: int = 0
    inodes_used: int = 0

    @property
    def use(self) -> float:
        """Percent of space."""
        return _percent(self.used, self.available)

    @property
    def inode_use(self) -> float:
        """Percent of inodes; 0 where their number is not fixed."""
        return _percent(self.inodes_used, self.inodes - self.inodes_used) if self.inodes else 0.0


def _percent(used: int, left: int) -> float:
    return 100.0 * used / (used + left) if used + left else 0.0


def mounts(text: str) -> list[Mount]:
    """The lines of ``/proc/self/mountinfo``. A later mount hides an earlier one at the same mount point."""
    found: dict[str, Mount] = {}
    for line in text.splitlines():
        fields = line.split(" ")
        if "-" not in fields[6:]:
            continue
        dash = fields.index("-", 6)
        kind, source, options = fields[dash + 1 : dash + 4]
        # The options of the file system: this program's own view of it may well be read-only.
        read_only = "ro" in options.split(",")
        point = _plain(fields[4])
        found.pop(point, None)
        found[point] = Mount(fields[2], point, kind, _plain(source), read_only)
    return list(found.values())


def _plain(word: str) -> str:
    """mountinfo writes blanks and backslashes as octal numbers."""
    return re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), word)


def real(found: list[Mount]) -> list[Mount]:
    """The mounts that can fill: one per device, at its shortest mount point, sorted by that."""
    chosen: dict[str, Mount] = {}
    for mount in sorted(found, key=lambda mount: (len(mount.point), mount.point)):
        block = mount.source.startswith("/dev/") and not mount.device.startswith("0:")
        disk = block or mount.kind in ("btrfs", "zfs") or (mount.point == "/" and mount.kind in _ROOTS)
        if disk and not mount.read_only and mount.kind not in _FIXED:
            chosen.setdefault(mount.source if mount.device.startswith("0:") else mount.device, mount)
    return sorted(chosen.values(), key=lambda mount: mount.point)


def devices_in_memory(found: list[Mount]) -> frozenset[int]:
    """The ``st_dev`` of file systems without space on a partition, such as tmpfs and proc."""
    kept = {mount.device for mount in real(found)}
    unreal = {mount.device for mount in found if mount.device.startswith("0:")} - kept
    return frozenset(os.makedev(*map(int, device.split(":"))) for device in unreal)


def read(
    found: list[Mount], statvfs: Callable[[str], os.statvfs_result] = os.statvfs
) -> tuple[list[Partition], list[str]]:
    """How full each real partition is, and a fault for each one that did not answer."""
    partitions, faults = [], []
    for mount in real(found):
        try:
            seen = statvfs(mount.point)
        except OSError as error:
            faults.append(f"{mount.point}: {error.strerror}")
            continue
        unit = seen.f_frsize
        partitions.append(
            Partition(
                mount.point,
                size=seen.f_blocks * unit,
                used=(seen.f_blocks - seen.f_bfree) * unit,
                available=seen.f_bavail * unit,
                inodes=seen.f_files,
                inodes_used=seen.f_files - seen.f_ffree,
            )
        )
    return partitions, faults


def holder(path: str, points: list[str]) -> str:
    """The mount point of the partition that ``path`` is on; empty when none of ``points`` is above it."""
    above = [point for point in points if path == point or path.startswith(point.rstrip("/") + "/")]
    return max(above, key=len, default="")
