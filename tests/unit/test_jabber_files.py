"""The program that keeps the files of Jabber's users, as two hosts of a fleet that know each other."""

from __future__ import annotations

import hashlib
import hmac
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from habla.onhost.programs import jabber_files
from habla.onhost.programs.jabber_files import Store

SECRET = "shared"
NAME = "hab.la/0123abcd/random/a_b.png"


@dataclass
class Keeper:
    """One of the hosts."""

    port: int
    peer: int
    root: Path
    process: subprocess.Popen[bytes] | None = None

    @property
    def config(self) -> Path:
        return self.root / "config.json"

    def start(self) -> None:
        """Until it listens."""
        (self.root / "files").mkdir(exist_ok=True)
        config = {
            "pages": {"/.well-known/host-meta": {"type": "application/xrd+xml", "text": "<XRD/>"}},
            "upload": {
                "path": "/upload",
                "directory": str(self.root / "files"),
                "secret": SECRET,
                "peers": [f"127.0.0.1:{self.peer}"],
                "largest": 1000,
                "bytes": 1500,
                "days": 1,
            },
        }
        self.config.write_text(json.dumps(config))
        self.process = subprocess.Popen(
            [sys.executable, str(jabber_files.__file__), "127.0.0.1", str(self.port), str(self.config)]
        )
        for _ in range(100):
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            except ConnectionRefusedError:
                time.sleep(0.1)
        raise AssertionError("it does not listen")

    def stop(self) -> None:
        if self.process is not None:
            self.process.send_signal(signal.SIGTERM)
            assert self.process.wait(10) == 0
            self.process = None

    def ask(self, method: str, path: str, body: bytes | None = None) -> http.client.HTTPResponse:
        with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)) as connection:
            connection.request(method, path, body)
            answer = connection.getresponse()
            answer.text = answer.read()  # type: ignore[attr-defined]
            return answer

    def put(self, name: str, body: bytes, *, size: int | None = None) -> int:
        return self.ask("PUT", f"/upload/{name}?v={signature(name, size or len(body))}", body).status

    def get(self, name: str) -> tuple[int, bytes]:
        answer = self.ask("GET", f"/upload/{name}")
        return answer.status, answer.text  # type: ignore[attr-defined]


def signature(name: str, size: int) -> str:
    words = f"{name.partition('/')[2]} {size}"
    return hmac.new(SECRET.encode(), words.encode(), hashlib.sha256).hexdigest()


def free_ports() -> tuple[int, int]:
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as two:
        return one.getsockname()[1], two.getsockname()[1]


@contextmanager
def keepers(tmp_path: Path) -> Iterator[tuple[Keeper, Keeper]]:
    first, second = free_ports()
    pair = Keeper(first, second, tmp_path / "one"), Keeper(second, first, tmp_path / "two")
    try:
        for keeper in pair:
            keeper.root.mkdir()
            keeper.start()
        yield pair
    finally:
        for keeper in pair:
            keeper.stop()


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[tuple[Keeper, Keeper]]:
    with keepers(tmp_path) as pair:
        yield pair


def test_a_file_is_on_the_other_host_when_the_sender_is_answered(pair: tuple[Keeper, Keeper]) -> None:
    """On its disk, before anybody asked for it."""
    assert pair[0].put(NAME, b"content") == 201
    assert (pair[1].root / "files" / NAME).read_bytes() == b"content"
    assert pair[1].get(NAME) == (200, b"content")


def test_a_host_that_was_down_gets_the_file_from_the_other(pair: tuple[Keeper, Keeper]) -> None:
    """The sender does not wait for it."""
    pair[1].stop()
    started = time.monotonic()
    assert pair[0].put(NAME, b"content") == 201
    assert time.monotonic() - started < 3
    pair[1].start()
    assert not (pair[1].root / "files" / NAME).exists()
    assert pair[1].get(NAME) == (200, b"content")
    assert (pair[1].root / "files" / NAME).read_bytes() == b"content"


def test_a_file_that_nobody_has_is_not_found(pair: tuple[Keeper, Keeper]) -> None:
    """The two do not ask each other for ever."""
    assert pair[0].get("hab.la/a/b/c")[0] == 404


@pytest.mark.parametrize(
    ("name", "body", "size", "status"),
    [
        (NAME, b"x" * 1000, 1000, 201),
        (NAME, b"x" * 1001, 1001, 413),
        (NAME, b"other size", 5, 403),
        ("hab.la/../../etc/passwd", b"x", 1, 404),
        ("hab.la/a/.hidden/c", b"x", 1, 404),
        ("hab.la/a/b", b"x", 1, 404),
        ("hab.la/a/b/c/d", b"x", 1, 404),
    ],
)
def test_only_what_ejabberd_signed_is_taken(
    pair: tuple[Keeper, Keeper], name: str, body: bytes, size: int, status: int
) -> None:
    """With that size, and at a place below the directory."""
    assert pair[0].put(name, body, size=size) == status


