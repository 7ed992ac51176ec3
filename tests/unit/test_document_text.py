"""A document on its way to a host is text that people and Pulumi's engine compare line by line."""

from __future__ import annotations

import io
import json
import re

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from habla.components.agent_bundle import short_document
from habla.onhost.document import Directory, File, HostState, canonical
from habla.onhost.document_text import document_text, read_document

_STATE = HostState(
    host="web1",
    component="web",
    packages=("nginx",),
    directories={"/srv/a": Directory("0755")},
    files={"/etc/a.conf": File("one\ntwo\n"), "/etc/empty": File("")},
)


def test_each_line_of_a_file_is_a_line() -> None:
    """Below the values there is each file with its path and a digest."""
    lines = short_document(_STATE).splitlines()
    assert lines[0] == "@ component web of web1, 2 files, 1 packages"
    start = lines.index("}") + 1
    assert [re.sub(r" [0-9a-f]{6}$", " DIGEST", line) for line in lines[start:]] == [
        "> /etc/a.conf DIGEST",
        "|one",
        "|two",
        "|",
        "> /etc/empty DIGEST",
        "|",
    ]


def test_neither_json_nor_yaml_can_be_read_from_it() -> None:
    """The engine would show all of it for a change of one line."""
    with pytest.raises(ValueError, match="Expecting value"):
        json.loads(short_document(_STATE))
    with pytest.raises(yaml.YAMLError):
        yaml.safe_load(short_document(_STATE))


def test_a_long_line_is_in_pieces() -> None:
    """The engine would cut it, and hide a difference at its end."""
    state = HostState(host="a", component="b", files={"/a": File("short\n" + "x" * 350 + "\n")})
    text = short_document(state)
    assert max(map(len, text.splitlines())) <= 141
    assert read_document(text) == state.document()


def test_a_character_that_a_terminal_would_obey_is_written_out() -> None:
    """A page may hold any; and Python reads a carriage return as the end of a line."""
    state = HostState(host="a", component="b", files={"/a": File("HTTP/1.0\r\n\x1b[2J\ttab ä\n")})
    text = short_document(state)
    assert '!"HTTP/1.0\\r"\n!"\\u001b[2J\\ttab \\u00e4"\n|\n' in text
    assert read_document(text) == state.document()


_PATHS = st.from_regex(r"(/[a-z0-9 >|+!@{}-]{1,9}){1,3}", fullmatch=True)
_TEXTS = st.one_of(st.text(), st.text('|+!> /{}\n\r\\"x', max_size=300), st.text("x ", min_size=130))


@given(st.dictionaries(_PATHS, _TEXTS, max_size=4))
def test_the_document_is_read_as_it_was(texts: dict[str, str]) -> None:
    """Whatever the texts of files have in them; plain JSON is read too."""
    files = {path: {"mode": "0600", "text": text} for path, text in texts.items()}
    document = {"host": "a", "component": "b", **({"files": files} if files else {})}
    text = document_text(document, dict.fromkeys(texts, "123456"))
    # As Python reads standard input: any end of a line becomes one character.
    assert read_document(io.StringIO(text, newline=None).read()) == document
    assert read_document(canonical(document)) == document


@pytest.mark.parametrize("body", ["[]", "null", '{"files": []}', '{"files": {"/a": 1}}'])
def test_a_document_of_another_form_is_left_to_its_reader(body: str) -> None:
    """Which says what is wrong with it."""
    assert read_document(f"@ anything\n{body}") == json.loads(body)


@pytest.mark.parametrize(
    "text",
    [
        *("", "@", "@ no more", "@ a\n{", "{"),
        *("@ a\n{}\n> /a 123456\n|x\n", "@ a\n[]\n> /a 123456\n|x\n"),
        *(f'@ a\n{{"files": {{"/a": {{}}}}}}\n> /a 123456\n{line}\n' for line in ("x", "+x", '!"x')),
    ],
)
def test_a_text_that_is_cut_off_is_a_value_error(text: str) -> None:
    """The agent makes a failure with its own words of that."""
    with pytest.raises(ValueError, match=r"."):
        read_document(text)
