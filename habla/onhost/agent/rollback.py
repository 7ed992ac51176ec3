"""The journal of a transaction, and putting back the state that it remembers.

The journal is on disk before anything is touched, and its removal is the commit. It says

- ``component``: the component that the transaction applies;
- ``staged``: the paths that may have something new beside them;
- ``archives``: the links that may have a new version unpacked beside them;
- ``made``: directories that were made for them;
- ``paths``: each path that is replaced -> whether it existed before, and so is in the backup;
- ``units``: unit -> ``running``, ``enabled``, ``masked`` before, and ``restart``: a reload is not enough.
"""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional

from ..failure import Failure
from . import archives, files, places, system


def roll_back(boot: bool = False) -> Optional[str]:
    """Undo the transaction in the journal, if there is one. Returns its component.

    boot: the host is just starting. systemd starts the units itself, once it has seen the old files.
    """
    journal = places.read_json(places.JOURNAL)
    if journal is None:
        return None
    if boot:
        _put_back(journal)
        _boot_as_before(journal["units"])
    else:
        _stop_new(journal["units"])
        _put_back(journal)
        if journal["units"] or _has_units(journal["paths"]):
            _run_as_before(journal)
    places.JOURNAL.unlink()
    places.sync_directory(places.STATE)
    files.clear(places.BACKUP)
    files.clear(places.CHECKED)
    return str(journal["component"])


def _put_back(journal: Mapping[str, Any]) -> None:
    for path in {*journal["staged"], *journal["paths"]}:
        files.remove(files.staged(path))
    for path, existed in journal["paths"].items():
        if existed:
            files.move(places.backups([path])[path], Path(path))
        else:
            files.remove(Path(path))
    files.settle([Path(path) for path in journal["paths"]])
    for path in journal.get("archives", ()):
        archives.drop_unlinked(path)
    for path in sorted(journal["made"], reverse=True):
        with contextlib.suppress(OSError):
            Path(path).rmdir()


def _has_units(paths: Mapping[str, bool]) -> bool:
    return any(path.startswith("/etc/systemd/") for path in paths)


def _stop_new(units: Mapping[str, Mapping[str, bool]]) -> None:
    """Stop the units that did not run before, while their unit files still say how to stop them."""
    for name, state in system.unit_states(sorted(units)).items():
        if state.exists and not units[name]["running"]:
            system.systemctl("roll back", "stop", units=[name])
            system.forget_failures([name])
        if state.exists and state.enabled and not state.masked and not units[name]["enabled"]:
            system.systemctl("roll back", "disable", units=[name])


def _run_as_before(journal: Mapping[str, Any]) -> None:
    system.systemctl("roll back", "daemon-reload", units=[])
    units: Dict[str, Dict[str, bool]] = journal["units"]
    failures = []
    for name, state in system.unit_states(sorted(units)).items():
        for verb in _verbs_back(units[name], state):
            try:
                system.systemctl("roll back", verb, units=[name])
            except Failure as failure:
                failures.append(str(failure))
    if failures:
        raise Failure("roll back", journal["component"], reason="\n".join(failures))


def _verbs_back(before: Mapping[str, bool], now: system.UnitState) -> List[str]:
    verbs = []
    if now.masked and not before["masked"]:
        verbs.append("unmask")
    if before["enabled"] and not now.enabled:
        verbs.append("enable")
    if before["running"]:
        # Whether the unit took the new state before it was undone is not known here.
        verbs.append("restart" if before["restart"] else "reload-or-restart")
    if before["masked"] and not now.masked:
        verbs.append("mask")
    return verbs


def _boot_as_before(units: Mapping[str, Mapping[str, bool]]) -> None:
    """Let the boot that is under way start the units of the old state. Each verb may be repeated."""
    for name, before in sorted(units.items()):
        if before["masked"]:
            system.offline("mask", name)
        else:
            system.offline("unmask", name)
            system.offline("enable" if before["enabled"] else "disable", name)
    system.systemctl("roll back", "daemon-reload", units=[])
    again = sorted(name for name, before in units.items() if before["running"] and before["enabled"])
    if again:
        system.enqueue(again)
