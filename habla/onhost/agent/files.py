"""Single files and links: put in place in one step, kept, and put back."""

from __future__ import annotations

import contextlib
import errno
import grp
import os
import pwd
import shutil
import stat
from pathlib import Path
from typing import Iterable

from ..failure import Failure
from . import places


def staged(path: str) -> Path:
    """Where the new content of ``path`` waits, beside it."""
    target = Path(path)
    return target.with_name(target.name + places.STAGED)


def own(path: str, mode: str, *, owner: str, group: str) -> None:
    """Set mode and owners. Raises Failure when an owner does not exist."""
    try:
        os.chown(path, pwd.getpwnam(owner).pw_uid, grp.getgrnam(group).gr_gid)
    except KeyError as error:
        raise Failure("stage", path, reason="no such owner on this host: {}".format(error)) from None
    os.chmod(path, int(mode, 8))


def link(path: str, target: str) -> None:
    """Make ``path`` a link to ``target`` in one step. Raises Failure."""
    new = staged(path)
    remove(new)
    if Path(path).is_dir() and not Path(path).is_symlink():
        raise Failure("swap", path, reason="a directory stands where a link must be: move it away")
    new.symlink_to(target)
    new.replace(path)


def copy(source: Path, target: Path) -> None:
    """Copy a file or link with its mode, owner and times, in one step; what is not there is not copied.

    The content is not on disk for certain before ``settle``. Raises Failure for a directory or device.
    """
    try:
        status = os.lstat(str(source))
    except (FileNotFoundError, NotADirectoryError):
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    new = target.with_name(target.name + places.STAGED)
    remove(new)
    if stat.S_ISLNK(status.st_mode):
        new.symlink_to(os.readlink(str(source)))
    elif stat.S_ISREG(status.st_mode):
        # Nobody but root may open it before its own mode is set: it may hold a secret.
        descriptor = os.open(str(new), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as writer, source.open("rb") as reader:
            shutil.copyfileobj(reader, writer)
    else:
        raise Failure("swap", str(source), reason="neither a file nor a link stands there: move it away")
    os.chown(str(new), status.st_uid, status.st_gid, follow_symlinks=False)
    shutil.copystat(str(source), str(new), follow_symlinks=False)
    new.replace(target)


def move(source: Path, target: Path) -> None:
    """Like ``copy``, but the source may go: without need of space where both are on one file system."""
    if os.path.lexists(str(source)):
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            source.replace(target)
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            copy(source, target)


def remove(path: Path) -> None:
    """Remove a file or link that may be gone already."""
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        path.unlink()


def put_original(path: str) -> None:
    """Put back what stood at ``path`` before habla, or nothing; ``drop_original`` is another step."""
    original = places.original_of(path)
    if os.path.lexists(str(original)):
        copy(original, Path(path))
    else:
        remove(Path(path))


def keep_original(path: str) -> None:
    """Keep what stands at ``path`` before habla takes it over, even if that is nothing."""
    original = places.original_of(path)
    remove(original)
    copy(Path(path), original)


def drop_original(path: str) -> None:
    """Forget what was kept; the file in place is the user's again."""
    remove(places.original_of(path))


def settle(paths: Iterable[Path]) -> None:
    """Put files and the names of them on disk: all at once, which costs less than each on its own."""
    directories = set()
    for path in paths:
        directories.add(path.parent)
        if path.is_file() and not path.is_symlink():
            descriptor = os.open(str(path), os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
    for directory in sorted(directories):
        if directory.is_dir():
            places.sync_directory(directory)


def clear(directory: Path) -> None:
    """Remove a directory of the agent's own."""
    if directory.exists():
        shutil.rmtree(str(directory))


def as_failure(step: str, error: Exception) -> Failure:
    """An error of a step as a failure that names the file, not the staged one beside it."""
    if isinstance(error, Failure):
        return error
    subject = str(getattr(error, "filename", None) or step)
    if subject.endswith(places.STAGED):
        subject = subject[: -len(places.STAGED)]
    words = getattr(error, "strerror", None) or "{}: {}".format(type(error).__name__, error)
    return Failure(step, subject, reason=str(words))
