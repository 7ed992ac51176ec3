"""What the agent says when it cannot go on."""

from __future__ import annotations

from typing import Iterable

# A line of output is never long: some readers of a command's output stall on one.
_LINE = 500
_LINES = 20


class Failure(Exception):
    """A step failed: which one, on what (a file, unit or package), and why, in the words of who knows."""

    def __init__(self, step: str, subject: str, reason: str) -> None:
        super().__init__("step {}: {}: {}".format(step, subject, reason))
        self.step = step
        self.subject = subject
        self.reason = reason


def readable(text: str, secrets: Iterable[str] = ()) -> str:
    """The last lines of ``text``, each of bounded length, with every secret taken out."""
    for value in sorted(secrets, key=len, reverse=True):
        for part in {value, *value.splitlines()}:
            if len(part) >= 4:
                text = text.replace(part, "[secret]")
    lines = [line.rstrip()[:_LINE] for line in text.splitlines() if line.strip()]
    return "\n".join(lines[-_LINES:])
