"""Programs that the supervisor runs while it goes on serving.

The supervisor collects every child that ends (``ended``), so asyncio's own subprocesses, which want to do
that themselves, would not learn how theirs ended.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import tempfile
from collections.abc import Sequence

from habla.errors import LabError

__all__ = ["ended", "run"]

_waiting: dict[int, asyncio.Future[int]] = {}


def ended(pid: int, status: int) -> None:
    """The supervisor collected a child; status as of waitpid."""
    future = _waiting.pop(pid, None)
    if future is not None and not future.done():
        future.set_result(os.waitstatus_to_exitcode(status))


async def run(
    command: Sequence[str], what: str, descriptors: Sequence[int] = (), accept: Sequence[int] = (0,)
) -> None:
    """Run a program to its end. Raises LabError with its output when it fails or is not there.

    what: what it is for, to begin the error with. descriptors: files that it inherits under their numbers.
    accept: the exit statuses that are no failure.
    """
    with tempfile.TemporaryFile() as output:
        try:
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, pass_fds=descriptors
            )
        except FileNotFoundError as error:
            raise LabError(
                f"{what}: no program {command[0]}; see python -m habla.lab requirements"
            ) from error
        future = _waiting[process.pid] = asyncio.get_running_loop().create_future()
        # Nobody waits for it but the supervisor: else a forgotten Popen may, and takes the status with it.
        process.returncode = 0
        code = await future
        if code not in accept:
            output.seek(0)
            text = output.read().decode(errors="replace").strip()[-2000:]
            raise LabError(f"{what}: {command[0]} ended with status {code}: {text}")
