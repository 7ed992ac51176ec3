"""Compares the wanted state of a host with its real state. Only reads."""

from __future__ import annotations

import dataclasses
import grp
import hashlib
import os
import pwd
import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional, Set

from ..document import HostState
from .system import UnitState, missing_packages, unit_states

_SYSTEM_UNITS = "/etc/systemd/system/"


@dataclass
class Changes:
    """The changes to make, in the order in which they are made. Every list is sorted."""

    packages: List[str] = field(default_factory=list)
    users: List[str] = field(default_factory=list)
    directories: List[str] = field(default_factory=list)
    files: List[str] = field(default_factory=list)
    removed: List[str] = field(default_factory=list)
    archives: List[str] = field(default_factory=list)
    retired: List[str] = field(default_factory=list)
    stop: List[str] = field(default_factory=list)
    release: List[str] = field(default_factory=list)
    enable: List[str] = field(default_factory=list)
    start: List[str] = field(default_factory=list)
    restart: List[str] = field(default_factory=list)
    reload: List[str] = field(default_factory=list)
    actions: List[str] = field(default_factory=list)

    def __bool__(self) -> bool:
        return any(dataclasses.astuple(self))

    def report(self) -> Dict[str, List[str]]:
        """The changes as a report, without empty parts."""
        return {key: value for key, value in dataclasses.asdict(self).items() if value}


def compare(document: HostState, record: Mapping[str, Any], *, secrets: Mapping[str, str]) -> Changes:
    """The changes that bring this host to the state of the document.

    record: of the last apply of this component, empty before the first.
    """
    changes = Changes()
    old = record.get("document", {})
    changes.packages = missing_packages(document.packages)
    changes.users = sorted(name for name in document.users if not _user_exists(name))
    changes.directories = sorted(path for path in document.directories if not _directory_is(document, path))
    changes.files = sorted(path for path in document.files if not _file_is(document, path, secrets=secrets))
    changes.removed = sorted(set(record.get("files", ())) - set(document.files))
    changes.archives = sorted(
        path for path, archive in document.archives.items() if not _link_is(path, archive.sha256)
    )
    changes.removed += sorted(set(old.get("archives", {})) - set(document.archives))
    changes.retired = sorted(set(old.get("units", {})) - set(document.units))
    # A package that is only now installed may bring units that are not known yet.
    states = unit_states(sorted({*document.units, *document.stopped}))
    changes.stop = sorted(unit for unit in document.stopped if not _stopped(states[unit]))
    changes.release = sorted(set(old.get("stopped", ())) - set(document.stopped))
    changed = {*changes.files, *changes.removed, *changes.archives}
    _compare_units(document, changes, states=states, changed=changed)
    changes.actions = sorted(_due(document, record, changes=changes, secrets=secrets))
    return changes


def _compare_units(
    document: HostState, changes: Changes, *, states: Mapping[str, UnitState], changed: Set[str]
) -> None:
    for name, unit in sorted(document.units.items()):
        state = states[name]
        if not state.enabled:
            changes.enable.append(name)
        own = {_SYSTEM_UNITS + name} & changed
        if not state.running:
            changes.start.append(name)
        elif own or changed & set(unit.restart_on) or changed & _drop_ins(name, changed):
            changes.restart.append(name)
        elif changed & set(unit.reload_on):
            changes.reload.append(name)


def _drop_ins(unit: str, changed: Set[str]) -> Set[str]:
    """Changed drop-ins of a unit: they decide how it runs, whether or not the document says so again."""
    stem, _, suffix = unit.rpartition(".")
    bases = {unit, "{}@.{}".format(stem.split("@")[0], suffix) if "@" in stem else unit}
    return {path for path in changed for base in bases if path.startswith(_SYSTEM_UNITS + base + ".d/")}


def inputs_digest(document: HostState, name: str, *, secrets: Mapping[str, str]) -> str:
    """The digest of everything that an action depends on. Only this host keeps it, and only root reads it."""
    action = document.actions[name]
    total = hashlib.sha256(repr((action.command, action.stdin)).encode())
    for path in sorted({*action.inputs, *([action.stdin] if action.stdin else [])}):
        total.update(path.encode() + b"\0")
        if path in document.files:
            total.update(document.files[path].content(secrets))
        elif path in document.archives:
            total.update(document.archives[path].sha256.encode())
    return total.hexdigest()


def _due(
    document: HostState, record: Mapping[str, Any], *, changes: Changes, secrets: Mapping[str, str]
) -> List[str]:
    done = record.get("actions", {})
    touched = {*changes.files, *changes.archives}
    return [
        name
        for name, action in document.actions.items()
        if touched & {*action.inputs, action.stdin}
        or done.get(name) != inputs_digest(document, name, secrets=secrets)
    ]


def _stopped(state: UnitState) -> bool:
    return state.masked and not state.running


def _user_exists(name: str) -> bool:
    try:
        pwd.getpwnam(name)
    except KeyError:
        return False
    return True


def _owned(status: os.stat_result, mode: str, *, owner: str, group: str) -> bool:
    """Whether a file has this mode and these owners. Owners that do not exist yet own nothing."""
    try:
        wanted = (pwd.getpwnam(owner).pw_uid, grp.getgrnam(group).gr_gid)
    except KeyError:
        return False
    return stat.S_IMODE(status.st_mode) == int(mode, 8) and (status.st_uid, status.st_gid) == wanted


def _directory_is(document: HostState, path: str) -> bool:
    wanted = document.directories[path]
    status = _status(path)
    return (
        status is not None
        and stat.S_ISDIR(status.st_mode)
        and _owned(status, wanted.mode, owner=wanted.owner, group=wanted.group)
    )


def _file_is(document: HostState, path: str, *, secrets: Mapping[str, str]) -> bool:
    wanted = document.files[path]
    status = _status(path)
    if status is None or not stat.S_ISREG(status.st_mode):
        return False
    content = wanted.content(secrets)
    return (
        _owned(status, wanted.mode, owner=wanted.owner, group=wanted.group)
        and status.st_size == len(content)
        and Path(path).read_bytes() == content
    )


def _link_is(path: str, sha256: str) -> bool:
    try:
        return os.readlink(path) == link_target(path, sha256) and Path(path).is_dir()
    except OSError:
        return False


def link_target(path: str, sha256: str) -> str:
    """The target of an archive's link: a directory beside it, named by digest."""
    return "{}.d/{}".format(path, sha256)


def _status(path: str) -> Optional[os.stat_result]:
    try:
        return os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
