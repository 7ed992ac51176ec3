"""The output of the set-up: a line per step, more lines during long steps, and one message on failure."""

from __future__ import annotations

import os
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

PROGRESS_SECONDS = 10.0
"""How often a long step says that it is still at work."""

LAST_LINES = 25
"""How many of a failing command's last lines are shown."""


class SetupError(RuntimeError):
    """A step failed. The message has what failed, why, and what to do about it."""


def say(message: str) -> None:
    """Print one line of progress to standard error."""
    print(f"habla: {message}", file=sys.stderr, flush=True)


def run(
    step: str,
    command: Sequence[str],
    *,
    environment: Mapping[str, str] | None = None,
    directory: Path | None = None,
    timeout: float,
    progress: Callable[[Sequence[str]], str] | None = None,
) -> list[str]:
    """Run a command and return its output lines (standard output and error together).

    `step` is the name of the command in progress lines and errors. `timeout` is in seconds. `progress` makes
    a few words for the progress line from the lines so far. Raises SetupError if the command cannot be
    started, fails, or takes too long. The command is then no longer running.
    """
    try:
        process = subprocess.Popen(
            command,
            cwd=directory,
            env=dict(environment) if environment is not None else None,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        )
    except OSError as error:
        raise SetupError(f"{step}: cannot run {command[0]}: {error.strerror}") from error
    arrived: queue.SimpleQueue[str | None] = queue.SimpleQueue()
    threading.Thread(target=_read_lines, args=(process, arrived), daemon=True).start()
    try:
        lines = _collect(step, arrived, timeout=timeout, progress=progress)
        status = process.wait(timeout=10)
    finally:
        if process.poll() is None:
            # The whole group, because a compiler that go has started must not outlive it.
            os.killpg(process.pid, 9)
            process.wait()
    if status != 0:
        tail = "\n".join(lines[-LAST_LINES:])
        raise SetupError(f"{step}: {' '.join(command)} ended with status {status}:\n{tail}")
    return lines


def _read_lines(process: subprocess.Popen[str], arrived: queue.SimpleQueue[str | None]) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        arrived.put(line.rstrip("\n"))
    arrived.put(None)


def _collect(
    step: str,
    arrived: queue.SimpleQueue[str | None],
    *,
    timeout: float,
    progress: Callable[[Sequence[str]], str] | None,
) -> list[str]:
    """The lines that arrive until the None at their end. Raises SetupError after `timeout` seconds."""
    lines: list[str] = []
    started = said = time.monotonic()
    while True:
        try:
            line = arrived.get(timeout=1.0)
        except queue.Empty:
            pass
        else:
            if line is None:
                return lines
            lines.append(line)
        now = time.monotonic()
        if now - started > timeout:
            tail = "\n".join(lines[-LAST_LINES:])
            raise SetupError(f"{step}: not finished after {timeout:.0f} s, stopped:\n{tail}")
        if now - said >= PROGRESS_SECONDS:
            said = now
            detail = f", {progress(lines)}" if progress else ""
            say(f"{step}: {now - started:.0f} s{detail}")
