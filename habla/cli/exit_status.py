"""The exit status of every command of habla."""

from __future__ import annotations

from enum import IntEnum

__all__ = ["MEANINGS", "ExitStatus"]


class ExitStatus(IntEnum):
    """A script can tell by it what to do next."""

    DONE = 0
    """All is well."""
    FOUND = 1
    """The command looked and found something that needs attention."""
    WRONG = 2
    """Wrong usage, or settings that cannot be used; nothing was asked of any host."""
    FAILED = 3
    """A host did not answer, or did not do what it was told."""
    BROKEN = 70
    """A fault of habla itself, with a traceback. The number is that of sysexits.h."""
    INTERRUPTED = 130
    """Ctrl-C ended the command. The number is that of the shell: 128 and the number of the signal."""
    PIPE_CLOSED = 141
    """The reader of stdout went away, as in ``habla render | head``."""


MEANINGS = {
    ExitStatus.DONE: "done",
    ExitStatus.FOUND: "looked, and found something that needs attention",
    ExitStatus.WRONG: "wrong input or usage; no host was asked",
    ExitStatus.FAILED: "a host did not answer, or did not do what it was told",
    ExitStatus.BROKEN: "habla has a fault of its own; it prints a traceback",
    ExitStatus.INTERRUPTED: "Ctrl-C ended the command",
    ExitStatus.PIPE_CLOSED: "the reader of the output ended first, such as `head` after `habla render`",
}
"""Exit status -> its meaning, for help and documentation."""
