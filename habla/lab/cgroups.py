"""One cgroup per lab, one below it per host: the handle by which everything in it can be ended at once.

The unified hierarchy is mounted anew in a private mount namespace, whatever the machine itself mounts, so
hosts see the same layout (cgroup2 alone, as Debian has it) on every machine.
"""

from __future__ import annotations

import os
import time
from contextlib import suppress
from pathlib import Path

from habla.lab import namespaces

__all__ = ["ROOT", "create", "destroy", "hand_down", "join", "kill", "mount_unified", "sweep"]

ROOT = Path("/sys/fs/cgroup")


def mount_unified() -> None:
    """Mount cgroup2 over /sys/fs/cgroup; only for a mount namespace of one's own."""
    namespaces.mount("cgroup2", str(ROOT), "cgroup2")


def create(group: Path) -> None:
    """Make a group for processes."""
    group.mkdir(parents=True, exist_ok=True)


def hand_down(group: Path) -> None:
    """Give the groups below this one the controllers that it has; it can then hold no processes itself."""
    for name in (group / "cgroup.controllers").read_text().split():
        # Not every controller can be handed down everywhere; limits are then simply not available.
        with suppress(OSError):
            (group / "cgroup.subtree_control").write_text(f"+{name}")


def join(group: Path) -> None:
    """Move the calling process into the group."""
    (group / "cgroup.procs").write_text("0")


def kill(group: Path, seconds: float = 10.0) -> None:
    """End every process in the group and below at once (SIGKILL), and wait until none is left.

    Raises TimeoutError when some process outlives it by that many seconds.
    """
    with suppress(FileNotFoundError):
        (group / "cgroup.kill").write_text("1")
        deadline = time.monotonic() + seconds
        while "populated 1" in (group / "cgroup.events").read_text():
            if time.monotonic() > deadline:
                raise TimeoutError(f"processes in {group} outlived SIGKILL by {seconds:.0f} s")
            time.sleep(0.005)


def destroy(group: Path) -> None:
    """Kill what is in the group, then remove it with all groups below."""
    kill(group)
    for directory, _, _ in os.walk(group, topdown=False):
        with suppress(FileNotFoundError):
            Path(directory).rmdir()


def sweep(name: str) -> None:
    """From outside the lab: end and remove the group of that name, whatever is in it."""

    def work() -> str:
        namespaces.unshare(namespaces.CLONE_NEWNS)
        namespaces.mount("none", "/", "", namespaces.MS_REC | namespaces.MS_PRIVATE)
        mount_unified()
        destroy(ROOT / name)
        return ""

    namespaces.in_child(work)
