"""The events of a program that a test runs: lines of JSON on standard output, which clients.Program reads."""

from __future__ import annotations

import json
import sys
from typing import Any


def say(**event: Any) -> None:
    """Print one event. Threads may call this at the same time."""
    sys.stdout.write(json.dumps(event) + "\n")
    sys.stdout.flush()


def fail(error: Exception) -> None:
    """Print an event that makes the test fail."""
    say(event="error", fault=f"{type(error).__name__}: {error}")
