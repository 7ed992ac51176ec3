"""Copies assets and archives to another machine over SFTP."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import asyncssh

from standin.connection import connected
from standin.output import CommandError, Operation

_CHUNK = 1024 * 1024


async def copy(inputs: Mapping[str, Any], operation: Operation) -> None:
    """Copy `inputs["source"]` to `inputs["remotePath"]`. Raises CommandError.

    Paths have the same meaning as in the official plugin. A directory `a` becomes `remotePath/a`. The
    content of `a/` goes into `remotePath`. A file goes into `remotePath` if that is a directory; if not, it
    becomes `remotePath`.
    """
    source = inputs["source"]
    async with connected(inputs["connection"], operation) as ssh:
        try:
            async with ssh.start_sftp_client() as sftp:
                await _copy(sftp, source, target=inputs["remotePath"])
        except (OSError, asyncssh.Error) as error:
            raise CommandError(f"failed to copy to remote path {inputs['remotePath']}: {error}") from error


async def _copy(sftp: asyncssh.SFTPClient, source: Mapping[str, Any], *, target: str) -> None:
    if "text" in source:
        if await sftp.isdir(target):
            raise CommandError(
                f"remote path {target} is a directory;"
                " when using a text asset, remotePath must be a file path"
            )
        await _write(sftp, str(source["text"]).encode(), target=target)
    else:
        await _copy_path(sftp, str(source["path"]), target=target)


async def _copy_path(sftp: asyncssh.SFTPClient, given: str, *, target: str) -> None:
    source = Path(given)
    if source.is_dir():
        await _require_directory(sftp, target)
        place = target if given.endswith("/") else posixpath.join(target, source.name)
        await _copy_tree(sftp, source, target=place)
        return
    try:
        content = source.read_bytes()
    except OSError as error:
        raise CommandError(f"open {given}: {(error.strerror or str(error)).lower()}") from error
    if await sftp.isdir(target):
        target = posixpath.join(target, source.name)
    await _write(sftp, content, target=target)


async def _copy_tree(sftp: asyncssh.SFTPClient, source: Path, *, target: str) -> None:
    await _require_directory(sftp, target)
    for path in sorted(source.rglob("*")):
        place = posixpath.join(target, path.relative_to(source).as_posix())
        if path.is_dir():
            await _require_directory(sftp, place)
        else:
            await _write(sftp, path.read_bytes(), target=place)


async def _require_directory(sftp: asyncssh.SFTPClient, path: str) -> None:
    if await sftp.exists(path):
        if not await sftp.isdir(path):
            raise CommandError(f"remote path {path} exists but is not a directory")
        return
    await sftp.makedirs(path, exist_ok=True)


async def _write(sftp: asyncssh.SFTPClient, content: bytes, *, target: str) -> None:
    parent = posixpath.dirname(target)
    if parent:
        await sftp.makedirs(parent, exist_ok=True)
    async with sftp.open(target, "wb") as remote:
        for start in range(0, len(content), _CHUNK):
            await remote.write(content[start : start + _CHUNK])
