"""The output of a command: kept whole for the state, and shown line by line while the command runs."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass, field

Log = Callable[[str], None]

STDOUT = 1
STDERR = 2

LONGEST_LOGGED_LINE = 32 * 1024
"""Bytes. A longer line is shown in pieces of this size, so the display never waits for the end of a line."""

_LOGGED = {
    "stdout": (STDOUT,),
    "stderr": (STDERR,),
    "stdoutAndStderr": (STDOUT, STDERR),
    "none": (),
}


@dataclass(frozen=True)
class Operation:
    """One request of the engine for one resource."""

    log: Log
    """Shows a line for as long as the operation lasts."""
    warn: Log
    """Shows a line as a warning, which stays."""
    _: KW_ONLY
    timeout: float | None = None
    """The longest time for dialling, in seconds; None for no limit."""
    started: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when a command has started on another host. The operation can then no longer be cancelled."""


class CommandError(Exception):
    """An operation failed. The engine shows the message."""


class Output:
    """Collects the two streams of a command, and passes the lines of the streams in `logging` to `log`."""

    def __init__(self, logging: str | None, log: Log) -> None:
        self._logged = _LOGGED[logging or "stdoutAndStderr"]
        self._log = log
        self._streams = {STDOUT: bytearray(), STDERR: bytearray()}
        self._both = bytearray()
        self._pending = {STDOUT: bytearray(), STDERR: bytearray()}

    def write(self, stream: int, data: bytes) -> None:
        """Add `data` to the stream STDOUT or STDERR."""
        self._streams[stream] += data
        self._both += data
        if stream not in self._logged:
            return
        pending = self._pending[stream]
        pending += data
        *lines, rest = bytes(pending).split(b"\n")
        while len(rest) > LONGEST_LOGGED_LINE:
            lines.append(rest[:LONGEST_LOGGED_LINE])
            rest = rest[LONGEST_LOGGED_LINE:]
        self._pending[stream] = bytearray(rest)
        for line in lines:
            self._show(line)

    def close(self) -> None:
        """Show the last line of each stream if it has no newline at its end."""
        for pending in self._pending.values():
            if pending:
                self._show(bytes(pending))
                pending.clear()

    def _show(self, line: bytes) -> None:
        for start in range(0, max(len(line), 1), LONGEST_LOGGED_LINE):
            self._log(line[start : start + LONGEST_LOGGED_LINE].rstrip(b"\r").decode(errors="replace"))

    def text(self, stream: int) -> str:
        """A stream as the state keeps it, without the newline at its end."""
        return self._streams[stream].decode(errors="replace").removesuffix("\n")

    def failure(self, reason: str, command: str) -> CommandError:
        """The error for a command that failed for `reason`, with the command and its whole output."""
        everything = self._both.decode(errors="replace")
        return CommandError(f"{reason}: running {json.dumps(command, ensure_ascii=False)}:\n{everything}")
