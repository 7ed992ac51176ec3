"""What a `pulumi` that was killed, or failed, leaves in the lab's backend: a lock, operations that it had
begun, resources that depend on others which are gone.

Everything the lab's stack runs may be run again, so all of it can go.

    python -m toolchain.repair DIRECTORY PULUMI
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any


def stale_locks(backend: Path) -> list[Path]:
    """Locks of processes of this machine that do not run any more."""
    stale = []
    for path in sorted((backend / ".pulumi" / "locks").rglob("*.json")):
        lock = json.loads(path.read_text("utf-8"))
        if lock.get("hostname") == socket.gethostname() and not Path(f"/proc/{lock.get('pid')}").exists():
            stale.append(path)
    return stale


def _latest(backend: Path) -> dict[str, Any]:
    """The state of the stack `lab`; empty before its first deployment."""
    path = backend / ".pulumi" / "stacks" / "habla" / "lab.json"
    if not path.is_file():
        return {}
    checkpoint = json.loads(path.read_text("utf-8")).get("checkpoint") or {}
    return checkpoint.get("latest") or {}


def has_begun_operations(backend: Path) -> bool:
    """Whether the state of the stack `lab` has operations whose end nobody saw."""
    return bool(_latest(backend).get("pending_operations"))


def has_lost_dependencies(backend: Path) -> bool:
    """Whether a resource depends on one that is gone; the engine then refuses to work.

    `up --continue-on-error` leaves that when it skips a change and deletes what the change was to leave.
    """
    resources = _latest(backend).get("resources") or []
    there = {resource["urn"] for resource in resources}
    return any(urn not in there for resource in resources for urn in resource.get("dependencies") or ())


def main(backend: Path, pulumi: str) -> int:
    """Repair the backend; says what it did, and nothing when there was nothing to do."""
    locks = stale_locks(backend)
    for path in locks:
        path.unlink()
    if locks:
        print("habla: an earlier run was killed; its lock on the lab's stack is removed")
    if has_lost_dependencies(backend):
        print("habla: an earlier run failed half-way; what is gone is forgotten")
        status = _run(pulumi, "state", "repair", "--stack", "lab", "--yes")
        if status != 0:
            return status
    if has_begun_operations(backend):
        print("habla: an earlier run was killed; what it had begun is done again")
        words = "refresh --stack lab --yes --clear-pending-creates --skip-preview --suppress-outputs"
        return _run(pulumi, *words.split(), "--suppress-permalink")
    return 0


def _run(*command: str) -> int:
    """Silent, unless it fails."""
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    if done.returncode != 0:
        os.write(2, done.stdout)
    return done.returncode


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2]))
