"""What a person sees while something takes longer than a moment: lines on stderr."""

from __future__ import annotations

import sys

__all__ = ["say"]


def say(text: str) -> None:
    """One line of progress."""
    print(f"lab: {text}", file=sys.stderr, flush=True)
