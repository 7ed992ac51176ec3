"""The exit status of every command of habla."""

from __future__ import annotations

from enum import IntEnum

__all__ = ["HELP", "ExitStatus"]


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


HELP = "exit status: 0 done, 1 looked and found something, 2 wrong input or usage, 3 a host failed"
