"""Files of people: read as Pulumi reads them, and refused with file, line and column."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from habla.errors import SettingsError
from habla.settings.yaml_reader import read_mapping

_LAUGHS = b"a0: &a0 [x, x]\n" + b"".join(
    b"a%d: &a%d [%s]\n" % (level, level, b", ".join([b"*a%d" % (level - 1)] * 9)) for level in range(1, 12)
)

# Content of a file -> where its fault is, and words of it.
BAD: list[tuple[bytes, str, str]] = [
    (b"a: {{ name }}\n", ":1:5", "a key that is a mapping or list"),
    (b"? [a]\n: b\n", ":1:3", "a key that is a mapping or list"),
    (b"- a\n- b\n", ":1:1", "not a mapping"),
    (b"text\n", ":1:1", "not a mapping"),
    (b"a: 1\n\xff\xfe\n", ":2:1", "not UTF-8 (byte 0xff)"),
    ("a: é\n".encode("latin-1"), ":1:4", "not UTF-8 (byte 0xe9)"),
    (b"a: &x [*x]\n", ":1:4", "contains itself"),
    (b"a: &x {b: {c: *x}}\n", ":1:4", "contains itself"),
    (b"a: *x\n", ":1:4", "found undefined alias 'x'"),
    (b"a: 1\nb: 2\na: 3\n", ":3:1", "the same key twice (a)"),
    (b"a: {b: 1, b: 2}\n", ":1:11", "the same key twice (b)"),
    (b"a:\n\t- b\n", ":2:1", "indent with spaces, not with tabs"),
    (b"a: 1\n---\nb: 2\n", ":2:1", "keep one document"),
    (b"a: !!python/object/apply:os.system [ls]\n", ":1:4", "a tag (!!python/object/apply:os.system)"),
    (b"a: !!python/name:os.system\n", ":1:4", "a tag (!!python/name:os.system)"),
    (b"a: !secret x\n", ":1:4", "a tag (!secret)"),
    (b"a: !!binary aGk=\n", ":1:4", "a tag (!!binary)"),
    (b"a: !!set {b, c}\n", ":1:4", "a tag (!!set)"),
    (b"a: !!int x\n", ":1:4", "does not fit its tag (x)"),
    (b"a: 010\n", ":1:4", "a number with a leading zero (010)"),
    (b"a: 2026-11-26\n", ":1:4", "a date (2026-11-26)"),
    (b"a: .inf\n", ":1:4", "not a number (.inf)"),
    (b"a: -.INF\n", ":1:4", "not a number (-.INF)"),
    (b"a: .nan\n", ":1:4", "not a number (.nan)"),
    (b"a: 1e999\n", ":1:4", "not a number (1e999)"),
    (b"a: {true: 1}\n", ":1:5", "a key that is not a text (true)"),
    (b"~: 1\n", ":1:1", "a key that is not a text (~)"),
    (b"a: {1.50: 1}\n", ":1:5", "a key that is not a text (1.50)"),
    (b"a: {0x10: 1}\n", ":1:5", "a key that is not a text (0x10)"),
    (b'a: "\\ud800"\n', ":1:4", "a character that no setting can hold (U+D800)"),
    (b'a: "x\\0"\n', ":1:4", "a character that no setting can hold (U+0000)"),
    (b"a: b\nc: \x01\n", ":2:4", "not YAML (U+0001)"),
    (b"a: b: c\n", ":1:5", "mapping values are not allowed here"),
    (b"a: @x\n", ":1:4", "write the value in quotes"),
    (b"a: 'b\n", ":2:1", "unexpected end of stream"),
    (b"<<: 5\n", ":1:5", "<< takes a mapping"),
    (_LAUGHS, ":6:5", "aliases repeat at most 100,000 values"),
    (b"a: " + b"[" * 5000 + b"]" * 5000, "", "nested too deep"),
    (b"a: " + b"x" * 1_000_001, "", "at most 1,000,000 bytes"),
]

# The engine's tests ask Pulumi itself about each of these.
GOOD = json.loads((Path(__file__).parent / "yaml_values.json").read_text("utf-8"))


def _file(tmp_path: Path, content: bytes) -> Path:
    path = tmp_path / "Pulumi.x.yaml"
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(("content", "place", "words"), BAD, ids=[repr(case[0][:30]) for case in BAD])
def test_a_file_with_a_fault_is_refused_with_its_place(
    tmp_path: Path, content: bytes, place: str, words: str
) -> None:
    """The message names the file, the line and the column, and never ends in a traceback."""
    path = _file(tmp_path, content)
    with pytest.raises(SettingsError) as caught:
        read_mapping(path)
    assert [fault for fault in caught.value.faults if f"{path}{place}" == fault.path and words in str(fault)]
    assert all(fault.rule and fault.fix for fault in caught.value.faults)


@pytest.mark.parametrize("case", GOOD, ids=lambda case: repr(case["content"][:30]))
def test_a_file_is_read_as_pulumi_reads_it(tmp_path: Path, case: dict[str, Any]) -> None:
    """Values and keys of each type, with a byte order mark and without."""
    for mark in (b"", b"\xef\xbb\xbf"):
        read = read_mapping(_file(tmp_path, mark + case["content"].encode()))
        assert json.dumps(read) == json.dumps(case["mapping"])


def test_all_faults_of_a_file_are_reported_at_once(tmp_path: Path) -> None:
    """Whoever mends the file is not sent back three times."""
    with pytest.raises(SettingsError) as caught:
        read_mapping(_file(tmp_path, b"a: 010\nb: {{ x }}\nc: 1\nc: 2\n"))
    assert [fault.path.rsplit(":", 2)[1] for fault in caught.value.faults] == ["1", "2", "4"]


_TEXTS = st.text(
    st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\u2028\u2029"), max_size=8
)
_NUMBERS = st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False)
_VALUES = st.recursive(
    st.none() | st.booleans() | _NUMBERS | _TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_TEXTS, inner, max_size=4),
    max_leaves=20,
)


@given(st.dictionaries(_TEXTS, _VALUES, max_size=4))
def test_what_a_program_writes_as_json_is_read_back(
    tmp_path_factory: pytest.TempPathFactory, value: dict[str, Any]
) -> None:
    """JSON is YAML: any plain value survives a writer of JSON and this reader."""
    path = tmp_path_factory.getbasetemp() / "Pulumi.written.yaml"
    path.write_text(json.dumps(value, ensure_ascii=False), "utf-8")
    assert read_mapping(path) == value
