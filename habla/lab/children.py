"""Programs that the supervisor runs while it goes on serving.

The supervisor waits for every child process and calls ``ended`` for it. asyncio's own subprocesses cannot be
used, because they want to wait for their children themselves and would miss the exit status.
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
    """Pass on the end of a child process. status: the wait status of ``os.waitpid``."""
    future = _waiting.pop(pid, None)
    if future is not None and not future.done():
        future.set_result(os.waitstatus_to_exitcode(status))


async def run(
    command: Sequence[str], what: str, *, descriptors: Sequence[int] = (), accept: Sequence[int] = (0,)
) -> None:
    """Run a program to its end. Raises LabError with its output if it fails or does not exist.

    what: the purpose of the program, for the error message. descriptors: files that the program inherits.
    accept: the exit statuses that mean success.
    """
    with tempfile.TemporaryFile() as output:
        try:
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, pass_fds=descriptors
            )
        except FileNotFoundError as error:
            raise LabError(
                f"{what}: the program {command[0]} is not installed; "
                "python -m habla.lab requirements prints the packages to install"
            ) from error
        future = _waiting[process.pid] = asyncio.get_running_loop().create_future()
        # Only the supervisor may wait for the process. Without this, a forgotten Popen might, and take the
        # status.
        process.returncode = 0
        code = await future
        if code not in accept:
            output.seek(0)
            text = output.read().decode(errors="replace").strip()[-2000:]
            raise LabError(f"{what}: {command[0]} ended with status {code}: {text}")
