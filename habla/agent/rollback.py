"""Puts back the state that the journal remembers."""

from __future__ import annotations

from pathlib import Path
from typing import Dict, List, Mapping, Optional

from . import files, places, system
from .failure import Failure


def roll_back(boot: bool = False) -> Optional[str]:
    """Undo the transaction of the journal, if there is one; the component it belonged to.

    boot: the host is just starting. Only the files go back, for systemd will start what they enable.
    """
    journal = places.read_json(places.JOURNAL)
    if journal is None:
        return None
    if boot:
        _put_back(journal["paths"])
        places.sync_directory(places.STATE)
        # The journal stays: enabling and masking are put right by the next run, when systemd can be asked.
        return str(journal["component"])
    units: Dict[str, Dict[str, bool]] = journal["units"]
    # What did not run before stops while its unit file is still there to say how.
    for name, state in system.unit_states(sorted(units)).items():
        if state.exists and not units[name]["running"]:
            system.systemctl("roll back", "stop", [name])
        if state.exists and state.enabled and not state.masked and not units[name]["enabled"]:
            system.systemctl("roll back", "disable", [name])
    _put_back(journal["paths"])
    system.systemctl("roll back", "daemon-reload", [])
    failures = []
    for name, state in system.unit_states(sorted(units)).items():
        for verb in _verbs_back(units[name], state):
            try:
                system.systemctl("roll back", verb, [name])
            except Failure as failure:
                failures.append(str(failure))
    if failures:
        raise Failure("roll back", journal["component"], "\n".join(failures))
    places.JOURNAL.unlink()
    files.clear(places.BACKUP)
    return str(journal["component"])


def _put_back(paths: Mapping[str, bool]) -> None:
    for path, existed in paths.items():
        if existed:
            files.copy(places.backups([path])[path], Path(path))
        else:
            files.remove(Path(path))


def _verbs_back(before: Mapping[str, bool], now: system.UnitState) -> List[str]:
    verbs = []
    if now.masked and not before["masked"]:
        verbs.append("unmask")
    if before["enabled"] and not now.enabled:
        verbs.append("enable")
    if before["running"]:
        # Not "reload": whether the unit took the new config before it was undone is not known here.
        verbs.append("reload-or-restart")
    if before["masked"] and not now.masked:
        verbs.append("mask")
    return verbs
