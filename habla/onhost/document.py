"""The wanted state of one component on a host, as a canonical JSON document with a digest.

This is the one definition of the document. The plan builds these values, and the agent reads them from JSON
with the same classes (``reading``). ``pulumi preview`` shows a document to a reviewer, so everything in it is
keyed by name or path and holds plain text. A document never holds a secret: a file names it (see ``secret``),
and the agent fills it in on the host.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
from dataclasses import dataclass, field
from typing import Any, Callable, Dict, Iterator, List, Mapping, Tuple

from .failure import Failure, hide
from .made_secrets import base_secret, made_value

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
    "canonical",
    "digest",
    "escaped",
    "has_form",
    "secret",
    "secret_names",
]
FORMAT = 1
_SECRET = re.compile(r"@\{secret:([a-z0-9._/-]+)(?:\|([a-z]+))?\}")


def _only(pattern: str, rule: str) -> Callable[[str], str]:
    """Take values that match as they are, and raise ValueError with the rule for others."""

    def check(value: str) -> str:
        if re.fullmatch(pattern, value) is None:
            raise ValueError(rule)
        return value

    return check


def _env(value: str) -> str:
    return re.sub(r'([\\"$`])', r"\\\1", _ONE_LINE(value))


def _json(value: str) -> str:
    """The escapes of JSON that YAML has too: it does not join surrogates, and takes more for line breaks."""
    text = json.dumps(value, ensure_ascii=False)[1:-1]
    return re.sub("[\x7f-\x9f\u2028\u2029\ufeff]", lambda match: "\\u{:04x}".format(ord(match[0])), text)


_ONE_LINE = _only(r"[^\x00-\x1f\x7f]*", "the value must be one line, without control characters")
# How the value of a secret is escaped, by the form that its placeholder names.
_ESCAPES: Dict[str, Callable[[str], str]] = {
    "": lambda value: value,
    "sql": lambda value: re.sub(r"([\\'])", r"\\\1", value),
    "env": _env,
    "json": _json,
    "ascii": _only("[ -~]{1,255}", "the value must be printable ASCII, of 1 to 255 characters"),
    "word": _only(
        "[!#-&(-\\[\\]-~]{1,255}", "the value must be ASCII without blanks, quotes and backslashes"
    ),
}


def has_form(form: str) -> bool:
    """Whether a secret has this form."""
    return form in _ESCAPES


def secret(name: str, form: str = "") -> str:
    """The placeholder for the secret ``name`` in the text of a file.

    form: how the agent escapes the value: not at all, for a SQL string in single quotes (``sql``), for an
    environment file's value in double quotes (``env``), or for a JSON string (``json``). For ``ascii`` and
    ``word`` it takes the value as it is, and refuses one that its place cannot hold.
    """
    if not has_form(form):
        raise ValueError("there is no form {} for a secret".format(form))
    return "@{{secret:{}{}}}".format(name, "|" + form if form else "")


def secret_names(text: str) -> Tuple[str, ...]:
    """The sorted names of the secrets in ``text``, each once."""
    return tuple(sorted({name for name, _ in _SECRET.findall(text)}))


def escaped(secrets: Mapping[str, str]) -> List[str]:
    """Every form in which a secret may appear in a file, and so in the output of a program that reads it."""
    found = set()
    for value in secrets.values():
        for escape in _ESCAPES.values():
            try:
                found.add(escape(value))
            except ValueError:
                continue  # Its value is in no file of that form.
    return sorted(found)


@dataclass(frozen=True)
class File:
    """A file: its text, octal mode, owner and group."""

    text: str
    mode: str = "0644"
    owner: str = "root"
    group: str = "root"

    @property
    def placeholders(self) -> List[Tuple[str, str]]:
        """The secrets that it asks for: (name, form)."""
        return _SECRET.findall(self.text)

    def content(self, secrets: Mapping[str, str]) -> bytes:
        """The bytes of the file, with its secrets. Raises Failure if this host lacks one of them."""

        def fill(match: "re.Match[str]") -> str:
            name, form = match[1], match[2] or ""
            base = base_secret(name)
            if name not in secrets and base not in secrets:
                raise Failure("secrets", name, reason="the secret has not been delivered to this host")
            value = secrets[name] if name in secrets else made_value(name, secrets[base])
            hide([value])
            try:
                return _ESCAPES[form](value)
            except ValueError as error:
                raise Failure("secrets", name, reason=str(error)) from None

        return _SECRET.sub(fill, self.text).encode()


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
    groups: Tuple[str, ...] = ()


@dataclass(frozen=True)
class Unit:
    """A systemd unit that runs and starts at boot.

    restart_on, reload_on: paths (or links) whose change makes it restart or reload; a restart wins.
    """

    restart_on: Tuple[str, ...] = ()
    reload_on: Tuple[str, ...] = ()


@dataclass(frozen=True)
class Check:
    """A daemon's own checker, run before a changed file of ``files`` is put in place.

    command: an argument ``{/path}`` becomes the staged file, or the live one when that did not change.
    files: without any, the command asks for a condition that the host must meet, and runs before anything
    changes, packages included.
    """

    command: Tuple[str, ...]
    files: Tuple[str, ...]


@dataclass(frozen=True)
class Action:
    """An idempotent command, run after the units are up when one of its inputs changed or it never succeeded.

    stdin: a file of the state to feed to it. timeout: seconds.
    """

    command: Tuple[str, ...]
    inputs: Tuple[str, ...] = ()
    stdin: str = ""
    timeout: int = 120


@dataclass(frozen=True)
class Health:
    """A check that must succeed before an apply counts as done.

    Either ``command`` succeeds, or ``address``:``port`` accepts a connection and, where ``path`` is given,
    answers an HTTP GET (with ``host`` as its Host header) with the status ``expect``. deadline: seconds.
    """

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
    """A tar archive unpacked beside a link that is switched in one step: ``PATH`` -> ``PATH.d/SHA256``.

    url: where the host fetches it; empty when the archive was handed over beforehand.
    """

    sha256: str
    url: str = ""


@dataclass(frozen=True)
class Parts:
    """The parts of a host's state, by kind. ``stopped`` units are masked: they never run."""

    packages: Tuple[str, ...] = ()
    users: Mapping[str, User] = field(default_factory=dict)
    directories: Mapping[str, Directory] = field(default_factory=dict)
    files: Mapping[str, File] = field(default_factory=dict)
    archives: Mapping[str, Archive] = field(default_factory=dict)
    stopped: Tuple[str, ...] = ()
    units: Mapping[str, Unit] = field(default_factory=dict)
    checks: Mapping[str, Check] = field(default_factory=dict)
    actions: Mapping[str, Action] = field(default_factory=dict)
    health: Mapping[str, Health] = field(default_factory=dict)


