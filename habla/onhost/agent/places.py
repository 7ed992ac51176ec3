"""The agent's own files. They are written so that a power cut leaves the old or the new file as a whole."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import time
from pathlib import Path
from typing import Any, Dict, Iterator, List, Optional

from ..failure import Failure

STATE = Path("/var/lib/habla")
RECORDS = STATE / "components"
JOURNAL = STATE / "journal.json"
BACKUP = STATE / "backup"
# Configs as their checkers read them; there only while one does.
CHECKED = STATE / "checked"
ORIGINALS = STATE / "originals"
# To which resource of a stack the agent belongs.
OWNER = STATE / "owner.json"
ARCHIVES = STATE / "archives"
SECRETS = Path("/etc/habla/secrets.json")
# The unit that recovers at boot.
RECOVER_UNIT = Path("/etc/systemd/system/habla-recover.service")
LOCK = Path("/run/habla.lock")
LOCK_DEADLINE = 900.0
# Marks the files that the agent puts beside others while it works. A left-over one comes from a broken run.
STAGED = ".habla-new"


@contextlib.contextmanager
def lock() -> Iterator[None]:
    """Let only one agent run on a host. Raises Failure if another one holds the lock for too long."""
    descriptor = os.open(str(LOCK), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    deadline = time.monotonic() + LOCK_DEADLINE
    try:
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    reason = "another run of the agent has held this lock for more than {:.0f} s".format(
                        LOCK_DEADLINE
                    )
                    raise Failure("lock", str(LOCK), reason=reason) from None
                time.sleep(0.1)
        yield
    finally:
        os.close(descriptor)


def write(path: Path, content: bytes, *, mode: int = 0o600) -> None:
    """Write a file in one step and to disk. Nothing is left beside it if that fails."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(path.name + STAGED)
    try:
        write_plain(new, content, mode=mode)
        descriptor = os.open(str(new), os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        new.replace(path)
    except OSError:
        with contextlib.suppress(OSError):
            new.unlink()
        raise
    sync_directory(path.parent)


def write_plain(path: Path, content: bytes, *, mode: int = 0o600) -> None:
    """Write a new file over the leftovers of an interrupted run. It may not be on disk yet."""
    with contextlib.suppress(FileNotFoundError):
        path.unlink()
    descriptor = os.open(str(path), os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    try:
        with os.fdopen(descriptor, "wb") as handle:
            handle.write(content)
    except OSError as error:
        # A full disk does not say by itself which file it was.
        error.filename = str(path)
        raise


def make_state() -> None:
    """Make the agent's own directory, which only root may read, because kept files may hold secrets."""
    STATE.mkdir(parents=True, exist_ok=True)
    if STATE.stat().st_mode & 0o077:
        STATE.chmod(0o700)


def sync_directory(path: Path) -> None:
    """Make sure that the renames in a directory are on disk."""
    descriptor = os.open(str(path), os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_json(path: Path, value: Any) -> None:
    """Write JSON, readable by root only."""
    write(path, json.dumps(value, sort_keys=True).encode())


def read_json(path: Path) -> Optional[Any]:
    """The content of a file from ``write_json``, or None if there is no file."""
    try:
        return json.loads(path.read_bytes())
    except FileNotFoundError:
        return None


def record_path(component: str) -> Path:
    """The path of the record of a component."""
    return RECORDS / (component + ".json")


def records() -> Dict[str, Dict[str, Any]]:
    """component -> its record, of all components on this host.

    A record: ``document`` as applied, ``files`` (paths), ``made`` (directories made for them), ``ran``
    (units that ran before), ``actions``
    (name -> digest of the inputs of its last success).
    """
    if not RECORDS.is_dir():
        return {}
    return {path.stem: read_json(path) or {} for path in sorted(RECORDS.glob("*.json"))}


def secrets() -> Dict[str, str]:
    """The secrets that were delivered to this host."""
    return read_json(SECRETS) or {}


def original_of(path: str) -> Path:
    """The path where the file is kept that was at ``path`` before habla."""
    return ORIGINALS / path.lstrip("/")


def backups(paths: List[str]) -> Dict[str, Path]:
    """The paths where a transaction keeps the old files."""
    return {path: BACKUP / path.lstrip("/") for path in paths}
