"""Puts single files and links in place in one step, keeps the originals, and puts them back."""

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
    """The path beside ``path`` where its new content waits."""
    target = Path(path)
    return target.with_name(target.name + places.STAGED)


def own(path: str, mode: str, *, owner: str, group: str) -> None:
    """Set mode, owner and group. Raises Failure if the owner or group does not exist."""
    try:
        os.chown(path, pwd.getpwnam(owner).pw_uid, grp.getgrnam(group).gr_gid)
    except KeyError as error:
        raise Failure(
            "stage", path, reason="the owner does not exist on this host: {}".format(error)
        ) from None
    os.chmod(path, int(mode, 8))


def link(path: str, target: str) -> None:
    """Make ``path`` a link to ``target`` in one step. Raises Failure if ``path`` is a directory."""
    new = staged(path)
    remove(new)
    if Path(path).is_dir() and not Path(path).is_symlink():
        raise Failure(
            "swap", path, reason="this path must be a link, but it is a directory: move the directory away"
        )
    new.symlink_to(target)
    new.replace(path)


def copy(source: Path, target: Path) -> None:
    """Copy a file or link with its mode, owner and times, in one step. Do nothing if there is no source.

    Only ``settle`` makes sure that the content is on disk. Raises Failure for a directory or device.
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
        # Only root may open it before its own mode is set, because it may hold a secret.
        descriptor = os.open(str(new), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as writer, source.open("rb") as reader:
            shutil.copyfileobj(reader, writer)
    else:
        raise Failure("swap", str(source), reason="this path is neither a file nor a link: move it away")
    os.chown(str(new), status.st_uid, status.st_gid, follow_symlinks=False)
    shutil.copystat(str(source), str(new), follow_symlinks=False)
    new.replace(target)


def move(source: Path, target: Path) -> None:
    """Move a file or link. On one file system, this needs no space; otherwise it is like ``copy``."""
    if os.path.lexists(str(source)):
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            source.replace(target)
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            copy(source, target)


def remove(path: Path) -> None:
    """Remove a file or link, if it exists."""
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        path.unlink()


def put_original(path: str) -> None:
    """Put back the file that was at ``path`` before habla, or remove ``path`` if there was none."""
    original = places.original_of(path)
    if os.path.lexists(str(original)):
        copy(original, Path(path))
    else:
        remove(Path(path))


def keep_original(path: str) -> None:
    """Keep the file at ``path`` before habla replaces it. Forget an older one if there is no file."""
    original = places.original_of(path)
    remove(original)
    copy(Path(path), original)


def drop_original(path: str) -> None:
    """Forget the kept file, because the file in place belongs to the user again."""
    remove(places.original_of(path))


def settle(paths: Iterable[Path]) -> None:
    """Make sure that files and their names are on disk. One call for all costs less than one for each."""
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
    """Remove a directory that belongs to the agent."""
    if directory.exists():
        shutil.rmtree(str(directory))


def as_failure(step: str, error: Exception) -> Failure:
    """The failure for an error of a step. It names the file, not the staged one beside it."""
    if isinstance(error, Failure):
        return error
    subject = str(getattr(error, "filename", None) or step)
    if subject.endswith(places.STAGED):
        subject = subject[: -len(places.STAGED)]
    words = getattr(error, "strerror", None) or "{}: {}".format(type(error).__name__, error)
    return Failure(step, subject, reason=str(words))