@dataclass(frozen=True)
class _Owner:
    host: str
    component: str


@dataclass(frozen=True)
class HostState(Parts, _Owner):
    """The state of one component on one host."""

    @property
    def secrets(self) -> Tuple[str, ...]:
        """The names of all secrets that its files ask for, sorted."""
        return tuple(sorted({name for file in self.files.values() for name in secret_names(file.text)}))

    def document(self) -> Dict[str, Any]:
        """The document as plain JSON values. Defaults are left out, to keep diffs short."""
        return {"format": FORMAT, **_plain(self)}

    def canonical(self) -> str:
        """The document as canonical JSON: sorted keys, no blanks, one line, ends with a newline."""
        return canonical(self.document())

    def digest(self) -> str:
        """The sha256 of the canonical bytes, in hexadecimal."""
        return digest(self.document())


def canonical(raw: Any) -> str:
    """JSON values as canonical JSON."""
    return json.dumps(raw, sort_keys=True, separators=(",", ":"), ensure_ascii=False) + "\n"


def digest(raw: Any) -> str:
    """The sha256 of the canonical bytes of JSON values, in hexadecimal."""
    return hashlib.sha256(canonical(raw).encode()).hexdigest()


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dict(_fields(value))
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return value


def _fields(value: Any) -> Iterator[Tuple[str, Any]]:
    for item in dataclasses.fields(value):
        current = getattr(value, item.name)
        required = item.default is dataclasses.MISSING and item.default_factory is dataclasses.MISSING
        if required or (current != item.default and current not in ((), {})):
            yield item.name, _plain(current)
