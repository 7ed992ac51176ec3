"""YAML files of people, read as Pulumi reads them, with every fault by file, line and column.

Pulumi's reader is go-yaml 3: ``yes`` and ``5:00`` are texts, ``<<`` merges, and keys become texts. a value
would surprise its writer (an octal number, a date, a tag), it is a fault here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from habla.errors import Fault, SettingsError, raise_faults

__all__ = ["read_mapping"]

# A file of settings is kept by people: none needs to be larger, and a larger one takes long to parse.
_MAX_BYTES = 1_000_000
# Values of a file, with those that aliases repeat.
_MAX_VALUES = 100_000
_INT = re.compile(r"[-+]?(?:0|[1-9][0-9_]*|0x[0-9a-fA-F_]+|0o[0-7_]+|0b[01_]+)")
_FLOAT = re.compile(r"[-+]?(?:[0-9][0-9_]*\.?[0-9_]*|\.[0-9_]+)(?:[eE][-+]?[0-9]+)?")
_PLAIN_NUMBER = re.compile(r"0|[1-9][0-9]*")
_NULLS = {"", "~", "null", "Null", "NULL"}
_BOOLS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_STR, _MERGE, _PLAIN = "tag:yaml.org,2002:str", "tag:yaml.org,2002:merge", "plain"
_TYPES: dict[str, set[type]] = {"int": {int}, "float": {int, float}, "bool": {bool}, "null": {type(None)}}
_KNOWN_TAGS = {f"tag:yaml.org,2002:{kind}" for kind in ("str", "int", "float", "bool", "null", "seq", "map")}
_QUOTE = "write it in quotes if it is meant as a text"
# Words of the parser -> advice.
_FIXES = {
    "\\t": "indent with spaces, not with tabs",
    "another document": "keep one document: remove the line ---",
    "cannot start any token": "write the value in quotes",
    "but got '{'": 'write a text that has a brace in quotes, such as "ops@${domain}"',
    "mapping values are not allowed here": "write the value in quotes, or the second key on its own line",
    "undefined alias": "write the value in quotes, or define its anchor (&NAME) above",
}


def read_mapping(path: Path) -> dict[str, Any]:
    """The mapping in a file; empty when the file is. Raises SettingsError with every fault; OSError.

    Values are those of JSON: None, bool, int, finite float, str, list, and dict with str keys.
    """
    text = _text(path)
    try:
        node = yaml.compose(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        words = ", ".join(part for part in (error.problem, error.context) if part)
        fix = next((fix for sign, fix in _FIXES.items() if sign in words), "correct the line")
        raise SettingsError([_fault(path, mark, what="not YAML", rule=words, fix=fix)]) from error
    except yaml.reader.ReaderError as error:
        before = text[: int(error.position)]
        place = f"{path}:{before.count(chr(10)) + 1}:{len(before) - before.rfind(chr(10))}"
        rule = "a text file without control characters"
        raise SettingsError(
            [Fault(place, "not YAML", value=_shown(chr(error.character)), rule=rule, fix="remove it")]
        ) from error
    except RecursionError as error:
        rule = "lists and mappings can be nested only a few levels deep"
        raise SettingsError(
            [Fault(str(path), "nested too deep", rule=rule, fix="correct the file")]
        ) from error
    if node is None:
        return {}
    reader = _Values(path)
    value = reader.value(node)
    if not isinstance(node, yaml.MappingNode):
        rule = "the file is a mapping, KEY: VALUE"
        reader.faults.append(
            _fault(path, node.start_mark, what="not a mapping", rule=rule, fix="write KEY: VALUE")
        )
    raise_faults(SettingsError, reader.faults)
    assert isinstance(value, dict)
    return value


def _text(path: Path) -> str:
    raw = path.read_bytes()
    if len(raw) > _MAX_BYTES:
        rule = f"a file of settings has at most {_MAX_BYTES:,} bytes"
        fault = Fault(str(path), "too large", value=f"{len(raw):,} bytes", rule=rule, fix="shorten the file")
        raise SettingsError([fault])
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = raw[: error.start]
        place = f"{path}:{before.count(10) + 1}:{len(before) - before.rfind(10)}"
        fix = "save the file as UTF-8"
        fault = Fault(
            place, "not UTF-8", value=f"byte 0x{raw[error.start]:02x}", rule="the file must be UTF-8", fix=fix
        )
        raise SettingsError([fault]) from error


class _Loader(yaml.SafeLoader):
    """Only composes nodes; ``_Values`` decides the meaning of a scalar without quotes and tag."""

    def resolve(self, kind: Any, value: Any, *implicit: Any) -> str:
        """The tag of a node. implicit: whether YAML's rules give it one, if it is without quotes."""
        if kind is yaml.ScalarNode and implicit[0][0]:
            return _MERGE if value == "<<" else _PLAIN
        return str(super().resolve(kind, value, *implicit))  # type: ignore[no-untyped-call]


