"""What a killed ``pulumi`` leaves behind is found, and nothing else is."""

from __future__ import annotations

import json
import os
import socket
import subprocess
from pathlib import Path

from toolchain.repair import has_begun_operations, has_lost_dependencies, stale_locks


def lock(backend: Path, name: str, pid: int, hostname: str = "") -> Path:
    path = backend / ".pulumi" / "locks" / "organization" / "habla" / "lab" / f"{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"pid": pid, "hostname": hostname or socket.gethostname()}))
    return path


def test_only_a_lock_of_a_dead_process_of_this_machine_is_stale(tmp_path: Path) -> None:
    """A running ``pulumi``, or one of another machine, keeps its lock."""
    dead = lock(tmp_path, "dead", 2**22 + 1)
    lock(tmp_path, "alive", os.getpid())
    lock(tmp_path, "elsewhere", 2**22 + 1, "another-machine")
    assert stale_locks(tmp_path) == [dead]


def test_a_killed_process_that_nobody_waited_for_has_no_lock(tmp_path: Path) -> None:
    """It is still in /proc, as a zombie."""
    with subprocess.Popen(["sleep", "60"]) as process:
        path = lock(tmp_path, "killed", process.pid)
        assert stale_locks(tmp_path) == []
        process.kill()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        assert stale_locks(tmp_path) == [path]


def test_operations_whose_end_nobody_saw_are_found(tmp_path: Path) -> None:
    """In the state of the lab's stack; a stack that was never deployed has none."""
    assert not has_begun_operations(tmp_path)
    path = tmp_path / ".pulumi" / "stacks" / "habla" / "lab.json"
    path.parent.mkdir(parents=True)
    for pending in ([], [{"type": "creating"}]):
        path.write_text(json.dumps({"checkpoint": {"latest": {"pending_operations": pending}}}))
        assert has_begun_operations(tmp_path) == bool(pending)


def test_resources_that_depend_on_what_is_gone_are_found(tmp_path: Path) -> None:
    """The engine refuses a state with one of those."""
    assert not has_lost_dependencies(tmp_path)
    path = tmp_path / ".pulumi" / "stacks" / "habla" / "lab.json"
    path.parent.mkdir(parents=True)
    user = {"urn": "b", "dependencies": ["a"]}
    for resources in ([{"urn": "a"}, user], [user]):
        path.write_text(json.dumps({"checkpoint": {"latest": {"resources": resources}}}))
        assert has_lost_dependencies(tmp_path) == (len(resources) == 1)
