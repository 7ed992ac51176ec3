"""Archives beside a stack: a directory or tar file becomes one deterministic tar and its digest.

The same files give the same bytes on every machine: names in order, no times, no owners, no compression
(zlib's output differs between versions).
"""

from __future__ import annotations

import hashlib
import io
import tarfile
from collections.abc import Callable
from pathlib import Path

from habla.model.specs import ArchiveSpec
from habla.model.state import Archive

__all__ = ["MAX_BYTES", "archive_reader", "pack"]

# It travels as base64 on the standard input of one command and is kept in the Pulumi state.
MAX_BYTES = 4 * 1024 * 1024
_NOT_PACKED = {"__pycache__", ".git", ".mypy_cache", ".ruff_cache", ".pytest_cache"}


def pack(path: Path) -> bytes:
    """A directory as a tar archive, or the bytes of a tar file.

    Raises OSError when it cannot be read, holds links or devices, or is larger than ``MAX_BYTES``.
    """
    content = _tar(path) if path.is_dir() else path.read_bytes()
    if len(content) > MAX_BYTES:
        raise OSError(f"{path} is {len(content)} bytes; above {MAX_BYTES} give a url and its sha256")
    return content


def archive_reader(root: Path) -> Callable[[ArchiveSpec], Archive]:
    """What gives an archive's digest; paths are relative to the stack's project at ``root``."""

    def read(spec: ArchiveSpec) -> Archive:
        if spec.path is not None:
            return Archive(hashlib.sha256(pack(root / spec.path)).hexdigest())
        return Archive(spec.sha256 or "", spec.url or "")

    return read


def _tar(directory: Path) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for path in sorted(directory.rglob("*")):
            relative = path.relative_to(directory)
            if _NOT_PACKED & set(relative.parts) or path.is_dir():
                continue
            if path.is_symlink() or not path.is_file():
                raise OSError(f"{path} is not a plain file")
            member = tarfile.TarInfo(str(relative))
            content = path.read_bytes()
            member.size = len(content)
            member.mode = 0o755 if path.stat().st_mode & 0o100 else 0o644
            tar.addfile(member, io.BytesIO(content))
    return buffer.getvalue()
