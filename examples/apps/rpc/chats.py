"""Chats of visitors with operators: each is a room of Jabber, and a transcript in MySQL at its end.

POST /rpc/chat              opens a room and invites the operators: {"room", "token", "domain", "upload"}
POST /rpc/chat/NAME/close   stores the transcript and removes the room
GET  /rpc/chat/NAME         the transcript

NAME is the room's name without its domain. The last two need ``Authorization: Bearer TOKEN``; only the one
who opened the chat has the token. The name of a room lets people in, because no list has it and nobody can
guess it.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import secrets
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from datetime import datetime, timezone
from typing import Any

import room_archive
from database import Database
from http_app import HOST, Answer, BackendError, HttpError, Request, json_answer
from jabber_api import CommandError, JabberApi
from memcached import Memcached
from room_archive import Message

DOMAIN = os.environ.get("JABBER_DOMAIN", "hab.la")
OPERATORS = os.environ.get("JABBER_OPERATORS", "")
# What may be opened from one address, so that no visitor can fill Jabber with rooms.
MOST_A_MINUTE = 30
# Visitors go away without a word. Their chats are closed after a day, a few at a time.
STALE_SECONDS, STALE_AT_ONCE = 24 * 3600, 5

NAME = re.compile(r"chat-[0-9a-f]{32}")
PATH = re.compile(r"/rpc/chat/([^/]+)(/close)?")
# Room options, as ejabberd's API wants them. The archive is what the transcript is made from.
OPTIONS = {
    "persistent": "true",
    "public": "false",
    "mam": "true",
    "members_only": "false",
    "anonymous": "true",
    "allow_change_subj": "false",
    "allow_user_invites": "false",
}

database = Database(
    "CREATE TABLE IF NOT EXISTS rpc_chats (name VARCHAR(40) PRIMARY KEY, token BINARY(32) NOT NULL,"
    " host VARCHAR(64) NOT NULL, opened BIGINT NOT NULL, closed BIGINT, INDEX (closed, opened))",
    "CREATE TABLE IF NOT EXISTS rpc_chat_messages (chat VARCHAR(40) NOT NULL, id VARCHAR(64) NOT NULL,"
    " sender VARCHAR(255) NOT NULL, text MEDIUMTEXT NOT NULL, sent VARCHAR(40) NOT NULL,"
    " PRIMARY KEY (chat, id))",
)
cache = Memcached()
jabber = JabberApi()
# Ways to write several accounts as an argument.
_forms: list[Callable[[list[str]], object]] = [":".join, list]


def answer(request: Request) -> Answer:
    """All of /rpc/chat."""
    if request.path.rstrip("/") == "/rpc/chat":
        if request.method != "POST":
            raise HttpError(405, "a chat is opened with POST")
        return json_answer(_open(request), 201)
    found = PATH.fullmatch(request.path)
    if found is None or not NAME.fullmatch(found[1]):
        raise HttpError(
            404, f"nothing at {request.path}; a chat is at /rpc/chat/NAME and /rpc/chat/NAME/close"
        )
    name, closing = found[1], bool(found[2])
    if request.method != ("POST" if closing else "GET"):
        raise HttpError(405, "a chat is read with GET and closed with POST")
    _, _, token = request.headers.get("authorization", "").partition(" ")
    chat = _chat(name, token)
    if closing and chat["closed"] is None:
        _close(name)
        chat = _chat(name, token)
    return json_answer({"host": HOST, **chat, "messages": _transcript(name, chat["closed"] is not None)})


def close_stale() -> None:
    """Close chats that were opened a day ago; each host may do so. A chat that fails is tried again later."""
    with database.transaction() as cursor:
        cursor.execute(
            "SELECT name FROM rpc_chats WHERE closed IS NULL AND opened < %s ORDER BY opened LIMIT %s",
            (_now() - STALE_SECONDS, STALE_AT_ONCE),
        )
        names = [row[0] for row in cursor.fetchall()]
    for name in names:
        try:
            _close(name)
        except BackendError as error:
            print(f"{name} is not closed yet: {error}", file=sys.stderr, flush=True)


def _open(request: Request) -> dict[str, Any]:
    # HAProxy adds the address that it saw at the end.
    client = request.headers.get("x-forwarded-for", "").split(",")[-1].strip()
    if not _may_open(client):
        raise HttpError(429, "too many chats were opened from your address; wait a minute")
    name, token = f"chat-{secrets.token_hex(16)}", secrets.token_urlsafe(32)
    title = f"Visitor, {datetime.now(timezone.utc):%Y-%m-%d %H:%M} UTC"  # noqa: UP017 (Python 3.9)
    options = [{"name": key, "value": value} for key, value in {**OPTIONS, "title": title}.items()]
    # First, so that there is no room that nobody would ever remove, whatever fails from here on.
    with database.transaction() as cursor:
        cursor.execute(
            "INSERT INTO rpc_chats (name, token, host, opened) VALUES (%s, %s, %s, %s)",
            (name, _hash(token), HOST, _now()),
        )
    service = f"conference.{DOMAIN}"
    jabber.call("create_room_with_opts", name=name, service=service, host=DOMAIN, options=options)
    _invite(name)
    return {
        "room": f"{name}@{service}",
        "token": token,
        "domain": f"visitors.{DOMAIN}",
        "upload": f"upload.{DOMAIN}",
        "host": HOST,
    }


def _invite(name: str) -> None:
    """Tell the operators. Those who are away find the invitation later."""
    users = [operator.strip() for operator in OPERATORS.split(",") if operator.strip()]
    if not users:
        return
    invitation = {
        "name": name,
        "service": f"conference.{DOMAIN}",
        "password": "",
        "reason": "A visitor of the website wants to chat",
    }
    # ejabberd 23.01 takes one text, later releases a list. The form that was right is the first next time.
    forms = tuple(_forms)
    for form in forms:
        try:
            jabber.call("send_direct_invitation", **invitation, users=form(users))
        except CommandError:
            if form is forms[-1]:
                raise
        else:
            _forms.sort(key=lambda known: known is not form)
            return


def _close(name: str) -> None:
    """Store the transcript, remove the room and mark the chat. After a failure, the next close goes on."""
    service = f"conference.{DOMAIN}"
    try:
        found = room_archive.messages(f"{name}@{service}", f"visitors.{DOMAIN}")
    except room_archive.NoSuchRoom:
        found = []
    with database.transaction() as cursor:
        for message in found:
            cursor.execute(
                "INSERT IGNORE INTO rpc_chat_messages (chat, id, sender, text, sent)"
                " VALUES (%s, %s, %s, %s, %s)",
                (name, message.id, message.sender, message.text, message.sent),
            )
    try:
        jabber.call("destroy_room", name=name, service=service)
    except CommandError as error:
        if error.status in (401, 403):
            raise
        # There is no such room: an earlier attempt removed it.
        print(f"{name}: {error}", file=sys.stderr, flush=True)
    with database.transaction() as cursor:
        cursor.execute("UPDATE rpc_chats SET closed = %s WHERE name = %s", (_now(), name))


def _transcript(name: str, closed: bool) -> list[dict[str, str]]:
    if not closed:
        return list(map(asdict, room_archive.messages(f"{name}@conference.{DOMAIN}", f"visitors.{DOMAIN}")))
    with database.transaction() as cursor:
        cursor.execute(
            "SELECT id, sender, text, sent FROM rpc_chat_messages WHERE chat = %s ORDER BY sent, id", (name,)
        )
        return [asdict(Message(*row)) for row in cursor.fetchall()]


def _chat(name: str, token: str) -> dict[str, Any]:
    """Check the token. Without it the answer does not even tell whether there is such a chat."""
    with database.transaction() as cursor:
        cursor.execute("SELECT token, opened, closed FROM rpc_chats WHERE name = %s", (name,))
        row = cursor.fetchone()
    kept, opened, closed = row or (b"", 0, None)
    if not hmac.compare_digest(bytes(kept), _hash(token)):
        raise HttpError(403, "the token of this chat is needed: Authorization: Bearer TOKEN")
    return {"name": name, "opened": opened, "closed": closed}


def _may_open(client: str) -> bool:
    key = f"rpc:opened:{hashlib.sha256(client.encode()).hexdigest()[:32]}:{_now() // 60}"
    try:
        cache.add(key, b"0", 120)
        cache.increment(key)
        return int(cache.get(key) or 0) <= MOST_A_MINUTE
    except BackendError as error:
        print(f"chats are not counted: {error}", file=sys.stderr, flush=True)
        return True


def _hash(token: str) -> bytes:
    """The digest of a token for the database, so that the table contains no token."""
    return hashlib.sha256(token.encode()).digest()


def _now() -> int:
    return int(time.time())
