"""Chats of the reference app rpc: rooms in a stand-in for Jabber, transcripts in a real MariaDB."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Iterator
from typing import Any

import pytest
from example_apps import PASSWORD, App, Backends
from fake_jabber import Jabber, fake_jabber
from hosts import wait_for

pytestmark = pytest.mark.slow


@pytest.fixture
def jabber() -> Iterator[Jabber]:
    """A Jabber with no rooms yet."""
    with fake_jabber() as running:
        yield running


@pytest.fixture
def app(backends: Backends, jabber: Jabber) -> Iterator[App]:
    """RPC on stable1, with that Jabber."""
    with backends.app("rpc", **jabber.environment) as running:
        yield running


def _open(app: App, client: str) -> dict[str, str]:
    """A chat that a visitor at that address opened."""
    status, text, _ = app.ask("POST", "/rpc/chat", headers={"X-Forwarded-For": f"spoofed, {client}"})
    assert status == 201, text
    opened: dict[str, str] = json.loads(text)
    return opened


def _ask(app: App, method: str, chat: dict[str, str], *, end: str = "", token: str = "") -> tuple[int, Any]:
    path = f"/rpc/chat/{chat['room'].split('@')[0]}{end}"
    status, text, _ = app.ask(method, path, headers={"Authorization": f"Bearer {token or chat['token']}"})
    return status, json.loads(text)


def _said(transcript: dict[str, Any]) -> list[tuple[str, str]]:
    return [(message["sender"], message["text"]) for message in transcript["messages"]]


def _sql(backends: Backends, statement: str) -> str:
    where = backends.environment
    command = ["mariadb", "--no-defaults", "-h127.0.0.1", f"-P{where['MYSQL_PORT']}", "-uhabla", "-Nbe"]
    return subprocess.run(
        [*command, statement, "habla"],
        env=os.environ | {"MYSQL_PWD": PASSWORD},
        capture_output=True,
        text=True,
        errors="replace",
        check=True,
    ).stdout.strip()


def test_a_chat_is_a_hidden_room_with_an_invitation(app: App, jabber: Jabber) -> None:
    """The second API host does it, since the first is down; no two chats have a name in common."""
    one, other = _open(app, "192.0.2.1"), _open(app, "192.0.2.1")
    assert one["room"] != other["room"] and one["token"] != other["token"]
    assert (one["domain"], one["upload"]) == ("visitors.hab.la", "upload.hab.la")
    name, service = one["room"].split("@")
    assert len(name) == len("chat-") + 32 and service == "conference.hab.la"
    (create, options), (invite, invitation) = jabber.calls[:2]
    assert (create, options["name"], options["host"]) == ("create_room_with_opts", name, "hab.la")
    chosen = {option["name"]: option["value"] for option in options["options"]}
    assert {"persistent": "true", "public": "false", "mam": "true"}.items() <= chosen.items()
    assert (invite, invitation["name"], invitation["users"]) == (
        "send_direct_invitation",
        name,
        "ada@hab.la:bob@hab.la",
    )


def test_newer_releases_take_a_list_of_operators(app: App, jabber: Jabber) -> None:
    """When ejabberd refuses the text with all operators, it gets a list; the next time at once."""
    jabber.lists = True
    _open(app, "192.0.2.2")
    _open(app, "192.0.2.2")
    asked = [arguments["users"] for command, arguments in jabber.calls if command == "send_direct_invitation"]
    accounts = ["ada@hab.la", "bob@hab.la"]
    assert asked == [":".join(accounts), accounts, accounts]


def test_a_room_without_an_invitation_is_not_forgotten(app: App, jabber: Jabber, backends: Backends) -> None:
    """The visitor is told that it did not work. MySQL has the room, so that it is removed after a day."""
    jabber.refuse.add("send_direct_invitation")
    status, text, _ = app.ask("POST", "/rpc/chat")
    assert status == 503 and "403" in text
    (room,) = jabber.rooms
    assert room.split("@")[0] in _sql(backends, "SELECT name FROM rpc_chats WHERE closed IS NULL")


@pytest.mark.parametrize("proxied", [True, False])
def test_the_end_of_a_chat_keeps_its_transcript(
    app: App, jabber: Jabber, backends: Backends, proxied: bool
) -> None:
    """All pages of the archive go to MySQL, the room goes, and the transcript can be read on another host."""
    jabber.proxied, jabber.page = proxied, 2
    jabber.messages = [
        ("Visitor", "Hello <b>"),
        ("ada", "héllo 🌍"),
        ("Visitor", "a\nb"),
        ("ada", "4"),
        ("ada", "5"),
    ]
    chat = _open(app, "192.0.2.3")
    status, transcript = _ask(app, "GET", chat)
    assert status == 200 and transcript["closed"] is None and _said(transcript) == jabber.messages
    status, transcript = _ask(app, "POST", chat, end="/close")
    assert status == 200 and transcript["closed"] and _said(transcript) == jabber.messages
    assert chat["room"] not in jabber.rooms
    assert _ask(app, "POST", chat, end="/close")[1]["messages"] == transcript["messages"]
    with backends.app("rpc", "stable2") as other:
        assert _said(_ask(other, "GET", chat)[1]) == jabber.messages


def test_only_its_visitor_reads_or_closes_a_chat(app: App, jabber: Jabber, backends: Backends) -> None:
    """Without the token nobody learns anything, and MySQL does not have it in the clear."""
    chat = _open(app, "192.0.2.4")
    missing = {"room": f"chat-{'0' * 32}@conference.hab.la", "token": "x"}
    for method, end in (("GET", ""), ("POST", "/close")):
        assert _ask(app, method, chat, end=end, token="wrong")[0] == 403
        assert _ask(app, method, missing, end=end)[0] == 403
    assert chat["room"] in jabber.rooms
    assert chat["token"] not in _sql(backends, "SELECT * FROM rpc_chats")


def test_a_close_that_failed_half_way_is_finished(app: App, jabber: Jabber) -> None:
    """A chat whose room could not be removed stays open; the next attempt ends it, with each message once."""
    jabber.messages = [("Visitor", "Hello"), ("ada", "Hi")]
    chat = _open(app, "192.0.2.5")
    jabber.refuse.add("destroy_room")
    status, answer = _ask(app, "POST", chat, end="/close")
    assert status == 503 and "403" in answer["error"]
    # The second attempt ended after the room was gone, and before MySQL was told.
    jabber.refuse.clear()
    jabber.rooms.remove(chat["room"])
    status, transcript = _ask(app, "POST", chat, end="/close")
    assert status == 200 and transcript["closed"] and _said(transcript) == jabber.messages


def test_chats_of_one_address_are_counted(app: App) -> None:
    """One visitor cannot fill Jabber with rooms; another one may still open a chat."""
    # A minute may end meanwhile, which gives as many again.
    refused = 0
    for _ in range(65):
        status, text, _ = app.ask("POST", "/rpc/chat", headers={"X-Forwarded-For": "192.0.2.6"})
        refused += status == 429
        assert status in (201, 429), text
    assert refused
    _open(app, "192.0.2.7")


def test_a_chat_that_nobody_ends_is_closed_after_a_day(app: App, jabber: Jabber, backends: Backends) -> None:
    """Any host does it, with the transcript kept."""
    jabber.messages = [("Visitor", "Bye")]
    chat = _open(app, "192.0.2.8")
    name = chat["room"].split("@")[0]
    day_ago = int(time.time()) - 25 * 3600
    _sql(backends, f"UPDATE rpc_chats SET closed = 1 WHERE name <> '{name}'")
    _sql(backends, f"UPDATE rpc_chats SET opened = {day_ago} WHERE name = '{name}'")
    with backends.app("rpc", "stable2", **jabber.environment):
        wait_for(lambda: chat["room"] not in jabber.rooms, 15, "the end of the chat")
    assert _said(_ask(app, "GET", chat)[1]) == jabber.messages


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/rpc/chat", 405),
        ("POST", f"/rpc/chat/chat-{'0' * 32}", 405),
        ("GET", f"/rpc/chat/chat-{'0' * 32}/close", 405),
        ("GET", "/rpc/chat/other", 404),
        ("GET", "/rpc/chats", 404),
    ],
)
def test_other_methods_and_paths_are_refused(rpc: App, method: str, path: str, status: int) -> None:
    """A chat is opened and closed with POST, and read with GET."""
    assert rpc.ask(method, path)[0] == status
