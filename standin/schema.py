"""The resources: their inputs, defaults and rules, and the effect of a changed input."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from standin import values
from standin.values import UNKNOWN, Values

LOCAL_COMMAND = "command:local:Command"
LOCAL_RUN = "command:local:run"
REMOTE_COMMAND = "command:remote:Command"
COPY_TO_REMOTE = "command:remote:CopyToRemote"

REPLACING = "triggers"
"""The one input whose change replaces a resource; a change of any other updates it."""


@dataclass(frozen=True)
class Kind:
    """The types that an input may have, and their name in an error."""

    types: tuple[type, ...]
    name: str
    items: tuple[type, ...] = ()
    """The types that the items of a list or map may have; without any, all."""


STRING = Kind((str,), "a string")
BOOLEAN = Kind((bool,), "true or false")
NUMBER = Kind((float, int), "a number")
LIST = Kind((list,), "a list")
MAP = Kind((dict,), "a map")
STRINGS = Kind((list,), "a list of strings", (str,))
VARIABLES = Kind((dict,), "a map of strings", (str,))
SOURCE = Kind((dict,), "an asset or an archive")

_RUN = {
    "stdin": STRING,
    "logging": STRING,
    "environment": VARIABLES,
    "addPreviousOutputInEnv": BOOLEAN,
}
_LOCAL = {**_RUN, "interpreter": STRINGS, "dir": STRING, "assetPaths": LIST, "archivePaths": LIST}
_STEPS = {"create": STRING, "update": STRING, "delete": STRING, "triggers": LIST}
_CONNECTION = {"connection": MAP}

INPUTS: Mapping[str, Mapping[str, Kind]] = {
    LOCAL_COMMAND: {**_STEPS, **_LOCAL},
    LOCAL_RUN: {"command": STRING, **_LOCAL},
    REMOTE_COMMAND: {**_STEPS, **_RUN, **_CONNECTION},
    COPY_TO_REMOTE: {**_CONNECTION, "triggers": LIST, "source": SOURCE, "remotePath": STRING},
}

_REQUIRED = {
    LOCAL_COMMAND: (),
    LOCAL_RUN: ("command",),
    REMOTE_COMMAND: ("connection",),
    COPY_TO_REMOTE: ("connection", "source", "remotePath"),
}

LOGGING = ("stdout", "stderr", "stdoutAndStderr", "none")

_CONNECTION_INPUTS = {
    "user": STRING,
    "password": STRING,
    "host": STRING,
    "port": NUMBER,
    "privateKey": STRING,
    "privateKeyPassword": STRING,
    "agentSocketPath": STRING,
    "dialErrorLimit": NUMBER,
    "perDialTimeout": NUMBER,
    "hostKey": STRING,
}
_CONNECTION_DEFAULTS: Values = {"user": "root", "port": 22.0, "dialErrorLimit": 10.0, "perDialTimeout": 15.0}

_NOT_SERVED = ("assetPaths", "archivePaths")

Failure = tuple[str, str]
"""A path and the fault of the value there."""


def refusal(token: str) -> str:
    """The error for a type or function that the stand-in does not serve."""
    return (
        f"{token} is not served by the stand-in for the Command plugin, only {', '.join(INPUTS)} are;"
        " use a machine that can download the official plugin, or one of those"
    )


def check(token: str, inputs: Values) -> tuple[Values, list[Failure]]:
    """The inputs with defaults filled in and the connection marked secret, and every fault found."""
    failures: list[Failure] = []
    checked = {name: value for name, value in inputs.items() if value is not None}
    _check_fields(checked, INPUTS[token], path="", failures=failures)
    for name in _REQUIRED[token]:
        if name not in checked:
            failures.append((name, f"{name} is required"))
    logging = values.revealed(checked.get("logging"))
    if logging not in (None, UNKNOWN, *LOGGING):
        failures.append(("logging", f"{logging!r} is not one of {', '.join(LOGGING)}"))
    for name in _NOT_SERVED:
        if name in checked:
            failures.append((name, f"{name} is not served by the stand-in for the Command plugin"))
    if "source" in checked:
        failures += _source_faults(values.revealed(checked["source"]))
    if "connection" in checked:
        checked["connection"] = _checked_connection(checked["connection"], failures)
    return checked, failures


def _source_faults(source: Any) -> Iterator[Failure]:
    """The official plugin sends files of this machine and texts, and nothing that it would have to fetch."""
    if source == UNKNOWN:
        return
    if values.is_asset(source):
        if "path" not in source and "text" not in source:
            yield "asset", "asset must be a path-based file asset or a text asset"
    elif values.is_archive(source):
        if "path" not in source:
            yield "archive", "archive must be a path to a file or directory"
    else:
        yield "source", "either an asset or an archive must be given"


def _check_fields(
    fields: Mapping[str, Any], kinds: Mapping[str, Kind], *, path: str, failures: list[Failure]
) -> None:
    for name, value in fields.items():
        kind = kinds.get(name)
        shown = values.revealed(value)
        if kind is None:
            failures.append((f"{path}{name}", f"there is no input {path}{name}"))
        elif shown != UNKNOWN and not _fits(shown, kind):
            failures.append((f"{path}{name}", f"{path}{name} must be {kind.name}"))


def _fits(shown: Any, kind: Kind) -> bool:
    if not isinstance(shown, kind.types) or (isinstance(shown, bool) and kind is not BOOLEAN):
        return False
    items = shown.values() if isinstance(shown, dict) else shown if isinstance(shown, list) else ()
    return not kind.items or all(item == UNKNOWN or isinstance(item, kind.items) for item in items)


def _checked_connection(value: Any, failures: list[Failure]) -> Any:
    secret = isinstance(value, dict) and value.get(values.SIGNATURE) == values.SECRET
    connection = value["value"] if secret else value
    if not isinstance(connection, dict) or values.SIGNATURE in connection:
        return values.secret(value)
    checked = _with_defaults(connection, "connection.", failures=failures)
    proxy = values.revealed(connection.get("proxy"))
    if isinstance(proxy, dict):
        checked["proxy"] = _with_defaults(proxy, "connection.proxy.", failures=failures)
    return values.secret(checked)


def _with_defaults(connection: Mapping[str, Any], path: str, *, failures: list[Failure]) -> Values:
    given = {name: value for name, value in connection.items() if value is not None}
    kinds = dict(_CONNECTION_INPUTS)
    if path == "connection.":
        kinds["proxy"] = MAP
    _check_fields(given, kinds, path=path, failures=failures)
    if "host" not in given:
        failures.append((f"{path}host", f"{path}host is required"))
    return {**_CONNECTION_DEFAULTS, **given}


@dataclass(frozen=True)
class Change:
    """One changed property: its path, and `add`, `delete` or `update`."""

    path: str
    how: str

    @property
    def replaces(self) -> bool:
        """Whether the change replaces the resource."""
        return re.match(r"\w+", self.path).group() == REPLACING  # type: ignore[union-attr]


def changes(old: Values, new: Values) -> list[Change]:
    """The differences between two sets of inputs, sorted by path. An unknown value counts as different."""
    found = _changes(values.revealed(old), values.revealed(new), path="")
    return sorted(found, key=lambda change: change.path)


def _changes(old: Any, new: Any, *, path: str) -> Iterator[Change]:
    if isinstance(old, dict) and isinstance(new, dict) and not {values.SIGNATURE} & (old.keys() | new.keys()):
        for name in old.keys() | new.keys():
            yield from _member(old, new, key=name, path=_joined(path, name))
    elif isinstance(old, list) and isinstance(new, list):
        olds, news = dict(enumerate(old)), dict(enumerate(new))
        for index in olds.keys() | news.keys():
            yield from _member(olds, news, key=index, path=f"{path}[{index}]")
    elif old != new or values.has_unknown(new):
        yield Change(path, "update")


def _member(old: Mapping[Any, Any], new: Mapping[Any, Any], *, key: Any, path: str) -> Iterator[Change]:
    if key not in old:
        yield Change(path, "add")
    elif key not in new:
        yield Change(path, "delete")
    else:
        yield from _changes(old[key], new[key], path=path)


def _joined(path: str, name: str) -> str:
    if re.fullmatch(r"\w+", name):
        return f"{path}.{name}" if path else name
    escaped = name.replace('"', '\\"')
    return f'{path}["{escaped}"]'
