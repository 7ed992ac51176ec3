"""A program that runs away, and what becomes of its partition; run on a host as root.

    runaway.py FILE BYTES_A_SECOND SECONDS PREFIX MOUNT

Appends what cannot be compressed to FILE. It writes 50 times a second, and catches up when the disk was slow.
At the end it prints one line of JSON: {"written": bytes, "files": the most that the files of PREFIX* took
together, "used": the highest use of MOUNT in percent as df has it, "rotations": how often FILE became
smaller}.

It needs pace.py beside it.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import threading
import time
from pathlib import Path

from pace import Pace

RATE = 50


def taken(prefix: Path) -> int:
    """What the files take on disk."""
    total = 0
    for path in prefix.parent.glob(f"{prefix.name}*"):
        with contextlib.suppress(FileNotFoundError):
            total += path.stat().st_blocks * 512
    return total


def use(mount: str) -> float:
    """As df counts it: of what users other than root may have."""
    state = os.statvfs(mount)
    used = state.f_blocks - state.f_bfree
    return 100 * used / (used + state.f_bavail)


def main(path: str, rate: str, seconds: str, prefix: str, mount: str) -> None:
    most = {"files": 0, "used": 0.0, "rotations": 0}
    over = threading.Event()

    def look() -> None:
        before = 0
        while not over.wait(1 / RATE):
            most["files"] = max(most["files"], taken(Path(prefix)))
            most["used"] = max(most["used"], use(mount))
            size = Path(path).stat().st_size if Path(path).exists() else 0
            most["rotations"] += size < before
            before = size

    looking = threading.Thread(target=look)
    looking.start()
    written, started = 0, time.monotonic()
    log = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o640)
    for _ in Pace(RATE, int(float(seconds) * RATE)):
        passed = time.monotonic() - started
        if passed > float(seconds):
            break
        # Never ahead of the rate, and behind it only when the disk is.
        written += os.write(log, os.urandom(int(passed * float(rate)) - written))
    over.set()
    looking.join()
    print(json.dumps({"written": written, **most}))


if __name__ == "__main__":
    main(*sys.argv[1:])