def test_nobody_writes_a_file_twice(pair: tuple[Keeper, Keeper]) -> None:
    """The first content stays."""
    assert [pair[0].put(NAME, b"one"), pair[1].put(NAME, b"two")] == [201, 409]
    assert pair[1].get(NAME) == (200, b"one")


def test_a_file_beyond_the_bound_is_refused_until_old_ones_are_gone(pair: tuple[Keeper, Keeper]) -> None:
    """With the status for no room, and the connection closed."""
    assert pair[0].put("hab.la/a/b/one", b"x" * 1000) == 201
    assert pair[0].put("hab.la/a/b/two", b"x" * 501) == 507
    assert pair[0].put("hab.la/a/b/three", b"x" * 500) == 201


def test_a_sender_who_hangs_up_leaves_nothing(pair: tuple[Keeper, Keeper]) -> None:
    """Neither a part of a file nor a part of the bound."""
    for _ in range(2):
        with socket.create_connection(("127.0.0.1", pair[0].port), 5) as connection:
            head = f"PUT /upload/{NAME}?v={signature(NAME, 900)} HTTP/1.1\r\nHost: a\r\n"
            connection.sendall(f"{head}Content-Length: 900\r\n\r\nhalf".encode())
    time.sleep(0.5)
    assert [path for path in (pair[0].root / "files").rglob("*") if path.is_file()] == []
    assert pair[0].put(NAME, b"x" * 900) == 201


def test_a_browser_shows_pictures_and_only_saves_the_rest(pair: tuple[Keeper, Keeper]) -> None:
    """A page that a user sent must not run as a page of the website."""
    for name, shown in (("a.png", True), ("a.html", False), ("a.svg", False), ("a", False)):
        path = f"hab.la/a/{name}/{name}"
        assert pair[0].put(path, b"x") == 201
        headers = pair[0].ask("GET", f"/upload/{path}").headers
        assert (headers["Content-Disposition"] is None) == shown
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Content-Security-Policy"] == "default-src 'none'"
        assert headers["Access-Control-Allow-Origin"] == "*"


def test_pages_are_served_beside_the_files(pair: tuple[Keeper, Keeper]) -> None:
    """HEAD and OPTIONS too; other paths are not found."""
    answer = pair[0].ask("GET", "/.well-known/host-meta")
    assert (answer.status, answer.headers["Content-Type"]) == (200, "application/xrd+xml")
    assert answer.text == b"<XRD/>"  # type: ignore[attr-defined]
    assert pair[0].ask("HEAD", "/.well-known/host-meta").headers["Content-Length"] == "6"
    assert "PUT" in pair[0].ask("OPTIONS", f"/upload/{NAME}").headers["Access-Control-Allow-Methods"]
    assert [pair[0].ask("GET", path).status for path in ("/", "/upload/", "/other")] == [404] * 3


def test_old_files_go_and_make_room(tmp_path: Path) -> None:
    """With the directories that they leave empty."""
    upload = {"directory": str(tmp_path), "secret": SECRET, "bytes": 10, "days": 2, "peers": [], "path": "/u"}
    for name, age in (("a/b/c/old", 3), ("a/b/c/new", 1), ("d/e/f/old", 3)):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"12345")
        os.utime(path, (time.time() - age * 86400,) * 2)
    store = Store(upload)
    assert store.used == 15
    store.expire()
    assert store.used == 5
    assert sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()) == [
        "a/b/c/new"
    ]
    assert not (tmp_path / "d").exists()


def test_a_config_that_changes_is_taken_in_without_a_restart(pair: tuple[Keeper, Keeper]) -> None:
    """A peer that left is asked no more, and an upload that is under way goes on."""
    process = pair[0].process
    assert process is not None
    with socket.create_connection(("127.0.0.1", pair[0].port), 5) as connection:
        head = f"PUT /upload/{NAME}?v={signature(NAME, 4)} HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n"
        connection.sendall(f"{head}ha".encode())
        config = json.loads(pair[0].config.read_text())
        config["upload"]["peers"] = []
        config["pages"] = {"/new": {"type": "text/plain", "text": "new"}}
        pair[0].config.write_text(json.dumps(config))
        process.send_signal(signal.SIGHUP)
        for _ in range(50):
            if pair[0].ask("GET", "/new").status == 200:
                break
            time.sleep(0.1)
        connection.sendall(b"lf")
        assert connection.recv(100).startswith(b"HTTP/1.1 201")
    assert pair[0].get(NAME) == (200, b"half")
    assert process.poll() is None
