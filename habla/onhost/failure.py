"""What the agent says when it cannot go on."""

from __future__ import annotations

from typing import Iterable, Set

# A line of output is never long: some readers of a command's output stall on one.
_LINE = 500
_LINES = 20
# Shorter values would take ordinary words out of every message.
_SHORTEST = 4
_hidden: Set[str] = set()


class Failure(Exception):
    """A step failed: which one, on what (a file, unit or package), and why, in the words of who knows."""

    def __init__(self, step: str, subject: str, *, reason: str) -> None:
        super().__init__("step {}: {}: {}".format(step, subject, reason))
        self.step = step
        self.subject = subject
        self.reason = reason


def hide(values: Iterable[str]) -> None:
    """From now on, ``readable`` takes these values, and each line of them, out of every text."""
    for value in values:
        _hidden.update(part for part in (value, *value.splitlines()) if len(part) >= _SHORTEST)


def readable(text: str) -> str:
    """The last lines of ``text``, each of bounded length, with every hidden value taken out.

    Taken out first: a line that is cut in the middle of a secret would still show a part of it.
    """
    for value in sorted(_hidden, key=lambda part: (-len(part), part)):
        text = text.replace(value, "[secret]")
    lines = [line.rstrip()[:_LINE] for line in text.splitlines() if line.strip()]
    return "\n".join(lines[-_LINES:])
