"""The loads that tests of the lab make stop by themselves, and say so when that was too early."""

from __future__ import annotations

import json
import sys
import threading
from typing import Any

import pytest
import visitor
import watcher
from clients import Program
from hosts import wait_for
from pace import Pace


def _events(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_visitors_who_use_up_their_requests_report_an_error(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """They ask no more than their number, and still report what they found."""
    monkeypatch.setattr(visitor, "_one", lambda host, path: "stable1")
    visitor.ask(threading.Event(), Pace(rate=1000, most=20), 3, "www.hab.la", ["/"])
    *errors, done = _events(capsys)
    assert errors and all(event["event"] == "error" for event in errors)
    assert "all 20 turns at 1000 a second are used up" in str(errors[0]["fault"])
    # A worker that was waiting for its turn when the others failed does not ask any more.
    assert done["event"] == "done" and 17 < done["servers"]["stable1"] <= 20


def test_visitors_stop_after_their_seconds_without_an_error(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The seconds count from the moment when answers come."""
    monkeypatch.setattr(visitor, "_one", lambda host, path: "stable1")
    monkeypatch.setattr(visitor, "WARM", 5)
    visitor.ask(threading.Event(), Pace(rate=200, most=10_000), 3, "www.hab.la", ["/"], seconds=0.2)
    assert [event["event"] for event in _events(capsys)] == ["started", "done"]


def test_a_watch_that_uses_up_its_requests_reports_an_error(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It asks no more than its number."""
    asked: list[object] = []

    def ask(watch: watcher.Watch) -> None:
        asked.append(watch)

    monkeypatch.setattr(watcher, "RATE", 1000)
    monkeypatch.setattr(watcher, "MOST", 20)
    monkeypatch.setattr(watcher.Watch, "_ask", ask)
    before = set(threading.enumerate())
    watcher.Watch("203.0.113.20", 1, "www.hab.la", "/")
    wait_for(lambda: set(threading.enumerate()) <= before, 10, "the end of the workers")
    assert len(asked) == 20
    assert {event["event"] for event in _events(capsys)} == {"error"}


def test_an_error_of_a_program_fails_the_test_that_waits_for_something_else() -> None:
    """The next call after the error raises with the program's words, and the one after that does not."""
    code = "from events import fail, say; fail(ValueError('too much')); say(event='done'); input()"
    program = Program(sys.executable, "-c", f"import sys; sys.path[:0] = {sys.path!r}; {code}")
    try:
        with pytest.raises(AssertionError, match="ValueError: too much"):
            program.expect(10, event="nothing")
        assert program.expect(10, event="done")
        program.check()
    finally:
        program.end()
