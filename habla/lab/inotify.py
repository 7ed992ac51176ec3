"""The kernel's limit for inotify instances, which systemd on every host needs.

The kernel counts them per user for the whole machine, and all hosts of all labs run as the same root. A host
that gets none does not boot, and systemd on it does not say why.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from habla.errors import LabError

__all__ = ["check", "free_instances"]

_LIMIT = Path("/proc/sys/fs/inotify/max_user_instances")
#: A host holds six of them: five in processes of systemd, and one in systemd-logind. Two more are for
#: programs that look at files for a moment, such as journalctl when it follows a log.
_PER_HOST = 8


def free_instances() -> int:
    """How many inotify instances root may still have. Sees the processes of its own PID namespace alone."""
    used = 0
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it has ended
            used += sum(map(_is_ours, (process / "fd").iterdir()))
    return int(_LIMIT.read_text()) - used


def _is_ours(descriptor: Path) -> bool:
    """Whether this entry of /proc/PID/fd is an inotify instance of root's. False once it was closed."""
    try:
        return (
            str(descriptor.readlink()) == "anon_inode:inotify" and descriptor.lstat().st_uid == os.geteuid()
        )
    except OSError:
        return False


def check(host: str, free: int, *, booting: int) -> None:
    """Raise LabError unless one more host can boot.

    free: the instances that root may still have. booting: the number of hosts that boot at this moment and
    may not have taken theirs yet.
    """
    needed = _PER_HOST * (booting + 1)
    if free < needed:
        limit = int(_LIMIT.read_text())
        raise LabError(
            f"host {host}: this machine has too few inotify instances: {free} of {limit} are free\n"
            f"  rule: each host needs {_PER_HOST}, and {booting + 1} boot now; the limit is "
            "fs.inotify.max_user_instances\n"
            f"  fix:  sysctl -w fs.inotify.max_user_instances={max(512, 2 * limit)}, or end another lab"
        )
