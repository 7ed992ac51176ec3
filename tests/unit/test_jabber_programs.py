"""The programs beside ejabberd, as its hosts run them: logins, the gate, bounds, the schema, the checker."""

from __future__ import annotations

import io
import json
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from habla.onhost.programs import (
    jabber_auth,
    jabber_bounds,
    jabber_config,
    jabber_gate,
    jabber_schema,
)


def asked(*words: str, questions: list[str]) -> list[bool]:
    """What jabber-auth answers to ejabberd's questions."""
    stdin = b"".join(struct.pack(">H", len(text.encode())) + text.encode() for text in questions)
    done = subprocess.run(
        [sys.executable, str(jabber_auth.__file__), *words],
        input=stdin,
        capture_output=True,
        timeout=30,
        check=True,
    )
    answers = [done.stdout[start : start + 4] for start in range(0, len(done.stdout), 4)]
    assert all(answer[:2] == b"\0\2" for answer in answers)
    return [answer == b"\0\2\0\1" for answer in answers]


def test_a_token_lets_its_app_in_and_nobody_else(tmp_path: Path) -> None:
    """A token may have any character, and every question that is not understood is a no."""
    tokens = tmp_path / "tokens"
    tokens.write_text("rpc:to:ken\nempty:\n")
    questions = {
        "auth:rpc:api.internal:to:ken": True,
        "auth:rpc:api.internal:to:kem": False,
        "auth:other:api.internal:to:ken": False,
        "auth:empty:api.internal:": False,
        "isuser:rpc:api.internal": True,
        "isuser:other:api.internal": False,
        "setpass:rpc:api.internal:new": False,
        "": False,
        "auth": False,
    }
    assert asked("tokens", str(tokens), questions=list(questions)) == list(questions.values())


class Login(BaseHTTPRequestHandler):
    """An app that knows ``ada``."""

    def do_POST(self) -> None:
        known = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        right = known["user"] == "ada" and known.get("password", "ü:x") == "ü:x"
        self.send_response(200 if right else 403)
        self.end_headers()

    def log_message(self, format: str, *arguments: object) -> None:
        """Nothing."""


@contextmanager
def app() -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), Login)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/login"
    finally:
        server.shutdown()
        server.server_close()


def test_an_app_decides_and_one_that_is_down_is_passed_over() -> None:
    """The first that answers decides; without any answer nobody is let in."""
    dead = "http://127.0.0.1:9/login"
    questions = ["auth:ada:d:ü:x", "auth:ada:d:other", "isuser:ada:d", "isuser:bob:d"]
    with app() as url:
        assert asked("http", dead, url, questions=questions) == [True, False, True, False]
    assert asked("http", dead, questions=questions) == [False] * 4


def test_the_gate_lets_in_the_peers_that_it_was_given() -> None:
    """What they send arrives, and so does the answer; others are cut off."""
    inner = socket.create_server(("127.0.0.1", 0))
    port = inner.getsockname()[1]

    def echo() -> None:
        connection, _ = inner.accept()
        connection.sendall(connection.recv(100).upper())
        connection.close()

    threading.Thread(target=echo, daemon=True).start()
    for peers, expected in ((["127.0.0.1"], b"HELLO"), (["192.0.2.1"], b"")):
        # The gate's own address is another one of the loopback network, with the same port.
        gate = subprocess.Popen(
            [sys.executable, str(jabber_gate.__file__), "127.0.0.2", str(port), *peers],
            stdout=subprocess.DEVNULL,
        )
        try:
            assert through("127.0.0.2", port, b"hello") == expected
        finally:
            gate.kill()
            gate.wait(10)
    inner.close()


def through(address: str, port: int, text: bytes) -> bytes:
    for _ in range(100):
        try:
            with socket.create_connection((address, port), 5) as connection:
                connection.sendall(text)
                return connection.recv(100)
        except ConnectionResetError:
            return b""
        except ConnectionRefusedError:
            threading.Event().wait(0.1)
    raise AssertionError("the gate does not listen")


