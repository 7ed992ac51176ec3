"""Single files and links: put in place in one step, kept, and put back."""

from __future__ import annotations

import contextlib
import grp
import os
import pwd
import shutil
from pathlib import Path

from . import places
from .failure import Failure


def staged(path: str) -> Path:
    """Where the new content of ``path`` waits, beside it."""
    target = Path(path)
    return target.with_name(target.name + places.STAGED)


def own(path: str, mode: str, owner: str, group: str) -> None:
    """Set mode and owners. Raises Failure when an owner does not exist."""
    try:
        os.chown(path, pwd.getpwnam(owner).pw_uid, grp.getgrnam(group).gr_gid)
    except KeyError as error:
        raise Failure("stage", path, "no such owner on this host: {}".format(error)) from None
    os.chmod(path, int(mode, 8))


def link(path: str, target: str) -> None:
    """Make ``path`` a link to ``target`` in one step. Raises Failure."""
    new = staged(path)
    with contextlib.suppress(FileNotFoundError):
        new.unlink()
    new.symlink_to(target)
    if Path(path).is_dir() and not Path(path).is_symlink():
        raise Failure("swap", path, "a directory stands where a link must be: move it away")
    new.replace(path)


def copy(source: Path, target: Path) -> None:
    """Copy a file or link with its mode and owner, in one step; what is not there is not copied."""
    if not os.path.lexists(str(source)):
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    new = target.with_name(target.name + places.STAGED)
    with contextlib.suppress(FileNotFoundError):
        new.unlink()
    status = os.lstat(str(source))
    shutil.copy2(str(source), str(new), follow_symlinks=False)
    os.chown(str(new), status.st_uid, status.st_gid, follow_symlinks=False)
    new.replace(target)


def remove(path: Path) -> None:
    """Remove a file or link that may be gone already."""
    with contextlib.suppress(FileNotFoundError):
        path.unlink()


def restore_original(path: str) -> None:
    """Put back what stood at ``path`` before habla, or nothing."""
    original = places.original_of(path)
    if os.path.lexists(str(original)):
        copy(original, Path(path))
        remove(original)
    else:
        remove(Path(path))


def clear(directory: Path) -> None:
    """Remove a directory of the agent's own."""
    if directory.exists():
        shutil.rmtree(str(directory))
