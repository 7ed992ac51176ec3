"""Runs commands on this machine."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from standin.output import STDERR, STDOUT, CommandError, Output

_CHUNK = 65536


async def run(
    command: str, inputs: Mapping[str, Any], *, environment: Mapping[str, str], output: Output
) -> None:
    """Run `command` with the options in `inputs` and the additional variables in `environment`.

    It returns when the command has ended and no process has the command's output open. So a process that the
    command leaves behind must write to another file. When it is cancelled, it kills the command's process
    group. Raises CommandError if the command fails.
    """
    interpreter = inputs.get("interpreter") or ["/bin/sh", "-c"]
    stdin = (inputs.get("stdin") or "").encode()
    try:
        process = await asyncio.create_subprocess_exec(
            *interpreter,
            command,
            cwd=inputs.get("dir"),
            env={**os.environ, **(inputs.get("environment") or {}), **environment},
            stdin=asyncio.subprocess.PIPE if stdin else asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            # The engine ends the process group of this program. Processes that the command leaves behind must
            # go on, so they are in another group.
            process_group=0,
        )
    except (OSError, ValueError) as error:
        raise CommandError(
            f"cannot run {interpreter[0]!r} in {inputs.get('dir') or Path.cwd()}: {error}"
        ) from error
    assert process.stdout is not None
    assert process.stderr is not None
    try:
        await asyncio.gather(
            _feed(process, stdin),
            _drain(process.stdout, STDOUT, output=output),
            _drain(process.stderr, STDERR, output=output),
        )
        status = await process.wait()
    except BaseException:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
        raise
    finally:
        output.close()
    if status < 0:
        raise output.failure(f"signal: {signal.strsignal(-status) or -status}".lower(), command)
    if status > 0:
        raise output.failure(f"exit status {status}", command)


async def _drain(reader: asyncio.StreamReader, stream: int, *, output: Output) -> None:
    while data := await reader.read(_CHUNK):
        output.write(stream, data)


async def _feed(process: asyncio.subprocess.Process, data: bytes) -> None:
    if process.stdin is None:
        return
    # A command may end without reading all of its input.
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        for start in range(0, len(data), _CHUNK):
            process.stdin.write(data[start : start + _CHUNK])
            await process.stdin.drain()
    process.stdin.close()
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        await process.stdin.wait_closed()
