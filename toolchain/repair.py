"""What a `pulumi` that was killed leaves in the lab's backend: a lock, and operations that it had begun.

Everything the lab's stack runs may be run again, so both can go.

    python -m toolchain.repair DIRECTORY PULUMI
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path


def stale_locks(backend: Path) -> list[Path]:
    """Locks of processes of this machine that do not run any more."""
    stale = []
    for path in sorted((backend / ".pulumi" / "locks").rglob("*.json")):
        lock = json.loads(path.read_text("utf-8"))
        if lock.get("hostname") == socket.gethostname() and not Path(f"/proc/{lock.get('pid')}").exists():
            stale.append(path)
    return stale


def has_begun_operations(backend: Path) -> bool:
    """Whether the state of the stack `lab` has operations whose end nobody saw."""
    path = backend / ".pulumi" / "stacks" / "habla" / "lab.json"
    if not path.is_file():
        return False
    checkpoint = json.loads(path.read_text("utf-8")).get("checkpoint") or {}
    return bool((checkpoint.get("latest") or {}).get("pending_operations"))


def main(backend: Path, pulumi: str) -> int:
    """Repair the backend; says what it did, and nothing when there was nothing to do."""
    locks = stale_locks(backend)
    for path in locks:
        path.unlink()
    if locks:
        print("habla: an earlier run was killed; its lock on the lab's stack is removed")
    if has_begun_operations(backend):
        print("habla: an earlier run was killed; what it had begun is done again")
        command = [pulumi, "refresh", "--stack", "lab", "--yes", "--clear-pending-creates", "--skip-preview"]
        done = subprocess.run(
            [*command, "--suppress-outputs", "--suppress-permalink"],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
        )
        if done.returncode != 0:
            os.write(2, done.stdout)
        return done.returncode
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2]))
