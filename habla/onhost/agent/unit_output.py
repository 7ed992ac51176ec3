"""The last lines of a unit and how it ended, for the failure of an apply.

Only lines of the run that the apply started count: ``marks`` notes where the output of a unit ends before it
is started, and ``last_words`` reads from there on. Apps append their output to a file of their own
(``StandardOutput=append:``); all other units write to the journal. Nothing here raises: a failure is reported
with or without these lines.
"""

from __future__ import annotations

import os
import signal
import stat
from dataclasses import dataclass, field, replace
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

from ..failure import visible
from .unit_journal import ask, entries_since, journal_end, own_lines

_LINES = 5
# Characters of a line, and bytes of all lines together.
_LINE = 200
_BYTES = 1200
# So much of the end of a file is read; a secret at its cut beginning is never among the lines shown.
_WINDOW = 1 << 18
_APPEND = "append:"


@dataclass(frozen=True)
class Mark:
    """Where the output of a unit ends at one time. cursor: of the journal. invocation: of the run until then.

    files: path -> (inode, bytes); an inode of 0 when the file is not there.
    """

    cursor: str = ""
    invocation: str = ""
    files: Mapping[str, Tuple[int, int]] = field(default_factory=dict)

    def moved(self) -> Mark:
        """The mark with the ends of its files as they are now."""
        return replace(self, files={path: _size(path) for path in self.files})


def marks(units: Sequence[str]) -> Dict[str, Mark]:
    """The marks of units as they are now."""
    if not units:
        return {}
    cursor = journal_end()
    return {
        unit: Mark(
            cursor, properties(unit).get("InvocationID", ""), {path: _size(path) for path in files_of(unit)}
        )
        for unit in units
    }


def files_of(unit: str) -> List[str]:
    """The files to which a unit appends its output."""
    found: Dict[str, str] = {}
    for line in ask("systemctl", "cat", "--no-pager", unit).splitlines():
        key, _, value = line.partition("=")
        if key.strip() in ("StandardOutput", "StandardError"):
            found[key.strip()] = value.strip()
    paths = [value[len(_APPEND) :] for value in found.values() if value.startswith(_APPEND)]
    # systemd would fill in a specifier (%n); no unit of ours has one in its path.
    return list(dict.fromkeys(path for path in paths if "%" not in path))


def stands_alone(unit: str) -> bool:
    """Whether a unit can be stopped and started alone: its file is valid, and no other unit stops with it."""
    found = properties(unit)
    others = ("RequiredBy", "RequisiteOf", "BoundBy", "ConsistsOf")
    return found.get("LoadState") == "loaded" and not any(found.get(name, "?") for name in others)


def last_words(unit: str, mark: Optional[Mark]) -> str:
    """How a unit ended, and its last lines since the mark. Every line is short.

    Without a mark the new lines cannot be told from the old ones, and none is shown.
    """
    state = properties(unit)
    if mark is None:
        return "{} {}".format(unit, ending([], state))
    current = state.get("InvocationID", "")
    entries = entries_since(
        unit, mark.cursor, invocation=mark.invocation, current=current, patient=not mark.files
    )
    known = ending(entries, state)
    lines, source = own_lines(entries), "the journal"
    files = list(mark.files)
    written = [line for path in files for line in _tail(path, mark.files[path])]
    if files:
        # Only the journal has the reason when systemd could not start a program.
        source = ", ".join(files)
        lines, source = (written, source) if written or not lines else (lines, "the journal")
    if not lines:
        return "{} {}; it wrote nothing to {}".format(unit, known, source)
    shown = "\n".join("  " + line for line in bounded(lines))
    return "{} {}; its last lines in {}:\n{}".format(unit, known, source, shown)


def ending(entries: Sequence[Mapping[str, Any]], state: Mapping[str, str]) -> str:
    """How the main process of a unit ended the last time, or that it runs. Pure.

    entries: of its journal since its start. state: its properties, as systemd has them.
    """
    result = next((entry["UNIT_RESULT"] for entry in reversed(entries) if "UNIT_RESULT" in entry), "")
    last: Mapping[str, Any] = next((entry for entry in reversed(entries) if "EXIT_CODE" in entry), {})
    again = int(state.get("NRestarts") or 0)
    if (
        not result
        and not last
        and not again
        and state.get("ActiveState") in ("active", "activating", "reloading")
    ):
        return "runs" if state["ActiveState"] == "active" else "is {}".format(state["ActiveState"])
    result = result or state.get("Result", "")
    if result == "oom-kill":
        limit = state.get("MemoryMax", "")
        more = (
            ", MemoryMax {} MiB".format(int(limit) >> 20) if limit.isdigit() and int(limit) < 1 << 50 else ""
        )
        words = "was killed because it had no more memory (systemd: oom-kill{})".format(more)
    elif last.get("EXIT_CODE") in ("killed", "dumped"):
        words = "was killed by {}".format(_signal(str(last.get("EXIT_STATUS"))))
    elif last or result in ("success", "exit-code"):
        words = "ended with exit status {}".format(
            last.get("EXIT_STATUS") or state.get("ExecMainStatus") or 0
        )
    else:
        words = "failed"
    if last.get("COMMAND", "ExecStart") != "ExecStart":
        words = "failed: its {} {}".format(last["COMMAND"], words)
    if result not in ("", "success", "exit-code", "signal", "core-dump", "oom-kill"):
        words += " (systemd: {})".format(result)
    if again:
        words += " and was started again {} time{}".format(again, "" if again == 1 else "s")
    return words


def bounded(lines: Sequence[str]) -> List[str]:
    """The last few lines, cut so that together they fit into a failure."""
    found: List[str] = []
    left = _BYTES
    for line in reversed(lines[-_LINES:]):
        short = line if len(line) <= _LINE else line[: _LINE - 1] + "…"
        left -= len(short.encode())
        if found and left < 0:
            break
        found.insert(0, short)
    return found


def properties(unit: str) -> Dict[str, str]:
    """The properties of a unit that its report needs, as systemd shows them."""
    names = "ActiveState,LoadState,Result,NRestarts,ExecMainStatus,InvocationID,MemoryMax"
    names += ",RequiredBy,RequisiteOf,BoundBy,ConsistsOf"
    lines = ask("systemctl", "show", "--property=" + names, unit).splitlines()
    return dict(line.split("=", 1) for line in lines if "=" in line)


def _tail(path: str, before: Tuple[int, int]) -> List[str]:
    """The lines of a file since ``before``, (inode, bytes): all lines when it was rotated since."""
    try:
        # The directory belongs to the app's user, who may have put a link or a pipe there.
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        with os.fdopen(descriptor, "rb") as file:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                return []
            inode, size = before
            start = size if status.st_ino == inode and status.st_size >= size else 0
            cut = max(start, status.st_size - _WINDOW)
            file.seek(cut)
            text = file.read(_WINDOW).decode(errors="replace")
    except OSError:
        return []
    if cut == start:
        return visible(text)
    first, newline, rest = text.partition("\n")
    # The first line may be incomplete by any length; only its end is far from the cut.
    return (
        visible(rest)
        if newline and rest.strip()
        else ["…" + line[1 - _LINE :] for line in visible(first)[-1:]]
    )


def _size(path: str) -> Tuple[int, int]:
    try:
        status = os.lstat(path)
    except OSError:
        return (0, 0)
    return (status.st_ino, status.st_size)


def _signal(number: str) -> str:
    """journald has the number of a signal in some versions and its name in others."""
    try:
        return signal.Signals(int(number)).name
    except ValueError:
        return "SIG" + number if number.isalpha() else "signal {}".format(number)
