"""The host state: what one component must be on one host, as a canonical JSON document with a digest.

The document is what the agent takes on its standard input (``habla/onhost/document.py`` reads it) and what
``pulumi preview`` shows a reviewer, so it is keyed by name and path, not positional, and holds plain text.
Secrets are never in it: a file names them (see ``secret``) and the agent fills them in on the host.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

__all__ = [
    "FORMAT",
    "Action",
    "Archive",
    "Check",
    "Directory",
    "File",
    "Health",
    "HostState",
    "Parts",
    "Unit",
    "User",
    "secret",
    "secret_names",
]

FORMAT = 1
_SECRET = re.compile(r"@\{secret:([a-z0-9._/-]+)(?:\|[a-z]+)?\}")


def secret(name: str, form: Literal["", "sql", "env", "json"] = "") -> str:
    """The placeholder for the secret ``name`` in the text of a file.

    form: how the agent escapes the value: not at all, for a SQL string in single quotes (``sql``), for an
    environment file's value in double quotes (``env``), or for a JSON string (``json``).
    """
    return f"@{{secret:{name}{'|' + form if form else ''}}}"


def secret_names(text: str) -> tuple[str, ...]:
    """The names of the secrets that ``text`` asks for, sorted, without repetition."""
    return tuple(sorted(set(_SECRET.findall(text))))


@dataclass(frozen=True)
class File:
    """A file: its text, octal mode, owner and group."""

    text: str
    mode: str = "0644"
    owner: str = "root"
    group: str = "root"


@dataclass(frozen=True)
class Directory:
    """A directory that must exist. Never deleted with the component unless the user asks for a purge."""

    mode: str = "0755"
    owner: str = "root"
    group: str = "root"


@dataclass(frozen=True)
class User:
    """A system user, with a group of the same name and no login."""

    home: str = "/nonexistent"
    groups: tuple[str, ...] = ()


@dataclass(frozen=True)
class Unit:
    """A systemd unit that runs and starts at boot.

    restart_on, reload_on: paths (or links) whose change makes it restart or reload; a restart wins.
    """

    restart_on: tuple[str, ...] = ()
    reload_on: tuple[str, ...] = ()


@dataclass(frozen=True)
class Check:
    """A daemon's own checker, run before a changed file of ``files`` is put in place.

    command: an argument ``{/path}`` becomes the staged file, or the live one when that did not change.
    """

    command: tuple[str, ...]
    files: tuple[str, ...]


@dataclass(frozen=True)
class Action:
    """An idempotent command, run after the units are up when one of its inputs changed or it never succeeded.

    stdin: a file of the state to feed to it. timeout: seconds.
    """

    command: tuple[str, ...]
    inputs: tuple[str, ...] = ()
    stdin: str = ""
    timeout: int = 120


@dataclass(frozen=True)
class Health:
    """What must answer before an apply counts as done.

    Either ``command`` succeeds, or ``address``:``port`` accepts a connection and, where ``path`` is given,
    answers an HTTP GET (with ``host`` as its Host header) with the status ``expect``. deadline: seconds.
    """

    unit: str = ""
    address: str = ""
    port: int = 0
    path: str = ""
    host: str = ""
    expect: int = 200
    command: tuple[str, ...] = ()
    deadline: int = 30


@dataclass(frozen=True)
class Archive:
    """A tar archive unpacked beside a link that is switched in one step: ``PATH`` -> ``PATH.d/SHA256``.

    url: where the host fetches it; empty when the archive was handed over beforehand.
    """

    sha256: str
    url: str = ""


@dataclass(frozen=True, kw_only=True)
class Parts:
    """What makes a host what it is, by kind. ``stopped`` units are masked: they never run."""

    packages: tuple[str, ...] = ()
    users: Mapping[str, User] = field(default_factory=dict)
    directories: Mapping[str, Directory] = field(default_factory=dict)
    files: Mapping[str, File] = field(default_factory=dict)
    archives: Mapping[str, Archive] = field(default_factory=dict)
    stopped: tuple[str, ...] = ()
    units: Mapping[str, Unit] = field(default_factory=dict)
    checks: Mapping[str, Check] = field(default_factory=dict)
    actions: Mapping[str, Action] = field(default_factory=dict)
    health: Mapping[str, Health] = field(default_factory=dict)


@dataclass(frozen=True)
class HostState(Parts):
    """What one component must be on one host."""

    host: str
    component: str

    @property
    def secrets(self) -> tuple[str, ...]:
        """The names of all secrets that its files ask for, sorted."""
        return tuple(sorted({name for file in self.files.values() for name in secret_names(file.text)}))

    def document(self) -> dict[str, Any]:
        """The document as plain JSON values; what equals its default is left out, to keep diffs short."""
        return {"format": FORMAT, **_plain(self)}

    def canonical(self) -> str:
        """The document as canonical JSON: sorted keys, no blanks, one line, ends with a newline."""
        return json.dumps(self.document(), sort_keys=True, separators=(",", ":"), ensure_ascii=False) + "\n"

    def digest(self) -> str:
        """The sha256 of the canonical bytes, in hexadecimal."""
        return hashlib.sha256(self.canonical().encode()).hexdigest()


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dict(_fields(value))
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return value


def _fields(value: Any) -> Iterator[tuple[str, Any]]:
    for item in dataclasses.fields(value):
        current = getattr(value, item.name)
        required = item.default is dataclasses.MISSING and item.default_factory is dataclasses.MISSING
        if required or (current != item.default and current not in ((), {})):
            yield item.name, _plain(current)
