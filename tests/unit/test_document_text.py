"""A document on its way to a host is text that people and Pulumi's engine compare line by line."""

from __future__ import annotations

import json

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
    """The head says what it is, digests say which files it has, and texts have no escaped line ends."""
    lines = short_document(_STATE).splitlines()
    assert lines[0] == "@ component web of web1, 2 files, 1 packages"
    assert [line.strip() for line in lines if line.strip() in ('"one",', '"two",')] == ['"one",', '"two",']
    assert any(line.strip().startswith('"/etc/a.conf": "') for line in lines)


def test_neither_json_nor_yaml_can_be_read_from_it() -> None:
    """The engine would show all of it for a change of one line."""
    with pytest.raises(ValueError, match="Expecting value"):
        json.loads(short_document(_STATE))
    with pytest.raises(yaml.YAMLError):
        yaml.safe_load(short_document(_STATE))


def test_a_long_line_is_in_pieces() -> None:
    """The engine would cut it, and hide a difference at its end."""
    state = HostState(host="a", component="b", files={"/a": File("short\n" + "x" * 250 + "\n")})
    text = short_document(state)
    assert max(map(len, text.splitlines())) < 120
    assert read_document(text) == state.document()


@given(st.dictionaries(st.text(min_size=1), st.text(st.characters(exclude_categories=["Cs"]))))
def test_the_document_is_read_as_it_was(texts: dict[str, str]) -> None:
    """Whatever the texts of files have in them; plain JSON is read too."""
    document = {
        "host": "a",
        "component": "b",
        "files": {path: {"text": text} for path, text in texts.items()},
    }
    plain = document if texts else {"host": "a", "component": "b"}
    text = document_text(plain, dict.fromkeys(texts, "123456"))
    assert read_document(text) == plain
    assert read_document(canonical(plain)) == plain


@pytest.mark.parametrize(
    "body", ["[]", "null", '{"files": []}', '{"files": {"/a": 1, "/b": {"lines": [1]}}}']
)
def test_a_document_of_another_form_is_left_to_its_reader(body: str) -> None:
    """Which says what is wrong with it."""
    assert read_document(f"@ anything\n{body}") == json.loads(body)


@pytest.mark.parametrize("text", ["", "@", "@ no more", "@ a\n{", "{"])
def test_a_text_that_is_cut_off_is_a_value_error(text: str) -> None:
    """The agent makes a failure with its own words of that."""
    with pytest.raises(ValueError, match=r"."):
        read_document(text)
