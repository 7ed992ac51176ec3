#!/usr/bin/python3
"""Lets Cacti poll once, and records a successful poll.

Usage: python3 -m cacti.poll ALIVE LOCK. ALIVE is a file that gets the time (seconds since 1970)
of the last poll that went well; the web server shows it. LOCK keeps polls and the sync apart.

Written to the host that runs Cacti; Python 3.9 and its standard library only.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import re
import subprocess
import sys
import time
from pathlib import Path

from .client import hold

POLLER = ("php", "/usr/share/cacti/site/poller.php")
# Cacti gives up by itself after 58.
SECONDS = 90
BACKGROUND = 50
_STATS = re.compile(r" STATS: Time:.* DataSources:(\d+) RRDsProcessed:(\d+)")


def fault(status: int, output: str) -> str:
    """Why a poll does not count, or an empty string. Cacti's poller always ends with 0."""
    found = _STATS.search(output)
    if status != 0 or found is None:
        return f"no poll: exit status {status}"
    if "Maximum runtime" in output:
        return "the poll took too long"
    if int(found[1]) and not int(found[2]):
        return f"Cacti stored nothing of {found[1]} data sources"
    return ""


def adopt() -> None:
    """Adopt the processes that the poller leaves in the background when it ends."""
    become_subreaper = 36
    ctypes.CDLL(None).prctl(become_subreaper, 1, 0, 0, 0)


def wait_for_children(seconds: float) -> None:
    """Wait for the poller's processes in the background, because systemd would end them with the unit.

    Such a process may be asking a host for its tables anew.
    """
    deadline = time.monotonic() + seconds
    with contextlib.suppress(ChildProcessError):
        while time.monotonic() < deadline:
            if os.waitpid(-1, os.WNOHANG)[0] == 0:
                time.sleep(0.1)


def main(alive: str, lock: str) -> int:
    hold(lock)
    adopt()
    started = int(time.time())
    done = subprocess.run(
        POLLER, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=SECONDS, check=False
    )
    # One line per file and poll says nothing.
    print("\n".join(line for line in done.stdout.splitlines() if line.strip() and not line.startswith("OK ")))
    sys.stdout.flush()
    reason = fault(done.returncode, done.stdout)
    if not reason:
        new = Path(alive + ".new")
        new.write_text(f"{started}\n")
        new.replace(alive)
    # The next poll is due a minute after this one.
    wait_for_children(started + BACKGROUND - time.time())
    if reason:
        print(reason, file=sys.stderr)
    return 1 if reason else 0


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    sys.exit(main(*sys.argv[1:]))
