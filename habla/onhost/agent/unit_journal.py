"""The entries of a unit in the journal, for the failure of an apply. Nothing here raises."""

from __future__ import annotations

import json
import os
import subprocess
import time
from typing import Any, Dict, List, Mapping, Sequence

from ..failure import visible

__all__ = ["ask", "entries_since", "is_after", "journal_end", "own_lines", "without_rest"]

_ENTRIES = 60
_SECONDS = 10
# How often the journal is asked for lines of a unit that has none there, and the seconds in between.
_TRIES = 6
_PAUSE = 0.4
# For entries of systemd with these fields we have words of our own.
_REPORTS = {"UNIT_RESULT", "EXIT_CODE", "JOB_RESULT"}
_FIELDS = (
    "MESSAGE,MESSAGE_ID,PRIORITY,_PID,_LINE_BREAK,_SYSTEMD_INVOCATION_ID,INVOCATION_ID,"
    "UNIT_RESULT,COMMAND,EXIT_CODE,EXIT_STATUS,JOB_RESULT"
)


def journal_end() -> str:
    """The cursor of the last entry of the journal."""
    lines = ask("journalctl", "--quiet", "--lines=0", "--show-cursor").splitlines()
    return next((line[len("-- cursor: ") :] for line in lines if line.startswith("-- cursor: ")), "")


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
            # journald cuts a long line. The parts are joined before the search for secrets.
            broken = entry.get("_LINE_BREAK") == "line-max"
        elif int(entry.get("PRIORITY", 6)) <= 4 and not _REPORTS & entry.keys():
            warnings.append(message)
    return [line for text in own or warnings for line in visible(text)]


def entries_since(
    unit: str, cursor: str, *, invocation: str, current: str, patient: bool
) -> List[Dict[str, Any]]:
    """The entries of a unit since a cursor, without those of the run before it.

    invocation, current: the runs of the unit at the cursor and now. patient: wait a while for lines of its
    own.

    On a busy host journald may read the last lines of a program after systemd has said that it ended.
    """
    for left in reversed(range(_TRIES)):
        ask("journalctl", "--sync")
        found = _entries(unit, cursor, old=invocation if invocation != current else "")
        if not left or not patient or any(entry.get("_PID") != "1" for entry in found):
            break
        time.sleep(_PAUSE)
    return found


def _entries(unit: str, cursor: str, *, old: str) -> List[Dict[str, Any]]:
    # Not --after-cursor: systemd 252 then leaves the unit's first entry out, and --lines counts from there.
    more = ["--output=json", "--all", "--output-fields=" + _FIELDS, "--lines={}".format(_ENTRIES + 1)]
    found = []
    for line in ask("journalctl", "--quiet", "--unit=" + unit, *more).splitlines():
        try:
            found.append(json.loads(line))
        except ValueError:
            continue
    if len(found) > _ENTRIES:
        found = without_rest(found)
    keys = ("_SYSTEMD_INVOCATION_ID", "INVOCATION_ID")
    return [
        entry
        for entry in found
        if is_after(entry.get("__CURSOR", ""), cursor)
        and (not old or old not in [entry.get(key) for key in keys])
    ]


def without_rest(entries: Sequence[Dict[str, Any]]) -> List[Dict[str, Any]]:
    """The entries of a unit without those at the beginning that may be the rest of a line. Pure.

    journald cuts a long line into entries. Without the beginning of a line, a secret in it may not be found.
    """
    own = [number for number, entry in enumerate(entries) if entry.get("_PID") != "1"]
    ends = [number for number in own if entries[number].get("_LINE_BREAK") != "line-max"]
    last = ends[0] if ends else len(entries)
    shown = [entry for number, entry in enumerate(entries) if number > last or entry.get("_PID") == "1"]
    if own and own[-1] <= last:
        # In its place, so that it counts only if the line was written after the mark.
        rest = {key: value for key, value in entries[own[-1]].items() if key != "_LINE_BREAK"}
        shown.append({**rest, "MESSAGE": "…"})
    return shown


def is_after(cursor: str, mark: str) -> bool:
    """Whether an entry of the journal was written after a mark, both as cursors. Pure.

    A cursor has the journal's name (s) and the number of the entry in it (i, in hexadecimal digits). Another
    journal than the mark's is newer than that, as is everything without a mark.
    """
    fields, since = (dict(word.partition("=")[::2] for word in text.split(";")) for text in (cursor, mark))
    if fields.get("s") != since.get("s"):
        return True
    return int(fields.get("i", "0"), 16) > int(since.get("i", "0"), 16)


def ask(*command: str) -> str:
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
