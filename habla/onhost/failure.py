"""The failure of the agent, and how secrets are kept out of its text."""

from __future__ import annotations

import re
from typing import Iterable, List, Set

# A line of output is never long: some readers of a command's output stall on one.
_LINE = 500
_LINES = 20
# Of all lines together.
_BYTES = 4000
# Shorter values would take ordinary words out of every message.
_SHORTEST = 4
_hidden: Set[str] = set()
# Colours, cursor movements and window titles of terminals.
_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[ -/]*[0-~])")


class Failure(Exception):
    """A step failed.

    step: the name of the step. subject: a file, unit or package. reason: the cause, often the output of the
    program that failed.
    """

    def __init__(self, step: str, subject: str, *, reason: str) -> None:
        super().__init__("step {}: {}: {}".format(step, subject, reason))
        self.step = step
        self.subject = subject
        self.reason = reason


def hide(values: Iterable[str]) -> None:
    """Let ``readable`` remove these values, and each line of them, from every text."""
    for value in values:
        _hidden.update(part for part in (value, *value.splitlines()) if len(part) >= _SHORTEST)


def readable(text: str) -> str:
    """The last lines of ``text``, of bounded length each and together, with every hidden value taken out."""
    lines = [line[:_LINE] for line in visible(text)][-_LINES:]
    while len(lines) > 1 and len("\n".join(lines).encode(errors="replace")) > _BYTES:
        del lines[0]
    return "\n".join(lines)


def visible(text: str) -> List[str]:
    """The lines of ``text`` that are not empty, whole, in readable characters, without any hidden value.

    Whole: a line that is cut in the middle of a secret would still show a part of it.
    """
    lines = [_ESCAPES.sub("", line).expandtabs(4) for line in _without_hidden(text).splitlines()]
    shown = ["".join(letter if letter.isprintable() else "?" for letter in line) for line in lines]
    # Again: a program may have coloured a part of a secret.
    return [_without_hidden(line).rstrip() for line in shown if line.strip()]


def _without_hidden(text: str) -> str:
    for value in sorted(_hidden, key=lambda part: (-len(part), part)):
        text = text.replace(value, "[secret]")
    return text
