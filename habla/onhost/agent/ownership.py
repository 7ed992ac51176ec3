"""Finds the owner of a component on this host, and the paths that it takes over. All but reading is pure.

A component belongs to the resource of the stack that applied it last, and so does the agent itself. When that
resource is renamed or replaced, the engine creates the new one first and deletes the old one afterwards. The
old one's undo must then do nothing.
"""

from __future__ import annotations

import time
from typing import Any, Dict, List, Mapping

from ..document import HostState
from . import places

# Seconds in which the undo of a replaced resource comes: in the same run of the engine, or in the next one
# that ends well. After this time its resource is taken to have been lost with the state of a stack.
_REPLACED = 30 * 86400.0
# Parts of a document that one component alone can have.
_TAKEN = ("files", "archives", "units")


def claimed(record: Mapping[str, Any], owner: str, *, new: bool) -> Dict[str, Any]:
    """The part of a record about the owner, after ``owner`` has applied the component.

    new: the engine has just made the resource. If this owner already had the component, the resource
    replaces another one, and the undo of that one follows. A run that fails leaves this undo to a later run,
    which may first update the resource. If another owner had the component, that owner may come back: a
    rename that fails half-way and is taken back ends with an undo by ``owner`` alone.
    """
    if not owner:
        # Applied by hand, or again because of a secret: it stays whose it is.
        return {key: record[key] for key in ("owner", "replaced", "former") if key in record}
    same = bool(record) and record.get("owner", owner) == owner
    waiting = [*(_waiting(record) if same else ()), *([time.time()] if same and new else ())]
    former = record.get("former") if same else None
    if new and not same and record.get("owner"):
        former = {key: record[key] for key in ("owner", "document", "host") if key in record}
        former["since"] = time.time()
    return {
        "owner": owner,
        **({"replaced": waiting} if waiting else {}),
        **({"former": former} if former else {}),
    }


def refusal(record: Mapping[str, Any], owner: str) -> str:
    """Why ``owner`` may not undo the component, or "" if it may."""
    holder = record.get("owner", "")
    if holder and holder != owner:
        return "it belongs to {} now".format(holder)
    if holder and _waiting(record):
        return "it has been applied again since then"
    return ""


def without_undo(record: Mapping[str, Any], owner: str) -> Dict[str, Any]:
    """The record once ``owner`` has been refused an undo: each replaced resource has one."""
    waiting = _waiting(record)
    kept = {key: value for key, value in record.items() if key != "replaced"}
    left = waiting[1:] if record.get("owner") == owner else waiting
    if kept.get("former", {}).get("owner") == owner:
        # Its resource is gone, so it does not come back.
        del kept["former"]
    return {**kept, **({"replaced": left} if left else {})}


def heir(record: Mapping[str, Any]) -> Dict[str, Any]:
    """The record's part about the former owner, if its resource still exists; otherwise {}."""
    former: Dict[str, Any] = record.get("former", {})
    return former if former and time.time() - former["since"] < _REPLACED else {}


def _waiting(record: Mapping[str, Any]) -> List[float]:
    """The times of replacements whose undo has not come yet. Older agents kept one time alone."""
    found = record.get("replaced", [])
    times = found if isinstance(found, list) else [found]
    return [replaced for replaced in times if time.time() - replaced < _REPLACED]


def taken_over(document: HostState) -> Dict[str, Dict[str, Any]]:
    """component -> its record without the parts that ``document`` takes, if it loses any.

    The plan lets no two components of a host own one name. So such a component is on its way out, or its own
    next apply drops the name.
    """
    found = {}
    for component, record in places.records().items():
        old = record.get("document", {})
        if component == document.component or not any(
            set(old.get(part, ())) & set(getattr(document, part)) for part in _TAKEN
        ):
            continue
        found[component] = _without(record, document)
    return found


def owned_by_others(component: str) -> List[str]:
    """The paths that other components of this host own."""
    return sorted(
        {
            path
            for other, record in places.records().items()
            if other != component
            for path in (*record.get("files", ()), *record.get("document", {}).get("archives", ()))
        }
    )


def ran_for_others(component: str, units: List[str]) -> Dict[str, bool]:
    """Units that other components of this host own -> whether they ran before habla."""
    return {
        unit: unit in record.get("ran", ())
        for other, record in places.records().items()
        if other != component
        for unit in record.get("document", {}).get("units", ())
        if unit in units
    }


def _without(record: Mapping[str, Any], document: HostState) -> Dict[str, Any]:
    old = dict(record["document"])
    for part in _TAKEN:
        theirs = getattr(document, part)
        old[part] = {name: item for name, item in old.get(part, {}).items() if name not in theirs}
    kept = {*document.stopped, *document.units}
    old["stopped"] = [unit for unit in old.get("stopped", ()) if unit not in kept]
    # The rest only waits for its undo.
    old.update(checks={}, actions={}, health={})
    return {
        **record,
        "document": old,
        "digest": "",
        "files": [path for path in record.get("files", ()) if path not in document.files],
        "ran": [unit for unit in record.get("ran", ()) if unit not in document.units],
    }