class _Values:
    """Nodes -> plain values. faults: all that were found."""

    def __init__(self, path: Path) -> None:
        self.faults: list[Fault] = []
        self._path = path
        self._open: set[int] = set()
        # An alias is the same node again: it is converted once, and counted each time.
        self._done: dict[int, tuple[Any, int]] = {}

    def value(self, node: yaml.Node) -> Any:
        """The value of a node. A part with a fault is None."""
        return self._counted(node)[0]

    def _counted(self, node: yaml.Node) -> tuple[Any, int]:
        known = self._done.get(id(node))
        if known is not None:
            return known
        if id(node) in self._open:
            self._add(node, "contains itself", rule="an alias (*NAME) must be outside its anchor (&NAME)")
            return None, 1
        self._open.add(id(node))
        found = self._converted(node)
        self._open.discard(id(node))
        if found[1] > _MAX_VALUES:
            self._add(node, "too large", rule=f"aliases repeat at most {_MAX_VALUES:,} values in one file")
            found = None, 1
        self._done[id(node)] = found
        return found

    def _converted(self, node: yaml.Node) -> tuple[Any, int]:
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node), 1
        if node.tag not in _KNOWN_TAGS:
            self._tag(node)
            return None, 1
        if isinstance(node, yaml.SequenceNode):
            parts = [self._counted(item) for item in node.value]
            return [value for value, _ in parts], 1 + sum(count for _, count in parts)
        assert isinstance(node, yaml.MappingNode)
        return self._mapping(node)

    def _mapping(self, node: yaml.MappingNode) -> tuple[dict[str, Any], int]:
        own: dict[str, Any] = {}
        merged: dict[str, Any] = {}
        total = 1
        for key_node, value_node in node.value:
            if key_node.tag == _MERGE:
                for base, count in self._merged(value_node):
                    # The first of several goes before the later ones.
                    merged = {**base, **merged}
                    total += count
                continue
            key = self._key(key_node)
            value, count = self._counted(value_node)
            total += count
            if key is None:
                continue
            if key in own:
                self._add(
                    key_node,
                    "the same key twice",
                    value=key,
                    rule="a mapping can have each key only once",
                    fix="remove one",
                )
            own[key] = value
        return {**merged, **own}, total

    def _merged(self, node: yaml.Node) -> Iterator[tuple[dict[str, Any], int]]:
        """The mappings that ``<<`` names."""
        items = node.value if isinstance(node, yaml.SequenceNode) else [node]
        for item in items:
            value, count = self._counted(item)
            if isinstance(value, dict):
                yield value, count
            else:
                self._add(item, "not a mapping", rule="<< takes a mapping, or a list of mappings")

    def _key(self, node: yaml.Node) -> str | None:
        if not isinstance(node, yaml.ScalarNode):
            fix = "write the value in quotes if braces belong to it, as in '{{ name }}'"
            self._add(node, "a key that is a mapping or list", rule="a key is a text", fix=fix)
            return None
        text = str(node.value)
        if node.tag != _STR and (text in _NULLS or text in _BOOLS or _is_odd_number(text)):
            self._add(
                node, "a key that is not a text", value=text, rule="a key is a text", fix="write it in quotes"
            )
            return None
        return self._checked(node, text)

    def _scalar(self, node: yaml.ScalarNode) -> Any:
        text = str(node.value)
        if node.tag in (_STR, _MERGE):
            return self._checked(node, text)
        if node.tag != _PLAIN:
            return self._tagged(node, text)
        if text in _NULLS:
            return None
        if text in _BOOLS:
            return _BOOLS[text]
        if _INT.fullmatch(text):
            return int(text.replace("_", ""), 0)
        if re.fullmatch(r"[-+]?0[0-9_]+", text):
            self._add(
                node,
                "a number with a leading zero",
                value=text,
                rule="YAML would read it as octal",
                fix=_QUOTE,
            )
            return None
        if _FLOAT.fullmatch(text):
            return self._float(node, text)
        if re.fullmatch(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)", text):
            self._add(node, "not a number", value=text, rule="a number must be finite", fix=_QUOTE)
            return None
        if re.fullmatch(r"\d{4}-\d\d?-\d\d?(?:[Tt ].*)?", text):
            self._add(node, "a date", value=text, rule="no setting is a date", fix=_QUOTE)
            return None
        return self._checked(node, text)

    def _tagged(self, node: yaml.ScalarNode, text: str) -> Any:
        """A scalar that says its type, as in ``!!int "5"``."""
        kind = node.tag.rpartition(":")[2] if node.tag in _KNOWN_TAGS else ""
        if kind not in _TYPES:
            self._tag(node)
            return None
        value = self._scalar(yaml.ScalarNode(_PLAIN, text, node.start_mark, node.end_mark))
        if type(value) not in _TYPES[kind]:
            self._add(node, "does not fit its tag", value=text, rule=f"the tag says {kind}")
            return None
        return value

    def _float(self, node: yaml.ScalarNode, text: str) -> int | float | None:
        value = float(text.replace("_", ""))
        if abs(value) == float("inf"):
            self._add(node, "not a number", value=text, rule="a number must be finite", fix=_QUOTE)
            return None
        # Pulumi hands settings over as JSON, where 8000.0 becomes 8000.
        return int(value) if value.is_integer() and abs(value) < 2**53 else value

    def _checked(self, node: yaml.Node, text: str) -> str | None:
        bad = next((char for char in text if char == "\0" or "\ud800" <= char <= "\udfff"), None)
        if bad is None:
            return text
        self._add(
            node, "a character that no setting can hold", value=_shown(bad), rule="a text must be Unicode"
        )
        return None

    def _tag(self, node: yaml.Node) -> None:
        shown = str(node.tag).replace("tag:yaml.org,2002:", "!!")
        self._add(node, "a tag", value=shown, rule="a value must not have a tag", fix="remove the tag")

    def _add(
        self, node: yaml.Node, what: str, *, value: str = "", rule: str, fix: str = "correct it"
    ) -> None:
        self.faults.append(_fault(self._path, node.start_mark, what=what, value=value, rule=rule, fix=fix))


def _is_odd_number(text: str) -> bool:
    return bool(_INT.fullmatch(text) or _FLOAT.fullmatch(text)) and not _PLAIN_NUMBER.fullmatch(text)


def _shown(char: str) -> str:
    return f"U+{ord(char):04X}"


def _fault(path: Path, mark: Any, *, what: str, value: str = "", rule: str, fix: str) -> Fault:
    place = f"{path}:{mark.line + 1}:{mark.column + 1}" if mark is not None else str(path)
    return Fault(place, what, value=value, rule=rule, fix=fix)
