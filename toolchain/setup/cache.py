"""The user's cache directory: complete entries, made once, under a lock.

An entry is a directory `NAME-VERSION-DIGEST` with a manifest of its files. It gets its name by one rename
when it is complete, so the remains of a crash are never taken for an entry. The next run removes them.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from toolchain.setup.report import say

MANIFEST = "manifest.json"


def cache_root() -> Path:
    """The directory that this project owns in the user's cache."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    # The base directory specification: a relative value is to be ignored.
    root = Path(base) if base.startswith("/") else Path.home() / ".cache"
    return root / "habla" / "toolchain"


@contextlib.contextmanager
def locked(directory: Path) -> Iterator[None]:
    """Hold the lock of `directory`, which is made if it is missing. A second run says that it waits."""
    directory.mkdir(parents=True, exist_ok=True)
    with (directory / ".lock").open("a") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("another set-up is at work; waiting for it")
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def digest_of(*parts: Path | str) -> str:
    """The sha256, in hex, of files (by content) and strings, in order."""
    whole = hashlib.sha256()
    for part in parts:
        content = part.read_bytes() if isinstance(part, Path) else part.encode()
        whole.update(f"{len(content)}:".encode())
        whole.update(content)
    return whole.hexdigest()


def is_complete(entry: Path) -> bool:
    """Whether `entry` holds every file of its manifest, in full size.

    Sizes and not contents: a power cut leaves files short or empty, and hashing 190 MB on every run is slow.
    """
    try:
        sizes = json.loads((entry / MANIFEST).read_text())["sizes"]
        return all((entry / name).stat().st_size == size for name, size in sizes.items())
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False


def entry(root: Path, name: str, *, make: Callable[[Path], None]) -> Path:
    """The complete entry `name` in `root`. `make(directory)` fills a new one if there is none."""
    target = root / name
    if is_complete(target):
        return target
    # A fixed name, so that this run finds and removes the remains of a crash. The caller holds the lock.
    draft = root / f".{name}.new"
    for leftover in (draft, target):
        if leftover.exists():
            shutil.rmtree(leftover)
    draft.mkdir(parents=True)
    make(draft)
    sizes = {
        str(path.relative_to(draft)): path.stat().st_size
        for path in sorted(draft.rglob("*"))
        if path.is_file()
    }
    (draft / MANIFEST).write_text(json.dumps({"sizes": sizes}, indent=1) + "\n")
    os.sync()
    draft.rename(target)
    return target
