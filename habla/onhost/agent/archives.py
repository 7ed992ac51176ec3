"""Takes or fetches archives, checks them by digest, and unpacks each one beside its link."""

from __future__ import annotations

import contextlib
import hashlib
import io
import lzma
import os
import shutil
import tarfile
import time
import zlib
from pathlib import Path
from typing import Set, Union

from ..document import Archive
from ..failure import Failure
from .bundle import brought_along
from .diff import link_target
from .files import settle
from .places import ARCHIVES, STAGED, records

_TIMEOUT = 60.0
# Where an archive arrives, before its digest, in the home directory of the user who logs in.
SENT = ".habla-archive-"
# Seconds that a delivered archive waits for the apply that asks for it.
_KEPT = 86400.0


def receive(sha256: str) -> None:
    """Keep an archive that was sent to the home directory of the user who logs in, if there is one.

    Raises Failure when the archive does not match its digest.
    """
    sent = Path(SENT + sha256)
    if not sent.is_file():
        return
    found = _file_digest(sent)
    if found != sha256:
        sent.unlink()
        raise Failure("stage", str(sent), reason="the sha256 is {}, not {}".format(found, sha256))
    kept = ARCHIVES / sha256
    kept.parent.mkdir(parents=True, exist_ok=True)
    new = kept.with_name(kept.name + STAGED)
    # Perhaps to another file system, and never half of it under its name.
    shutil.copyfile(str(sent), str(new))
    new.chmod(0o600)
    settle([new])
    new.replace(kept)
    sent.unlink()
    _prune({sha256, *_in_use()})


def _in_use() -> Set[str]:
    found = set()
    for record in records().values():
        for archive in record.get("document", {}).get("archives", {}).values():
            found.add(archive["sha256"])
    return found


def _prune(keep: Set[str]) -> None:
    """Remove old archives that no component uses. A young one may wait for the apply of another component."""
    for path in ARCHIVES.glob("*") if ARCHIVES.is_dir() else ():
        if path.name not in keep and time.time() - path.stat().st_mtime > _KEPT:
            path.unlink()


def unpack(path: str, archive: Archive) -> None:
    """Make the directory that the link ``path`` will point to. A Failure leaves nothing behind."""
    target = Path(link_target(path, archive.sha256))
    if target.is_dir():
        return
    receive(archive.sha256)
    stored = ARCHIVES / archive.sha256
    own = brought_along(archive.sha256 + ".tar")
    if stored.exists():
        content: Union[Path, bytes] = stored
    elif own is not None:
        content = own
    elif archive.url:
        content = _fetch(archive.url)
    else:
        raise Failure(
            "stage", path, reason="the archive {} was not delivered to this host".format(archive.sha256)
        )
    _verify(content, archive.sha256, subject=archive.url or path)
    new = target.with_name(".new-" + archive.sha256)
    if new.exists():
        shutil.rmtree(str(new))
    new.mkdir(parents=True)
    try:
        with _opened(content) as tar:
            for member in tar.getmembers():
                _extract(tar, member, below=new)
        # One call for many small files, before the final name shows them.
        os.sync()
        new.rename(target)
    except (tarfile.TarError, EOFError, zlib.error, lzma.LZMAError) as error:
        raise Failure("stage", path, reason="this is not a tar archive: {}".format(error)) from None
    finally:
        shutil.rmtree(str(new), ignore_errors=True)
        with contextlib.suppress(OSError):
            # This succeeds only if the directory is empty, because the first version of the archive failed.
            target.parent.rmdir()


def drop_others(path: str, keep: str) -> None:
    """Remove all versions beside the link except ``keep``, or all of them if ``keep`` is empty."""
    versions = Path(path + ".d")
    for other in versions.iterdir() if versions.is_dir() else ():
        if other.name != keep:
            shutil.rmtree(str(other), ignore_errors=True)
    if not keep:
        with contextlib.suppress(OSError):
            versions.rmdir()


def drop_unlinked(path: str) -> None:
    """Remove the versions beside the link that it does not point to, or all of them if there is no link."""
    try:
        drop_others(path, Path(os.readlink(path)).name)
    except OSError:
        drop_others(path, "")


def _extract(tar: tarfile.TarFile, member: tarfile.TarInfo, *, below: Path) -> None:
    """Unpack a directory, plain file or link, owned by root. Raises Failure for anything else."""
    parts = [part for part in member.name.split("/") if part not in ("", ".")]
    if not parts and member.isdir():
        return
    path = below.joinpath(*parts)
    known = member.isdir() or member.isfile() or member.issym()
    if member.name.startswith("/") or ".." in parts or not known or not _is_below(path, below):
        raise Failure(
            "stage",
            member.name,
            reason="the archive may only hold directories, files and links below its root",
        )
    if member.isdir():
        path.mkdir(parents=True, exist_ok=True)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    if member.issym():
        path.symlink_to(member.linkname)
        if member.linkname.startswith("/") or not _is_below(path, below):
            raise Failure("stage", member.name, reason="this link leads out of the archive")
        return
    source = tar.extractfile(member)
    assert source is not None
    with source, path.open("wb") as handle:
        shutil.copyfileobj(source, handle)
    path.chmod(0o755 if member.mode & 0o100 else 0o644)


def _is_below(path: Path, below: Path) -> bool:
    """Whether the path is below the directory when all links on the way are followed."""
    return os.path.realpath(str(path)).startswith(os.path.realpath(str(below)) + "/")


def _opened(content: Union[Path, bytes]) -> tarfile.TarFile:
    if isinstance(content, bytes):
        return tarfile.open(fileobj=io.BytesIO(content))
    return tarfile.open(str(content))


def _file_digest(path: Path) -> str:
    """The sha256 of a file, which may be large."""
    total = hashlib.sha256()
    with path.open("rb") as handle:
        for part in iter(lambda: handle.read(1 << 20), b""):
            total.update(part)
    return total.hexdigest()


def _verify(content: Union[Path, bytes], sha256: str, *, subject: str) -> None:
    found = _file_digest(content) if isinstance(content, Path) else hashlib.sha256(content).hexdigest()
    if found != sha256:
        raise Failure("stage", subject, reason="the sha256 is {}, not {}".format(found, sha256))


def _fetch(url: str) -> bytes:
    # Imported here, because it takes a fifth of the agent's start, and most runs do not need it.
    import urllib.request

    try:
        with urllib.request.urlopen(url, timeout=_TIMEOUT) as answer:
            content: bytes = answer.read()
            return content
    except OSError as error:
        raise Failure("stage", url, reason="the host cannot fetch this URL: {}".format(error)) from None
