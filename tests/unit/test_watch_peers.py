"""How others are asked whether they live: by a page, and by net-snmp."""

from __future__ import annotations

import http.server
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from habla.onhost.watch import peers
from habla.onhost.watch.settings import Peer

PAGES = {"/alive": (200, b"1764000000\n"), "/empty": (200, b""), "/broken": (500, b"no")}


class _Pages(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.path == "/slow":
            time.sleep(1.5)
        status, body = PAGES.get(self.path, (404, b""))
        self.send_response(status)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing: the test says what went wrong."""


@pytest.fixture
def server() -> Iterator[str]:
    """The address of a web server on loopback."""
    pages = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Pages)
    threading.Thread(target=pages.serve_forever, args=(0.05,), daemon=True).start()
    yield f"http://127.0.0.1:{pages.server_port}"
    pages.shutdown()
    pages.server_close()


@pytest.fixture
def snmpget(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A snmpget that runs the script ``answer`` of the directory; its words and settings are in ``asked``."""
    program = tmp_path / "snmpget"
    program.write_text(f'#!/bin/sh\necho "$SNMPCONFPATH $@" >>{tmp_path}/asked\n. {tmp_path}/answer\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    return tmp_path


def test_a_page_is_a_sign_of_life(server: str) -> None:
    """And what is none says why."""
    names = ("alive", "empty", "broken", "missing")
    answers = peers.ask([Peer(name, url=f"{server}/{name}") for name in names], "")
    assert answers == {
        "alive": ("1764000000", ""),
        "empty": ("", "an empty page"),
        "broken": ("", "it answers 500 Internal Server Error"),
        "missing": ("", "it answers 404 Not Found"),
    }


def test_a_server_that_is_not_there_is_none() -> None:
    """Nobody listens on port 1."""
    value, why = peers.ask([Peer("a", url="http://127.0.0.1:1/")], "")["a"]
    assert (value, bool(why)) == ("", True)


def test_all_are_asked_at_once(server: str) -> None:
    """Twenty that take their time take as long as one."""
    started = time.monotonic()
    peers.ask([Peer(f"a{number}", url=f"{server}/slow") for number in range(20)], "")
    assert time.monotonic() - started < 4


def test_snmpget_finds_its_credentials_in_a_directory(snmpget: Path) -> None:
    """Nothing of them is on its command line; the object is the first line of an extension's output."""
    (snmpget / "answer").write_text("echo '\"1764000000.123\"'\n")
    answers = peers.ask([Peer("a", "192.0.2.1", 1161)], "/etc/habla/watch-snmp")
    assert answers == {"a": ("1764000000.123", "")}
    asked = (snmpget / "asked").read_text()
    assert asked.startswith("/etc/habla/watch-snmp -m  -t 1 -r 2 -Oqv udp:192.0.2.1:1161 .1.3.6.1.4.1.8072.")
    assert asked.endswith(".11.104.97.98.108.97.45.119.97.116.99.104\n")


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (
            "echo 'Created directory: /x'; echo 'Timeout: No Response from udp:192.0.2.1'; exit 1",
            "Timeout: No Response from udp:192.0.2.1",
        ),
        (
            "echo 'No Such Instance currently exists'",
            "its snmpd answers, but knows no habla-watch",
        ),
        ("echo '\"\"'", "its snmpd answers, but knows no habla-watch"),
        ("exit 2", "snmpget ends with 2"),
    ],
)
def test_what_is_no_answer_says_why(snmpget: Path, answer: str, why: str) -> None:
    """A host that is silent, and one whose watcher never ran."""
    (snmpget / "answer").write_text(answer)
    assert peers.ask([Peer("a", "192.0.2.1")], "") == {"a": ("", why)}


def _silence(times: list[float], values: list[str]) -> list[float]:
    """How long a peer has been silent at each look, from the answers at these times."""
    seen: dict[str, dict[str, Any]] = {}
    found = []
    for now, value in zip(times, values, strict=True):
        seen = peers.advance(seen, {"a": (value, "" if value else "no answer")}, now)
        found.append(seen["a"]["asked"] - seen["a"]["changed"])
    return found


def test_a_time_in_which_nobody_asked_is_no_silence() -> None:
    """The asker was down for an hour: the peer is neither dead, nor well again if it was dead."""
    assert _silence([0, 20, 3600, 3620], ["1", "1", "1", "1"]) == [0, 20, 20, 40]
    assert _silence([0, 20, 320, 340], ["1", "", "", ""]) == [0, 20, 20, 40]
    dead = _silence([0, *range(20, 420, 20), 4000, 4020], ["1", *[""] * 22])
    assert dead[-3:] == [400, 400, 420]


def test_a_sign_of_life_after_a_gap_ends_the_silence() -> None:
    """Whatever happened while nobody asked."""
    assert _silence([0, 100, 200, 4000], ["1", "1", "1", "2"]) == [0, 100, 200, 0]


def test_a_clock_that_was_set_back_makes_nobody_silent() -> None:
    """The silence until then still counts, and nothing is added to it."""
    assert _silence([5000, 5020, 100, 120], ["1", "1", "1", "1"]) == [0, 20, 20, 40]
