"""Undoes a component, from the record of its last apply."""

from __future__ import annotations

import contextlib
import json
import shutil
from pathlib import Path
from typing import Any, Dict, List

from ..failure import Failure
from ..reading import from_json
from . import archives, files, ownership, places, system
from .transaction import Transaction


def delete(component: str, owner: str = "", *, purge: bool = False) -> Dict[str, Any]:
    """Undo a component: its units stop, its files go, earlier files and units that ran before come back.

    owner: the resource that is deleted. Nothing happens when the component belongs to another one by now, or
    has been applied anew by the resource that replaces it. When the resource of the former owner still
    exists, the component goes back to that owner's state. Packages and users stay. Directories of data
    stay too, unless ``purge``. Raises Failure, with nothing touched, while another component needs what this
    one unpacked.
    """
    record = places.read_json(places.record_path(component))
    if record is None:
        return {"component": component, "deleted": False}
    reason = ownership.refusal(record, owner)
    if reason:
        places.write_json(places.record_path(component), ownership.without_undo(record, owner))
        return {"component": component, "deleted": False, "reason": reason}
    heir = ownership.heir(record)
    if heir:
        Transaction(heir["document"], places.secrets(), owner=heir["owner"]).run()
        reason = "the component belongs to {} again, whose resource still exists".format(heir["owner"])
        return {"component": component, "deleted": False, "reason": reason}
    document = from_json(record["document"])
    for path in document.archives:
        _refuse_if_used(path, component)
    states = system.unit_states(sorted(document.units))
    present = [name for name, state in states.items() if state.exists]
    # Timers first, or they start their services again.
    ran = record.get("ran", ())
    for name in sorted(present, key=lambda unit: not unit.endswith(".timer")):
        if name not in ran:
            system.systemctl("delete", "stop", units=[name])
            system.systemctl("delete", "disable", units=[name])
    paths = sorted({*record.get("files", ()), *document.archives})
    for path in paths:
        files.put_original(path)
    files.settle([Path(path) for path in paths])
    for path in document.archives:
        archives.drop_others(path, "")
    if document.stopped:
        system.systemctl("delete", "unmask", units=document.stopped)
    system.systemctl("delete", "daemon-reload", units=[])
    system.systemctl("delete", "reload-or-restart", units=[name for name in present if name in ran])
    kept = []
    for path in sorted(document.directories, reverse=True):
        if purge:
            shutil.rmtree(path, ignore_errors=True)
        elif Path(path).is_dir():
            kept.append(path)
    for path in sorted(record.get("made", ()), reverse=True):
        with contextlib.suppress(OSError):
            Path(path).rmdir()
    _hand_on([path for path in record.get("made", ()) if Path(path).is_dir()], component)
    # Until here, a later run can repeat all of this. Without the record, the kept originals are useless.
    places.record_path(component).unlink()
    places.sync_directory(places.RECORDS)
    for path in paths:
        files.drop_original(path)
    return {"component": component, "deleted": True, "kept": sorted(kept)}


def _refuse_if_used(path: str, leaving: str) -> None:
    """Raise Failure if another component still uses the archive, because its apply failed or did not run.

    The engine may delete a component although the change of its user failed (``--continue-on-error``).
    """
    for component, record in places.records().items():
        if component != leaving and path + "/" in json.dumps(record.get("document", {})):
            reason = "component {} still uses this archive: deploy that component first".format(component)
            raise Failure("delete", path, reason=reason)


def _hand_on(directories: List[str], leaving: str) -> None:
    """Let another component that uses the directories remove them later."""
    for component, record in places.records().items():
        theirs = (*record.get("files", ()), *record.get("document", {}).get("archives", ()))
        shared = {path for path in directories if any(other.startswith(path + "/") for other in theirs)}
        if shared and component != leaving:
            record["made"] = sorted({*record.get("made", ()), *shared})
            places.write_json(places.record_path(component), record)
