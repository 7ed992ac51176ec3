"""Archives: handed over or fetched, checked by digest, unpacked once beside the link that will name them."""

from __future__ import annotations

import base64
import binascii
import contextlib
import hashlib
import io
import lzma
import os
import shutil
import sys
import tarfile
import time
import zipfile
import zlib
from pathlib import Path
from typing import Any, List, Optional, Set

from ..document import Archive
from ..failure import Failure
from .diff import link_target
from .places import ARCHIVES, records, write

_TIMEOUT = 60.0
# Seconds that a delivered archive waits for the apply that asks for it.
_KEPT = 86400.0


def store(raw: Any) -> List[str]:
    """Keep archives, given as ``{"archives": {SHA256: BASE64}}``; those that were not here yet.

    Raises Failure when one is not what its digest says.
    """
    stored = []
    delivered = raw.get("archives", {})
    for sha256, text in sorted(delivered.items()):
        try:
            content = base64.b64decode(text, validate=True)
        except (binascii.Error, ValueError) as error:
            raise Failure("store", sha256, reason=str(error)) from None
        _verify(content, sha256, subject=sha256)
        path = ARCHIVES / sha256
        if path.exists() and path.read_bytes() == content:
            os.utime(str(path))
        else:
            write(path, content)
            stored.append(sha256)
    _prune({*delivered, *_in_use()})
    return stored


def _in_use() -> Set[str]:
    found = set()
    for record in records().values():
        for archive in record.get("document", {}).get("archives", {}).values():
            found.add(archive["sha256"])
    return found


def _prune(keep: Set[str]) -> None:
    """Drop old archives that nobody has; a young one may wait for another component's apply."""
    for path in ARCHIVES.glob("*") if ARCHIVES.is_dir() else ():
        if path.name not in keep and time.time() - path.stat().st_mtime > _KEPT:
            path.unlink()


def unpack(path: str, archive: Archive) -> None:
    """Make the directory that the link ``path`` will point to. Raises Failure; leaves nothing half done."""
    target = Path(link_target(path, archive.sha256))
    if target.is_dir():
        return
    stored = ARCHIVES / archive.sha256
    own = _own(archive.sha256)
    if stored.exists():
        content = stored.read_bytes()
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
        with tarfile.open(fileobj=io.BytesIO(content)) as tar:
            for member in tar.getmembers():
                _extract(tar, member, below=new)
        # Many small files: one call for all of them, and before the name says that they are there.
        os.sync()
        new.rename(target)
    except (tarfile.TarError, EOFError, zlib.error, lzma.LZMAError) as error:
        raise Failure("stage", path, reason="not a tar archive: {}".format(error)) from None
    finally:
        shutil.rmtree(str(new), ignore_errors=True)
        with contextlib.suppress(OSError):
            # Goes only when nothing is in it, that is, when this was the first version and no good.
            target.parent.rmdir()


def _own(sha256: str) -> Optional[bytes]:
    """A program that the agent's own file brings along."""
    if not zipfile.is_zipfile(sys.argv[0]):
        return None
    with zipfile.ZipFile(sys.argv[0]) as bundle:
        try:
            return bundle.read("programs/{}.tar".format(sha256))
        except KeyError:
            return None


def drop_others(path: str, keep: str) -> None:
    """Remove the versions beside the link that it no longer points to; all of them when ``keep`` is empty."""
    versions = Path(path + ".d")
    for other in versions.iterdir() if versions.is_dir() else ():
        if other.name != keep:
            shutil.rmtree(str(other), ignore_errors=True)
    if not keep:
        with contextlib.suppress(OSError):
            versions.rmdir()


def drop_unlinked(path: str) -> None:
    """Remove the versions beside the link that it does not point to; all of them when there is no link."""
    try:
        drop_others(path, Path(os.readlink(path)).name)
    except OSError:
        drop_others(path, "")


def _extract(tar: tarfile.TarFile, member: tarfile.TarInfo, *, below: Path) -> None:
    """Directories, plain files and links below the target, owned by root; nothing else belongs in there."""
    parts = [part for part in member.name.split("/") if part not in ("", ".")]
    if not parts and member.isdir():
        return
    path = below.joinpath(*parts)
    known = member.isdir() or member.isfile() or member.issym()
    if member.name.startswith("/") or ".." in parts or not known or not _is_below(path, below):
        raise Failure("stage", member.name, reason="an archive holds directories and files below itself only")
    if member.isdir():
        path.mkdir(parents=True, exist_ok=True)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    if member.issym():
        path.symlink_to(member.linkname)
        if member.linkname.startswith("/") or not _is_below(path, below):
            raise Failure("stage", member.name, reason="a link of an archive leads out of it")
        return
    source = tar.extractfile(member)
    assert source is not None
    with source, path.open("wb") as handle:
        shutil.copyfileobj(source, handle)
    path.chmod(0o755 if member.mode & 0o100 else 0o644)


def _is_below(path: Path, below: Path) -> bool:
    """Whether it stays there, whatever links are on the way."""
    return os.path.realpath(str(path)).startswith(os.path.realpath(str(below)) + "/")


def _verify(content: bytes, sha256: str, *, subject: str) -> None:
    found = hashlib.sha256(content).hexdigest()
    if found != sha256:
        raise Failure("store", subject, reason="its sha256 is {}, not {}".format(found, sha256))


def _fetch(url: str) -> bytes:
    # Here, because every run of the agent would pay for it: a fifth of its start.
    import urllib.request

    try:
        with urllib.request.urlopen(url, timeout=_TIMEOUT) as answer:
            content: bytes = answer.read()
            return content
    except OSError as error:
        raise Failure("stage", url, reason="cannot be fetched: {}".format(error)) from None
