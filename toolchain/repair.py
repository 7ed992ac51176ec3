"""Repairs the state of the lab's stack after a `pulumi` that was killed or that failed.

Such a run can leave a lock, operations that it had begun, and resources that depend on resources that are
gone. All of these can be removed, because every operation of the lab's stack may be run again.

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
    """The locks of processes that ran on this machine and have ended."""
    stale = []
    for path in sorted((backend / ".pulumi" / "locks").rglob("*.json")):
        lock = json.loads(path.read_text("utf-8"))
        if lock.get("hostname") == socket.gethostname() and not _runs(lock.get("pid")):
            stale.append(path)
    return stale


def _runs(pid: object) -> bool:
    """Whether a process runs. One that was killed and that nobody has waited for does not."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return False
    return fields[0] not in ("Z", "X")


def _latest(backend: Path) -> dict[str, Any]:
    """The state of the stack `lab`, which is empty before the first deployment."""
    path = backend / ".pulumi" / "stacks" / "habla" / "lab.json"
    if not path.is_file():
        return {}
    checkpoint = json.loads(path.read_text("utf-8")).get("checkpoint") or {}
    return checkpoint.get("latest") or {}


def has_begun_operations(backend: Path) -> bool:
    """Whether the state of the stack `lab` has operations without a known result."""
    return bool(_latest(backend).get("pending_operations"))


def has_lost_dependencies(backend: Path) -> bool:
    """Whether a resource depends on one that is gone. The engine then refuses to work.

    `up --continue-on-error` can leave such a state: it skips the change of a resource, and then deletes
    another one that the change would have made unnecessary.
    """
    resources = _latest(backend).get("resources") or []
    there = {resource["urn"] for resource in resources}
    return any(urn not in there for resource in resources for urn in resource.get("dependencies") or ())


def main(backend: Path, pulumi: str) -> int:
    """Repair the backend and print each repair. Returns the exit status of the last command that was run."""
    locks = stale_locks(backend)
    for path in locks:
        path.unlink()
    if locks:
        print("habla: an earlier run was killed; its lock on the lab's stack is removed")
    if has_lost_dependencies(backend):
        print("habla: an earlier run failed half-way; resources that are gone are removed from the state")
        status = _run(pulumi, "state", "repair", "--stack", "lab", "--yes")
        if status != 0:
            return status
    if has_begun_operations(backend):
        print("habla: an earlier run was killed; its unfinished operations will be done again")
        words = "refresh --stack lab --yes --clear-pending-creates --skip-preview --suppress-outputs"
        return _run(pulumi, *words.split(), "--suppress-permalink")
    return 0


def _run(*command: str) -> int:
    """Run a command and return its exit status. Its output is shown only if it fails."""
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    if done.returncode != 0:
        os.write(2, done.stdout)
    return done.returncode


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2]))
