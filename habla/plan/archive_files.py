"""Archives beside a stack: a directory or tar file becomes one deterministic tar and its digest.

The same files give the same bytes on every machine: names in order, no times, no owners, no compression
(zlib's output differs between versions).
"""

from __future__ import annotations

import hashlib
import io
import tarfile
from collections.abc import Callable, Sequence
from pathlib import Path

from habla.model.spec import ArchiveSpec
from habla.onhost.document import Archive

__all__ = ["MAX_BYTES", "archive_reader", "pack", "read_archive"]

# It travels as base64 on the standard input of one command and is kept in the Pulumi state. Enough for a
# release of HAProxy (2.6: 4 MB, 3.x: 5 MB), which hosts without a way to the internet cannot fetch.
MAX_BYTES = 6 * 1024 * 1024
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


def read_archive(root: Path, spec: ArchiveSpec) -> tuple[Archive, bytes | None]:
    """An archive by digest, with its bytes when it lies beside the stack; paths are relative to ``root``."""
    if spec.path is None:
        return Archive(spec.sha256 or "", spec.url or ""), None
    content = pack(root / spec.path, *(root / path for path in spec.include))
    return Archive(hashlib.sha256(content).hexdigest()), content


def archive_reader(root: Path) -> Callable[[ArchiveSpec], Archive]:
    """What gives an archive's digest."""
    return lambda spec: read_archive(root, spec)[0]


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
