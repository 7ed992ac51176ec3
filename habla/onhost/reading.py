"""JSON values -> the state of a host, or a failure that names the part and the rule that it breaks."""

from __future__ import annotations

import dataclasses
import os
import re
from typing import Any, Dict, Type, TypeVar

from .document import (
    FORMAT,
    Action,
    Archive,
    Check,
    Directory,
    File,
    Health,
    HostState,
    Unit,
    User,
    has_form,
)
from .failure import Failure

_COMPONENT = re.compile(r"[a-z][a-z0-9-]*")
_MODE = re.compile(r"0?[0-7]{3,4}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
T = TypeVar("T")
# Kinds of parts whose keys are paths, and the class of every part that is a mapping.
_PATHS = ("directories", "files", "archives")
_PARTS: Dict[str, Type[Any]] = {
    "users": User,
    "directories": Directory,
    "files": File,
    "archives": Archive,
    "units": Unit,
    "checks": Check,
    "actions": Action,
    "health": Health,
}


def from_json(raw: Any) -> HostState:
    """The state that a document of JSON values describes. Raises Failure."""
    if not isinstance(raw, dict) or raw.get("format") != FORMAT:
        found = raw.get("format") if isinstance(raw, dict) else type(raw).__name__
        reason = "this agent reads documents of format {}, not {}: deploy with one version of habla".format(
            FORMAT, found
        )
        raise Failure("read", "the document", reason=reason)
    values = {key: value for key, value in raw.items() if key != "format"}
    for part, kind in _PARTS.items():
        if part in values:
            items = _mapping(values[part], part).items()
            values[part] = {
                name: _build(kind, item, where="{}.{}".format(part, name)) for name, item in items
            }
    state: HostState = _build(HostState, values, where="the document")
    _check_texts(state)
    return state


def _check_texts(state: HostState) -> None:
    """Check the rules that types cannot express. Raises Failure."""
    if not _COMPONENT.fullmatch(state.component):
        raise Failure(
            "read",
            state.component,
            reason="a component's name is a letter, then lower-case letters, digits and hyphens",
        )
    for path in sorted({path for part in _PATHS for path in getattr(state, part)}):
        if not path.startswith("/") or path.startswith("//") or os.path.normpath(path) != path or path == "/":
            raise Failure(
                "read", path, reason="the path must be absolute, without .. and double or final slashes"
            )
    modes = {path: item.mode for path, item in state.files.items()}
    modes.update((path, item.mode) for path, item in state.directories.items())
    for path, mode in sorted(modes.items()):
        if not _MODE.fullmatch(mode):
            raise Failure("read", path, reason="the mode must be octal, not {}".format(mode))
    for path, archive in state.archives.items():
        if not _SHA256.fullmatch(archive.sha256):
            raise Failure(
                "read", path, reason="the sha256 must be 64 hexadecimal digits, not {}".format(archive.sha256)
            )
    for name, form in sorted({found for file in state.files.values() for found in file.placeholders}):
        if not has_form(form):
            raise Failure("read", name, reason="there is no form {} for a secret".format(form))


def _mapping(raw: Any, where: str) -> Dict[str, Any]:
    if not isinstance(raw, dict):
        raise Failure("read", where, reason="this must be a mapping, not {}".format(type(raw).__name__))
    return raw


def _build(kind: Type[T], raw: Any, *, where: str) -> T:
    known = {item.name: str(item.type) for item in dataclasses.fields(kind)}  # type: ignore[arg-type]
    unknown = sorted(set(_mapping(raw, where)) - set(known))
    if unknown:
        raise Failure("read", where, reason="unknown keys: {}".format(", ".join(unknown)))
    for key, value in raw.items():
        if not _fits(value, known[key]):
            found = type(value).__name__
            raise Failure(
                "read", where, reason="{} must be {}, not {}".format(key, _WORDS[known[key][:3]], found)
            )
    values = {key: tuple(value) if isinstance(value, list) else value for key, value in raw.items()}
    try:
        return kind(**values)
    except TypeError as error:
        raise Failure("read", where, reason=str(error)) from None


# The first letters of a field's type, and its type in JSON.
_WORDS = {"str": "a string", "int": "a number", "Tup": "a list of strings", "Map": "a mapping"}


def _fits(value: Any, declared: str) -> bool:
    if declared.startswith("Tuple"):
        return isinstance(value, list) and all(isinstance(item, str) for item in value)
    if declared.startswith("Mapping"):
        return isinstance(value, dict)
    return isinstance(value, str if declared == "str" else int) and not isinstance(value, bool)
