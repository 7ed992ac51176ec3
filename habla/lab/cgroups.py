"""One cgroup per lab, and one below it per host. Killing a cgroup ends all of its processes at once.

The lab mounts the unified hierarchy again in a private mount namespace. So hosts see the same layout on every
machine, cgroup2 alone as on Debian, whatever the machine itself mounts.
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
    """Mount cgroup2 over /sys/fs/cgroup. Call it only in a private mount namespace."""
    namespaces.mount("cgroup2", str(ROOT), kind="cgroup2")


def create(group: Path) -> None:
    """Make a group."""
    group.mkdir(parents=True, exist_ok=True)


def hand_down(group: Path) -> None:
    """Give the groups below this one its controllers. The group itself can then hold no processes."""
    for name in (group / "cgroup.controllers").read_text().split():
        # Some machines refuse some controllers. Limits of that kind are then not available in the lab.
        with suppress(OSError):
            (group / "cgroup.subtree_control").write_text(f"+{name}")


def join(group: Path) -> None:
    """Move the calling process into the group."""
    (group / "cgroup.procs").write_text("0")


def kill(group: Path, seconds: float = 10.0) -> None:
    """Kill every process in the group and below it at once (SIGKILL), and wait until none is left.

    Raises TimeoutError if a process is still alive after that many seconds.
    """
    with suppress(FileNotFoundError):
        (group / "cgroup.kill").write_text("1")
        deadline = time.monotonic() + seconds
        while "populated 1" in (group / "cgroup.events").read_text():
            if time.monotonic() > deadline:
                raise TimeoutError(f"processes in {group} are still alive {seconds:.0f} s after SIGKILL")
            time.sleep(0.005)


def destroy(group: Path) -> None:
    """Kill the processes in the group, then remove it with all groups below it."""
    kill(group)
    for directory, _, _ in os.walk(group, topdown=False):
        with suppress(FileNotFoundError):
            Path(directory).rmdir()


def sweep(name: str) -> None:
    """Kill and remove the group of that name, with everything in it. Call it outside of the lab."""

    def work() -> str:
        namespaces.unshare(namespaces.CLONE_NEWNS)
        namespaces.mount("none", "/", flags=namespaces.MS_REC | namespaces.MS_PRIVATE)
        mount_unified()
        destroy(ROOT / name)
        return ""

    namespaces.in_child(work)
