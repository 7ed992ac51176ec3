"""Programs that the agent brings along travel once, and documents name them by digest."""

from __future__ import annotations

import pytest

from habla.components.agent_bundle import short_document
from habla.model.programs import program_text, program_texts
from habla.onhost.brought import completed, text_digest
from habla.onhost.document import File, HostState
from habla.onhost.document_text import read_document
from habla.onhost.failure import Failure

_PROGRAM = program_text("drain_responder")
_STATE = HostState(
    host="web1",
    component="web",
    files={"/usr/local/lib/habla/drain": File(_PROGRAM, "0755"), "/etc/app.conf": File("text\n")},
)
_TEXTS = {text_digest(text): text for text in program_texts().values()}


def test_a_document_on_its_way_names_the_text_of_a_program_by_its_digest() -> None:
    """A program's text is left out, and the text of every other file stays readable for a preview."""
    files = read_document(short_document(_STATE))["files"]
    assert files["/usr/local/lib/habla/drain"] == {"mode": "0755", "program": text_digest(_PROGRAM)}
    assert files["/etc/app.conf"] == {"text": "text\n"}


def test_the_agent_completes_the_document_to_the_one_that_was_planned() -> None:
    """After completion the bytes are those of the plan, so that nothing else on the host knows of it."""
    assert completed(read_document(short_document(_STATE)), _TEXTS.get) == _STATE.document()


def test_an_agent_of_another_version_refuses_a_program_that_it_lacks() -> None:
    """The failure names the file and says what to do."""
    with pytest.raises(Failure) as caught:
        completed(read_document(short_document(_STATE)), {}.get)
    assert caught.value.subject == "/usr/local/lib/habla/drain"
    assert "deploy both with one version of habla" in caught.value.reason


@pytest.mark.parametrize("raw", [{}, {"files": []}, {"files": {"/a": "text"}}, {"files": {"/a": None}}])
def test_completion_leaves_a_document_of_another_form_to_its_reader(raw: dict[str, object]) -> None:
    """The reader of documents has the words for what is wrong with it."""
    assert completed(raw, {}.get) == raw
