"""Property values as plain Python, with secrets and unknowns marked.

The engine marks a special value, such as a secret or an asset, by a dict with a signature. These dicts are
kept as they are, so that the inputs of a resource go into the state unchanged: an asset with its hash, a
secret as a secret.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from google.protobuf import json_format, struct_pb2

Values = dict[str, Any]

SIGNATURE = "4dabf18193072939515e22adb298388d"
SECRET = "1b47061264138c4ac30d75fd1eb44270"
ASSET = "c44067f5952c0a294b673a41bacd8c17"
ARCHIVE = "0def7320c3a5731c473e5ecbe6d01bc7"
OUTPUT_VALUE = "d0e6a833031e9bbcd3f4e8bde6ca49a4"
UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"


_MARKS = (SECRET, ASSET, ARCHIVE, OUTPUT_VALUE)


class MalformedError(ValueError):
    """A message of the engine has a special value that is not complete. path: where it is."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"{path}: {reason}" if path else reason)
        self.path = path


def from_struct(struct: struct_pb2.Struct) -> Values:
    """The values of a message of the engine. Raises MalformedError, so that all others can rely on them."""
    plain: Values = json_format.MessageToDict(struct)
    _require_form(plain, "")
    return plain


def _require_form(value: Any, path: str) -> None:
    if isinstance(value, list):
        for number, item in enumerate(value):
            _require_form(item, f"{path}[{number}]")
    if not isinstance(value, dict):
        return
    if SIGNATURE in value:
        if value[SIGNATURE] not in _MARKS:
            raise MalformedError(path, "the value is marked as a kind that the stand-in does not know")
        if value[SIGNATURE] == SECRET and "value" not in value:
            raise MalformedError(path, "the secret has no value")
        for name in ("path", "text", "uri"):
            if is_asset(value) and not isinstance(value.get(name, ""), str):
                raise MalformedError(path, f"the {name} of the asset must be a string")
        if is_archive(value) and not isinstance(value.get("path", ""), str):
            raise MalformedError(path, "the path of the archive must be a string")
    for name, item in value.items():
        # The value of a secret is at the place of the secret.
        inner = path if SIGNATURE in value and name == "value" else f"{path}.{name}" if path else name
        _require_form(item, inner)


def to_struct(values: Mapping[str, Any]) -> struct_pb2.Struct:
    """The message for `values`."""
    struct = struct_pb2.Struct()
    struct.update(values)
    return struct


def secret(value: Any) -> Any:
    """`value` marked as a secret, unless it is marked already."""
    if _signature(value) == SECRET:
        return value
    return {SIGNATURE: SECRET, "value": value}


def revealed(value: Any) -> Any:
    """`value` without the marks of secrets and outputs at any depth. An unknown output becomes UNKNOWN."""
    match _signature(value):
        case "" if isinstance(value, dict):
            return {name: revealed(item) for name, item in value.items()}
        case "" if isinstance(value, list):
            return [revealed(item) for item in value]
        case signature if signature == SECRET:
            return revealed(value["value"])
        case signature if signature == OUTPUT_VALUE:
            return revealed(value["value"]) if "value" in value else UNKNOWN
    return value


def has_unknown(value: Any) -> bool:
    """Whether `value` is or contains an unknown value. Only previews have unknown values."""
    value = revealed(value)
    if isinstance(value, dict):
        return any(has_unknown(item) for item in value.values())
    if isinstance(value, list):
        return any(has_unknown(item) for item in value)
    return bool(value == UNKNOWN)


def is_asset(value: Any) -> bool:
    """Whether `value` is an asset: one file, text or address."""
    return _signature(value) == ASSET


def is_archive(value: Any) -> bool:
    """Whether `value` is an archive: a directory, an archive file, a map of assets or an address."""
    return _signature(value) == ARCHIVE


def _signature(value: Any) -> str:
    if isinstance(value, dict):
        mark = value.get(SIGNATURE)
        return mark if isinstance(mark, str) else ""
    return ""