class Archive:
    """ejabberd's archive, as jabber-bounds asks and changes it; its file never shrinks."""

    def __init__(self, days: int, each: int) -> None:
        self.days, self.each = days, each
        self.size = days * 100 * each

    def control(self, *words: str) -> str:
        if words[0] == "delete_old_mam_messages":
            self.days = min(self.days, int(words[2]))
        return f"[{{size,{self.days * 100}}},\n {{memory,{self.size}}},{{other,1}}]"


def test_the_archive_shrinks_day_by_day_to_its_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    """The newest days stay, and a second look deletes no more, although the file is as large as before."""
    archive = Archive(30, each=1000)
    monkeypatch.setattr(jabber_bounds, "control", archive.control)
    each = jabber_bounds.shrink(30, 1_000_000, each=0.0)
    assert (archive.days, each) == (10, 1000.0)
    assert jabber_bounds.shrink(30, 1_000_000, each=each) == 1000.0
    assert archive.days == 10


def test_an_archive_within_its_bound_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """So is an empty one."""
    for days in (0, 30):
        archive = Archive(days, each=1000)
        monkeypatch.setattr(jabber_bounds, "control", archive.control)
        jabber_bounds.shrink(30, 10_000_000, each=0.0)
        assert archive.days == days


def test_listeners_alone_are_left_out_of_the_config_that_is_checked() -> None:
    """The scratch node has no ports, and all other options."""
    text = "hosts:\n  - a\n\nlisten:\n  - port: 1\n    ip: b\n\n  - port: 2\nmodules:\n  mod_ping: {}\n"
    assert jabber_config.without_listeners(text) == "hosts:\n  - a\n\nmodules:\n  mod_ping: {}\n"


def test_the_words_of_ejabberd_come_before_those_of_erlang(capsys: pytest.CaptureFixture[str]) -> None:
    """A module that does not run is named first, then the reason; nothing else of the log."""
    log = (
        "2026-01-01 00:00:00+00:00 [info] <0.1.0>@a:b/1:2 Loading\n"
        "2026-01-01 00:00:00+00:00 [error] <0.1.0>@a:b/1:2 Something else\n"
        "2026-01-01 00:00:00+00:00 [critical] <0.1.0>@a:b/1:2 Internal error of module mod_x\n"
    )
    done = subprocess.CompletedProcess([], 0, "noise\nhabla: mod_x does not run for hab.la\n", "")
    assert jabber_config.complain(done, log) == 1
    assert capsys.readouterr().err == "mod_x does not run for hab.la\nInternal error of module mod_x\n"


def test_the_schema_is_loaded_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """With all its tables there, or with the mark of this database, nothing is loaded."""
    schema, login, mark = tmp_path / "schema.sql", tmp_path / "login", tmp_path / "mark"
    schema.write_text("CREATE TABLE users (\nCREATE TABLE `archive` (\n")
    login.write_text("[client]\nhost=a\npassword=x\n")
    monkeypatch.setattr(jabber_schema, "SCHEMA", schema)
    there: set[str] = set()
    loaded: list[str] = []

    def client(where: Path, option: str, *, text: str, may_fail: bool = False) -> str:
        if option == "--force":
            loaded.append(text)
            there.update(("users", "archive"))
        return "\n".join(there)

    monkeypatch.setattr(jabber_schema, "client", client)
    assert jabber_schema.main([str(login), str(mark)]) == 0
    assert len(loaded) == 1 and "GET_LOCK" in loaded[0]
    there.clear()
    login.write_text("[client]\nhost=a\npassword=y\n")
    assert jabber_schema.main([str(login), str(mark)]) == 0 and len(loaded) == 1
    login.write_text("[client]\nhost=b\npassword=y\n")
    assert jabber_schema.main([str(login), str(mark)]) == 0 and len(loaded) == 2


@pytest.mark.parametrize("program", [jabber_auth, jabber_bounds, jabber_config, jabber_schema])
def test_a_program_without_its_words_says_what_they_are(
    program: object, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit status 2."""
    assert program.main([]) == 2  # type: ignore[attr-defined]
    assert str(program.__doc__).strip() in capsys.readouterr().err


def test_serving_ends_with_a_question_that_ends_early() -> None:
    """ejabberd closed the pipe."""
    answers = io.BytesIO()
    jabber_auth.serve(io.BytesIO(b"\0"), answers, answer=lambda *_: True)
    assert answers.getvalue() == b""
