"""The live chat: a visitor in a real browser, without an account, and an operator with a Jabber client."""

from __future__ import annotations

import http.client
import json
import math
import struct
import time
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from chat_page import ChatPage
from clients import FRONT, Program
from fleet import STABLE, Fleet
from hosts import wait_for
from pace import Pace

pytestmark = pytest.mark.lab

OPERATOR, PASSWORD = "support", "secret"
# Seconds within which both go on after a node was lost.
GOES_ON = 10.0


@dataclass
class Chat:
    """A conversation. room: its address, once there is one."""

    fleet: Fleet
    page: ChatPage
    operator: Program
    room: str = ""

    def log_in(self) -> None:
        """The operator, who is told where the fleet is."""
        since = len(self.operator.events)
        self.operator.tell(do="login", user=OPERATOR, password=PASSWORD, address=FRONT)
        self.operator.expect(20, since, event="online")

    def log_out(self) -> None:
        """The operator goes home."""
        since = len(self.operator.events)
        self.operator.tell(do="logout")
        self.operator.expect(10, since, event="offline")

    def begin(self, words: str) -> None:
        """The visitor writes first, which opens the chat."""
        self.page.open()
        self.page.write(words)
        view = self.page.expect(15, state="joined", pending=[])
        assert view.chat is not None
        self.room = view.chat["room"]

    def say(self, words: str) -> None:
        """The operator writes."""
        self.operator.tell(do="say", room=self.room, body=words)

    def heard(self) -> list[tuple[str, str]]:
        """The messages of the room that the operator got: nick and words.

        A visitor who came back may be ``Visitor 2`` while the room still believes in the first one.
        """
        self.operator.check()
        return [
            (event["nick"].split()[0], event["body"])
            for event in self.operator.events
            if event["event"] == "heard" and event["room"] == self.room
        ]

    def node(self, nick: str) -> str:
        """The host that has the session of an occupant of the room."""
        name, service = self.room.split("@")

        def found() -> str:
            host = next(host for host in STABLE if _is_up(self.fleet, host))
            occupants = self.fleet.ssh(host, f"ejabberdctl get_room_occupants {name} {service}").splitlines()
            address = next((line.split("\t")[0] for line in occupants if line.split("\t")[1] == nick), None)
            lines = self.fleet.ssh(host, "ejabberdctl connected_users_info").splitlines()
            fields = next((line.split("\t") for line in lines if line.split("\t")[0] == address), [])
            return next((field.split("@")[1] for field in fields if field.startswith("ejabberd@")), "")

        return str(wait_for(found, 15, f"a session of {nick}"))

    def part(self, seconds: float = 20.0) -> str:
        """Have visitor and operator on different nodes; the visitor's."""
        theirs = self.node("Visitor")
        for _ in Pace(rate=1, most=math.ceil(seconds)):
            if self.node(OPERATOR) != theirs:
                return theirs
            since = len(self.operator.events)
            self.log_out()
            self.log_in()
            self.operator.expect(10, since, event="joined", room=self.room)
        raise AssertionError(f"both on {theirs} for {seconds} s")


def _is_up(fleet: Fleet, host: str) -> bool:
    return fleet.lab.ssh(host, "ejabberdctl status").returncode == 0


def _request(fleet: Fleet, method: str, path: str, **more: Any) -> tuple[int, bytes]:
    """A request of somebody outside, with headers and bytes of its own."""
    connection = http.client.HTTPConnection(
        "127.0.0.1", fleet.lab.hosts["front1"]["forwards"]["www"], timeout=30
    )
    headers = {"Host": "www.hab.la", **more.get("headers", {})}
    try:
        connection.request(method, path, more.get("body"), headers)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def _path(url: str) -> str:
    assert url.startswith("http://www.hab.la/upload/"), url
    return url.removeprefix("http://www.hab.la")


@pytest.fixture(params=["websocket", "bosh"])
def chat(fleet: Fleet, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Chat]:
    """A browser and an operator's client; the operator is not yet logged in. All else is forgotten."""
    if f"{OPERATOR}" not in fleet.ssh(STABLE[0], "ejabberdctl registered_users hab.la").split():
        fleet.ssh(STABLE[0], f"ejabberdctl register {OPERATOR} hab.la {PASSWORD}")
    query = "" if request.param == "websocket" else "?transport=bosh"
    page = ChatPage(fleet.lab.hosts["front1"]["forwards"], query=query, profile=tmp_path / "profile")
    with page, fleet.program("chat_operator.py") as operator:
        yield Chat(fleet, page, operator)


