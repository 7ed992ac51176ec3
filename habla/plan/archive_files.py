"""Archives beside a stack: a directory or tar file becomes one deterministic tar and its digest.

The same files give the same bytes on every machine: names in order, no times, no owners, no compression
(zlib's output differs between versions).
"""

from __future__ import annotations

import hashlib
import io
import tarfile
from collections.abc import Iterable, Sequence
from pathlib import Path

from habla.model.service import Service
from habla.model.spec import ArchiveSpec
from habla.onhost.document import Archive

__all__ = ["MAX_BYTES", "ArchiveFiles", "pack"]

# It is packed in memory here, and sent over each host's SSH connection.
MAX_BYTES = 256 * 1024 * 1024
_NOT_PACKED = {"__pycache__", ".git", ".mypy_cache", ".ruff_cache", ".pytest_cache"}


def pack(directory: Path, *more: Path) -> bytes:
    """One or more directories as one tar archive, or the bytes of a single tar file.

    Raises OSError when it cannot be read, holds links or devices or a name twice, or is larger than
    ``MAX_BYTES``.
    """
    content = _tar([directory, *more]) if more or directory.is_dir() else directory.read_bytes()
    if len(content) > MAX_BYTES:
        raise OSError(f"{directory} is {len(content)} bytes; above {MAX_BYTES} give a url and its sha256")
    return content


class ArchiveFiles:
    """The archives beside a stack or program, each read and packed once. root: paths are relative to it."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._read: dict[ArchiveSpec, tuple[Archive, bytes | None]] = {}

    def archive(self, spec: ArchiveSpec) -> Archive:
        """An archive by digest. Raises OSError when it cannot be read."""
        return self._found(spec)[0]

    def contents(self, services: Iterable[Service]) -> dict[str, bytes]:
        """sha256 -> bytes, of all archives of services that hosts do not fetch by themselves."""
        found = [self._found(spec) for service in services for spec in service.archives().values()]
        return {archive.sha256: content for archive, content in found if content is not None}

    def _found(self, spec: ArchiveSpec) -> tuple[Archive, bytes | None]:
        if spec not in self._read:
            self._read[spec] = _read(self._root, spec)
        return self._read[spec]


def _read(root: Path, spec: ArchiveSpec) -> tuple[Archive, bytes | None]:
    if spec.path is None:
        return Archive(spec.sha256 or "", spec.url or ""), None
    content = pack(root / spec.path, *(root / path for path in spec.include))
    return Archive(hashlib.sha256(content).hexdigest()), content


def _tar(directories: Sequence[Path]) -> bytes:
    found: dict[str, Path] = {}
    for directory in directories:
        if not directory.is_dir():
            raise OSError(f"{directory} is not a directory")
        for path in directory.rglob("*"):
            name = str(path.relative_to(directory))
            if _NOT_PACKED & set(Path(name).parts) or path.is_dir():
                continue
            if path.is_symlink() or not path.is_file():
                raise OSError(f"{path} is not a plain file")
            if name in found:
                raise OSError(f"{path} and {found[name]} want the same place in one archive")
            found[name] = path
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name, path in sorted(found.items()):
            member = tarfile.TarInfo(name)
            content = path.read_bytes()
            member.size = len(content)
            member.mode = 0o755 if path.stat().st_mode & 0o100 else 0o644
            tar.addfile(member, io.BytesIO(content))
    return buffer.getvalue()
