"""Progress on stderr: a word about work that takes more than two seconds."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

__all__ = ["Waiting", "waiting"]

# Seconds until the first word, and between the lines where stderr is not a terminal.
_PATIENCE = 2.0
_EVERY = 10.0


@dataclass
class Waiting:
    """The work that goes on. The block may change the words at any time."""

    words: str


@contextmanager
def waiting(words: str, *, quiet: bool = False) -> Iterator[Waiting]:
    """Show the words on stderr if the block takes more than two seconds.

    A terminal shows one line that goes away at the end; a file gets a line now and then. quiet: show nothing.
    """
    state = Waiting(words)
    if quiet:
        yield state
        return
    done = threading.Event()
    thread = threading.Thread(target=_report, args=(state, done), daemon=True)
    thread.start()
    try:
        yield state
    finally:
        done.set()
        thread.join()


def _report(state: Waiting, done: threading.Event) -> None:
    started = time.monotonic()
    if done.wait(_PATIENCE):
        return
    if sys.stderr.isatty() and os.environ.get("TERM") != "dumb":
        _spin(state, done, started=started)
        return
    print(f"habla: {state.words} …", file=sys.stderr, flush=True)
    while not done.wait(_EVERY):
        print(f"habla: {state.words} … {time.monotonic() - started:.0f} s", file=sys.stderr, flush=True)


def _spin(state: Waiting, done: threading.Event, *, started: float) -> None:
    from habla.cli.terminal import console

    def words() -> str:
        return f"{state.words} … {time.monotonic() - started:.0f} s"

    with console(sys.stderr).status(words(), spinner="line") as shown:
        while not done.wait(0.25):
            shown.update(words())