def test_a_visitor_and_an_operator_talk(chat: Chat, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """Words and files go both ways between two nodes, both see them again later, and a transcript is kept."""
    chat.log_in()
    chat.begin("Hello, is anybody there?")
    chat.operator.expect(10, event="invited", room=chat.room)
    chat.operator.expect(10, event="heard", room=chat.room, nick="Visitor", body="Hello, is anybody there?")
    assert (
        chat.page.expect(10, status=f"{OPERATOR} is here").transport == request.node.callspec.params["chat"]
    )
    node = chat.part()
    assert {node, chat.node(OPERATOR)} == set(STABLE)
    chat.say("Yes! What can I do for you? <b>&amp;</b> 🌍")
    messages = [("me", "Hello, is anybody there?"), (OPERATOR, "Yes! What can I do for you? <b>&amp;</b> 🌍")]
    chat.page.expect(10, messages=messages)
    # Both come back: the page is loaded anew, and another client of the operator knows nothing yet.
    chat.page.reload()
    chat.page.expect(15, state="joined", messages=messages)
    with chat.fleet.program("chat_operator.py") as other:
        other.tell(do="login", user=OPERATOR, password=PASSWORD, address=FRONT, rooms=[chat.room])
        for nick, body in (("Visitor", messages[0][1]), messages[1]):
            other.expect(15, event="heard", room=chat.room, nick=nick, body=body)
    _exchange_files(chat, tmp_path)
    chat.page.save(tmp_path / "chat.png")
    view = chat.page.view()
    chat.page.end_chat()
    chat.page.expect(10, state="ended")
    assert view.chat is not None
    headers = {"Authorization": f"Bearer {view.chat['token']}"}
    path = f"/rpc/chat/{chat.room.split('@')[0]}"
    status, body = _request(chat.fleet, "GET", path, headers=headers)
    transcript = json.loads(body)
    said = [(message["sender"].split()[0], message["text"]) for message in transcript["messages"]]
    assert status == 200 and transcript["closed"] and said == chat.heard() and len(said) == 4
    assert _request(chat.fleet, "GET", path)[0] == 403
    assert chat.room not in chat.fleet.ssh(STABLE[0], "ejabberdctl muc_online_rooms global")
    assert chat.page.console() == []


def _png(width: int, height: int) -> bytes:
    """A picture of a colour that goes from blue to orange."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    row = b"\0" + b"".join(bytes((255 * x // width, 140, 255 - 255 * x // width)) for x in range(width))
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    parts = (chunk(b"IHDR", head), chunk(b"IDAT", zlib.compress(row * height)), chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def _exchange_files(chat: Chat, tmp_path: Path) -> None:
    """The visitor sends a picture, the operator a text."""
    picture = tmp_path / "a picture.png"
    picture.write_bytes(_png(160, 90))
    since = len(chat.operator.events)
    chat.page.attach(picture)
    told = wait_for(
        lambda: next((e for e in chat.operator.events[since:] if e["event"] == "heard" and e["url"]), None),
        15,
    )
    assert told["body"] == told["url"]
    assert _request(chat.fleet, "GET", _path(told["url"])) == (200, picture.read_bytes())
    chat.page.expect(10, pictures=[160])
    text = b"the answer\n" * 10
    chat.operator.tell(
        do="upload",
        room=chat.room,
        service="upload.hab.la",
        name="answer.txt",
        size=len(text),
        type="text/plain",
    )
    slot = chat.operator.expect(15, event="slot")
    headers = {"Content-Type": "text/plain", **slot["headers"]}
    status, _ = _request(chat.fleet, "PUT", _path(slot["put"]), body=text, headers=headers)
    assert status == 201
    chat.operator.tell(do="share", room=chat.room, url=slot["get"])
    view = chat.page.expect(10, links=[told["url"], slot["get"]])
    assert [words for _, words in view.messages[-2:]] == ["", "answer.txt"]
    assert chat.page.fetch(_path(slot["get"])) == (200, len(text))


def test_an_operator_who_was_away_finds_the_chat(chat: Chat) -> None:
    """The visitor writes while nobody is there; the operator gets invitation and words at the next login."""
    chat.begin("Anybody?")
    chat.page.write("I can wait.")
    view = chat.page.expect(10, messages=[("me", "Anybody?"), ("me", "I can wait.")])
    assert view.status == "An operator will be with you. You can already write."
    chat.log_in()
    for body in ("Anybody?", "I can wait."):
        chat.operator.expect(15, event="heard", room=chat.room, nick="Visitor", body=body)
    chat.say("Here I am.")
    chat.page.expect(10, messages=[*view.messages, (OPERATOR, "Here I am.")])
    assert chat.page.console() == []


@pytest.mark.parametrize("whose", ["visitor", "operator"])
def test_a_chat_goes_on_when_a_node_dies(chat: Chat, whose: str) -> None:
    """ejabberd is killed on the node of one of the two: both go on, and each message arrives once."""
    chat.log_in()
    chat.begin("one")
    chat.operator.expect(10, event="heard", room=chat.room, body="one")
    chat.page.expect(10, status=f"{OPERATOR} is here")
    visitors = chat.part()
    node = visitors if whose == "visitor" else next(host for host in STABLE if host != visitors)
    try:
        chat.fleet.ssh(node, "systemctl kill --signal=KILL ejabberd")
        killed = time.monotonic()
        chat.page.write("two")
        chat.operator.expect(GOES_ON, event="heard", room=chat.room, body="two")
        heard = time.monotonic() - killed
        chat.say("three")
        view = chat.page.expect(GOES_ON, messages=[("me", "one"), ("me", "two"), (OPERATOR, "three")])
        seen = time.monotonic() - killed
        print(
            f"{view.transport}, {whose}'s node killed: heard after {heard:.1f} s, answer after {seen:.1f} s"
        )
        assert seen < GOES_ON
        # Whatever is sent again comes within the next seconds.
        time.sleep(4)
        assert chat.page.view().messages == view.messages
        assert chat.heard() == [("Visitor", "one"), ("Visitor", "two"), (OPERATOR, "three")]
    finally:
        chat.fleet.ssh(node, "systemctl start ejabberd")
        for host in STABLE:
            wait_for(lambda host=host: _nodes(chat.fleet, host) == len(STABLE), 90, "the cluster")


def _nodes(fleet: Fleet, host: str) -> int:
    """How many nodes the cluster has, as one of them says."""
    return len(fleet.lab.ssh(host, "ejabberdctl list_cluster").stdout.split())
