"""Each daemon's own checker, on files that are staged but not yet in place."""

from __future__ import annotations

from pathlib import Path
from typing import Dict, Iterable, Mapping, Tuple

from ..document import Check
from ..failure import Failure
from . import files, places, system

_SECONDS = 60


def run_checks(checks: Mapping[str, Check], changed: Iterable[str]) -> None:
    """Run the checks of the changed files. Raises Failure with the output of the checker."""
    new = set(changed)
    for name, check in sorted(checks.items()):
        if not new & set(check.files):
            continue
        read = _as_checked(
            check.files, {path: str(files.staged(path)) for path in check.files if path in new}
        )
        command = [_filled(word, read) for word in check.command]
        try:
            system.run("check", ", ".join(check.files), command=command, timeout=_SECONDS)
        except Failure as failure:
            reason = failure.reason
            for path, where in read.items():
                reason = reason.replace(where, path).replace(str(files.staged(path)), path)
            raise Failure(
                "check", failure.subject, reason="{} refuses this file: {}".format(name, reason)
            ) from None
        finally:
            files.clear(places.CHECKED)


def run_conditions(checks: Mapping[str, Check]) -> None:
    """Run the checks of the host itself. Raises Failure with their output."""
    for name, check in sorted(checks.items()):
        if not check.files:
            system.run("begin", name, command=check.command, timeout=_SECONDS)


def _as_checked(paths: Tuple[str, ...], staged: Mapping[str, str]) -> Dict[str, str]:
    """Path -> the file that the checker reads: staged, live, or a copy that names other staged files.

    A config may name another file that is only staged yet. The checker finds it under its staged name alone.
    """
    read = {path: staged.get(path, path) for path in paths}
    for number, path in enumerate(paths):
        source = Path(read[path])
        content = source.read_bytes() if source.is_file() else b""
        seen = content
        for other in sorted(set(staged) - {path}, key=len, reverse=True):
            seen = seen.replace(other.encode(), staged[other].encode())
        if seen != content:
            places.CHECKED.mkdir(mode=0o700, exist_ok=True)
            copy = places.CHECKED / "{}-{}".format(number, Path(path).name)
            places.write_plain(copy, seen)
            read[path] = str(copy)
    return read


def _filled(word: str, read: Mapping[str, str]) -> str:
    for path, where in read.items():
        word = word.replace("{" + path + "}", where)
    return word
