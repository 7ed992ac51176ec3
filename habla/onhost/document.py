"""The host state document as the agent reads it. Its writer is ``habla/model/state.py``."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import re
from dataclasses import dataclass, field
from typing import Any, Callable, Dict, List, Mapping, Tuple, Type, TypeVar

from .failure import Failure

FORMAT = 1
_SECRET = re.compile(r"@\{secret:([a-z0-9._/-]+)(?:\|([a-z]+))?\}")
T = TypeVar("T")


@dataclass(frozen=True)
class File:
    text: str
    mode: str = "0644"
    owner: str = "root"
    group: str = "root"

    @property
    def placeholders(self) -> List[Tuple[str, str]]:
        """The secrets that it asks for: name, form."""
        return _SECRET.findall(self.text)

    def content(self, secrets: Mapping[str, str]) -> bytes:
        """Its bytes, with the secrets filled in. Raises Failure when one is not on this host."""

        def fill(match: "re.Match[str]") -> str:
            name, form = match[1], match[2] or ""
            if name not in secrets:
                raise Failure("secrets", name, "the secret has not been delivered to this host")
            return _ESCAPES[form](secrets[name])

        return _SECRET.sub(fill, self.text).encode()


# How a value is escaped where it stands: see ``secret`` in the document's writer.
_ESCAPES: Dict[str, Callable[[str], str]] = {
    "": lambda value: value,
    "sql": lambda value: re.sub(r"([\\'])", r"\\\1", value),
    "env": lambda value: re.sub(r'([\\"$`])', r"\\\1", value),
    "json": lambda value: json.dumps(value)[1:-1],
}


def escaped(secrets: Mapping[str, str]) -> List[str]:
    """Every form in which a secret may stand in a file, and so in the words of who reads that file."""
    return sorted({escape(value) for value in secrets.values() for escape in _ESCAPES.values()})


@dataclass(frozen=True)
class Directory:
    mode: str = "0755"
    owner: str = "root"
    group: str = "root"


@dataclass(frozen=True)
class User:
    home: str = "/nonexistent"
    groups: Tuple[str, ...] = ()


@dataclass(frozen=True)
class Unit:
    restart_on: Tuple[str, ...] = ()
    reload_on: Tuple[str, ...] = ()


@dataclass(frozen=True)
class Check:
    command: Tuple[str, ...]
    files: Tuple[str, ...]


@dataclass(frozen=True)
class Action:
    command: Tuple[str, ...]
    inputs: Tuple[str, ...] = ()
    stdin: str = ""
    timeout: int = 120


@dataclass(frozen=True)
class Health:
    unit: str = ""
    address: str = ""
    port: int = 0
    path: str = ""
    host: str = ""
    expect: int = 200
    command: Tuple[str, ...] = ()
    deadline: int = 30


@dataclass(frozen=True)
class Archive:
    sha256: str
    url: str = ""


@dataclass(frozen=True)
class Document:
    """What one component must be on this host."""

    host: str
    component: str
    packages: Tuple[str, ...] = ()
    users: Dict[str, User] = field(default_factory=dict)
    directories: Dict[str, Directory] = field(default_factory=dict)
    files: Dict[str, File] = field(default_factory=dict)
    archives: Dict[str, Archive] = field(default_factory=dict)
    stopped: Tuple[str, ...] = ()
    units: Dict[str, Unit] = field(default_factory=dict)
    checks: Dict[str, Check] = field(default_factory=dict)
    actions: Dict[str, Action] = field(default_factory=dict)
    health: Dict[str, Health] = field(default_factory=dict)

    @property
    def secrets(self) -> List[str]:
        """The names of all secrets that its files ask for."""
        return sorted({name for file in self.files.values() for name, _ in file.placeholders})


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
_PATHS = ("directories", "files", "archives")
_MODE = re.compile(r"^0?[0-7]{3,4}$")


def from_json(raw: Any) -> Document:
    """The document of JSON values. Raises Failure."""
    if not isinstance(raw, dict) or raw.get("format") != FORMAT:
        found = raw.get("format") if isinstance(raw, dict) else type(raw).__name__
        reason = "this agent reads format {}, not {}: deploy with one version of habla".format(FORMAT, found)
        raise Failure("read", "the document", reason)
    values = {key: value for key, value in raw.items() if key != "format"}
    for part, kind in _PARTS.items():
        if part in values:
            items = _mapping(values[part], part).items()
            values[part] = {name: _build(kind, item, "{}.{}".format(part, name)) for name, item in items}
    document: Document = _build(Document, values, "the document")
    if not re.match(r"^[a-z][a-z0-9-]*$", document.component):
        raise Failure("read", document.component, "not a component's name")
    for path in sorted({path for part in _PATHS for path in values.get(part, {})}):
        if not path.startswith("/") or path.startswith("//") or os.path.normpath(path) != path or path == "/":
            raise Failure("read", path, "not an absolute, plain path")
    modes = {path: item.mode for path, item in document.files.items()}
    modes.update((path, item.mode) for path, item in document.directories.items())
    for path, mode in sorted(modes.items()):
        if not _MODE.match(mode):
            raise Failure("read", path, "not an octal mode: {}".format(mode))
    for path, archive in document.archives.items():
        if not re.match(r"^[0-9a-f]{64}$", archive.sha256):
            raise Failure("read", path, "not a sha256: {}".format(archive.sha256))
    for name, form in sorted({found for item in document.files.values() for found in item.placeholders}):
        if form not in _ESCAPES:
            raise Failure("read", name, "a secret has no form {}".format(form))
    return document


def canonical(raw: Any) -> str:
    """Canonical JSON, as the document's writer makes it."""
    return json.dumps(raw, sort_keys=True, separators=(",", ":"), ensure_ascii=False) + "\n"


def digest(raw: Any) -> str:
    """The sha256 of the canonical bytes."""
    return hashlib.sha256(canonical(raw).encode()).hexdigest()


def _mapping(raw: Any, where: str) -> Dict[str, Any]:
    if not isinstance(raw, dict):
        raise Failure("read", where, "a mapping is needed, not {}".format(type(raw).__name__))
    return raw


def _build(kind: Type[T], raw: Any, where: str) -> T:
    known = {item.name: str(item.type) for item in dataclasses.fields(kind)}  # type: ignore[arg-type]
    unknown = sorted(set(_mapping(raw, where)) - set(known))
    if unknown:
        raise Failure("read", where, "unknown keys: {}".format(", ".join(unknown)))
    for key, value in raw.items():
        if not _fits(value, known[key]):
            found = type(value).__name__
            raise Failure("read", where, "{} must be {}, not {}".format(key, _WORDS[known[key][:3]], found))
    values = {key: tuple(value) if isinstance(value, list) else value for key, value in raw.items()}
    try:
        return kind(**values)
    except TypeError as error:
        raise Failure("read", where, str(error)) from None


# The first letters of a field's type, and what it is in JSON.
_WORDS = {"str": "a string", "int": "a number", "Tup": "a list of strings", "Dic": "a mapping"}


def _fits(value: Any, declared: str) -> bool:
    if declared.startswith("Tuple"):
        return isinstance(value, list) and all(isinstance(item, str) for item in value)
    if declared.startswith("Dict"):
        return isinstance(value, dict)
    return isinstance(value, str if declared == "str" else int) and not isinstance(value, bool)
