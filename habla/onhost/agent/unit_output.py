"""The last lines of a unit and how it ended, for the failure of an apply.

Only lines of the run that the apply started count: ``marks`` notes where the output of a unit ends before it
is started, and ``last_words`` reads from there on. Apps append their output to a file of their own
(``StandardOutput=append:``); all other units write to the journal. Nothing here raises: a failure is reported
with or without these lines.
"""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import time
from dataclasses import dataclass, field, replace
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

from ..failure import visible

_LINES = 5
# Characters of a line, and bytes of all lines together.
_LINE = 200
_BYTES = 1200
# So much of the end of a file is read; a secret at its cut beginning is never among the lines shown.
_WINDOW = 1 << 18
_ENTRIES = 60
_SECONDS = 10
# How often the journal is asked for lines of a unit that has none there, and the seconds in between.
_TRIES = 6
_PAUSE = 0.4
_APPEND = "append:"
# For entries of systemd with these fields we have words of our own.
_REPORTS = {"UNIT_RESULT", "EXIT_CODE", "JOB_RESULT"}
_FIELDS = (
    "MESSAGE,MESSAGE_ID,PRIORITY,_PID,_LINE_BREAK,_SYSTEMD_INVOCATION_ID,INVOCATION_ID,"
    "UNIT_RESULT,COMMAND,EXIT_CODE,EXIT_STATUS,JOB_RESULT"
)


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


def journal_end() -> str:
    """The cursor of the last entry of the journal."""
    lines = _ask("journalctl", "--quiet", "--lines=0", "--show-cursor").splitlines()
    return next((line[len("-- cursor: ") :] for line in lines if line.startswith("-- cursor: ")), "")


def files_of(unit: str) -> List[str]:
    """The files to which a unit appends its output."""
    found: Dict[str, str] = {}
    for line in _ask("systemctl", "cat", "--no-pager", unit).splitlines():
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

    Without a mark nobody knows which lines are new, and none is shown.
    """
    state = properties(unit)
    if mark is None:
        return "{} {}".format(unit, ending([], state))
    entries = _settled(unit, mark, current=state.get("InvocationID", ""))
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


def own_lines(entries: Sequence[Mapping[str, Any]]) -> List[str]:
    """The lines of a unit in its journal; without any, the warnings of systemd about it. Pure."""
    own: List[str] = []
    warnings = []
    broken = False
    for entry in entries:
        message = entry.get("MESSAGE") or ""
        if isinstance(message, list):
            message = bytes(message).decode(errors="replace")
        if entry.get("_PID") != "1":
            if broken and own:
                own[-1] += message
            else:
                own.append(message)
            # journald cuts a long line; what was cut through must be whole before secrets are looked for.
            broken = entry.get("_LINE_BREAK") == "line-max"
        elif int(entry.get("PRIORITY", 6)) <= 4 and not _REPORTS & entry.keys():
            warnings.append(message)
    return [line for text in own or warnings for line in visible(text)]


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
    lines = _ask("systemctl", "show", "--property=" + names, unit).splitlines()
    return dict(line.split("=", 1) for line in lines if "=" in line)


def _settled(unit: str, mark: Mark, *, current: str) -> List[Dict[str, Any]]:
    """The entries of a unit, once its own lines have come, or after a while without any.

    On a busy host journald may read the last lines of a program after systemd has said that it ended.
    """
    for left in reversed(range(_TRIES)):
        _ask("journalctl", "--sync")
        found = _entries(unit, mark, current=current)
        if not left or mark.files or any(entry.get("_PID") != "1" for entry in found):
            break
        time.sleep(_PAUSE)
    return found


def _entries(unit: str, mark: Mark, *, current: str) -> List[Dict[str, Any]]:
    """The entries of a unit since the mark, without those of the run before it."""
    # Not --after-cursor: systemd 252 then leaves the unit's first entry out, and --lines counts from there.
    more = ["--output=json", "--all", "--output-fields=" + _FIELDS, "--lines={}".format(_ENTRIES + 1)]
    found = []
    for line in _ask("journalctl", "--quiet", "--unit=" + unit, *more).splitlines():
        try:
            found.append(json.loads(line))
        except ValueError:
            continue
    if len(found) > _ENTRIES:
        found = without_rest(found)
    old = mark.invocation if mark.invocation != current else ""
    keys = ("_SYSTEMD_INVOCATION_ID", "INVOCATION_ID")
    return [
        entry
        for entry in found
        if is_after(entry.get("__CURSOR", ""), mark.cursor)
        and (not old or old not in [entry.get(key) for key in keys])
    ]


def without_rest(entries: Sequence[Dict[str, Any]]) -> List[Dict[str, Any]]:
    """The entries of a unit without those at the beginning that may be the rest of a line. Pure.

    journald cuts a long line into entries. Secrets are not found in a line whose beginning is not here.
    """
    own = [number for number, entry in enumerate(entries) if entry.get("_PID") != "1"]
    ends = [number for number in own if entries[number].get("_LINE_BREAK") != "line-max"]
    last = ends[0] if ends else len(entries)
    shown = [entry for number, entry in enumerate(entries) if number > last or entry.get("_PID") == "1"]
    return [*shown, {"MESSAGE": "…"}] if own and own[-1] <= last else shown


def is_after(cursor: str, mark: str) -> bool:
    """Whether an entry of the journal was written after a mark, both as cursors. Pure.

    A cursor has the journal's name (s) and the number of the entry in it (i, in hexadecimal digits). Another
    journal than the mark's is newer than that, as is everything without a mark.
    """
    fields, since = (dict(word.partition("=")[::2] for word in text.split(";")) for text in (cursor, mark))
    if fields.get("s") != since.get("s"):
        return True
    return int(fields.get("i", "0"), 16) > int(since.get("i", "0"), 16)


def _tail(path: str, before: Tuple[int, int]) -> List[str]:
    """The lines of a file since ``before``, (inode, bytes): all lines when it was rotated since."""
    try:
        # The directory belongs to the app's user, who may have put anything there: no link, no pipe.
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
    # Nobody knows how much of the first line is not here; only its end is far from the cut.
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


def _ask(*command: str) -> str:
    """The output of a command; empty when it fails."""
    try:
        done = subprocess.run(
            list(command),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=_SECONDS,
            env={**os.environ, "LC_ALL": "C"},
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.decode(errors="replace")
