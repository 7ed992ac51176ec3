"""What a command writes: kept whole for the state, and shown line by line while it runs."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass

Log = Callable[[str], None]

STDOUT = 1
STDERR = 2

LONGEST_LOGGED_LINE = 32 * 1024
"""A longer line is shown in pieces of so many bytes, so that nothing ever waits for its end."""

_LOGGED = {
    "stdout": (STDOUT,),
    "stderr": (STDERR,),
    "stdoutAndStderr": (STDOUT, STDERR),
    "none": (),
}


@dataclass(frozen=True)
class Reporter:
    """Where an operation's lines go: `log` shows them while it lasts, `warn` for good."""

    log: Log
    warn: Log


class CommandError(Exception):
    """An operation failed; the message is what the engine shows."""


class Output:
    """Collects a command's two streams; `log` gets each line of those that `logging` names."""

    def __init__(self, logging: str | None, log: Log) -> None:
        self._logged = _LOGGED[logging or "stdoutAndStderr"]
        self._log = log
        self._streams = {STDOUT: bytearray(), STDERR: bytearray()}
        self._both = bytearray()
        self._pending = {STDOUT: bytearray(), STDERR: bytearray()}

    def write(self, stream: int, data: bytes) -> None:
        """Take `data` of STDOUT or STDERR."""
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
        """Show what ended without a newline."""
        for pending in self._pending.values():
            if pending:
                self._show(bytes(pending))
                pending.clear()

    def _show(self, line: bytes) -> None:
        for start in range(0, max(len(line), 1), LONGEST_LOGGED_LINE):
            self._log(line[start : start + LONGEST_LOGGED_LINE].rstrip(b"\r").decode(errors="replace"))

    def text(self, stream: int) -> str:
        """A stream as it goes into the state: one newline at its end removed."""
        return self._streams[stream].decode(errors="replace").removesuffix("\n")

    def failure(self, reason: str, command: str) -> CommandError:
        """The error for a command that ended with `reason`: the command and all that it wrote."""
        everything = self._both.decode(errors="replace")
        return CommandError(f"{reason}: running {json.dumps(command, ensure_ascii=False)}:\n{everything}")
