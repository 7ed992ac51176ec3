"""Hab.la's status server: who is online, kept in memcached, so that every host gives the same answer.

GET /status/            this host, and everybody who is online
GET /status/USER        one user: {"user", "presence", "text", "since"}
PUT /status/USER        {"presence": "available" | "away" | "busy" | "offline", "text": "at lunch"}
GET /status/health      200 when memcached answers

Presence ends by itself unless it is renewed within five minutes.
"""

from __future__ import annotations

import json
import re
import time
from typing import Any

from http_app import HOST, Answer, HttpError, Request, health, json_answer, serve
from memcached import Memcached

PRESENCES = ("available", "away", "busy", "offline")
SECONDS = 300
MAX_TEXT = 200
# memcached cannot list its keys, so all who are online stand in one value.
KEY = "status:online"
USER = re.compile(r"[A-Za-z0-9._@+-]{1,64}")

cache = Memcached()


def answer(request: Request) -> Answer:
    """All of /status."""
    if request.path == "/status/health":
        return health({"memcached": cache.check})
    user = request.path[len("/status") :].strip("/")
    if not user:
        if request.method != "GET":
            raise HttpError(405, "presence is PUT to /status/USER")
        online = _live(cache.get(KEY))
        return json_answer({"host": HOST, "online": [online[name] for name in sorted(online)]})
    if not USER.fullmatch(user):
        raise HttpError(404, "a user's name has up to 64 letters, digits and . _ @ + -")
    if request.method == "PUT":
        return json_answer({"host": HOST, **_put(user, _presence(request.body))})
    if request.method != "GET":
        raise HttpError(405, "presence is read with GET and set with PUT")
    found = _live(cache.get(KEY)).get(user)
    return json_answer({"host": HOST, **(found or {"user": user, "presence": "offline", "text": ""})})


def _presence(body: bytes) -> dict[str, str]:
    try:
        wanted = json.loads(body)
    except ValueError as error:
        raise HttpError(400, f"no JSON: {error}") from error
    if not isinstance(wanted, dict):
        raise HttpError(400, "presence is a JSON object")
    presence, text = wanted.get("presence"), wanted.get("text", "")
    if presence not in PRESENCES or not isinstance(text, str) or len(text) > MAX_TEXT:
        raise HttpError(
            400, f"presence is one of {', '.join(PRESENCES)}, text has up to {MAX_TEXT} characters"
        )
    return {"presence": presence, "text": text}


def _put(user: str, presence: dict[str, str]) -> dict[str, Any]:
    entry = {"user": user, **presence, "since": int(time.time())}

    def changed(value: bytes | None) -> bytes:
        online = _live(value)
        if presence["presence"] == "offline":
            online.pop(user, None)
        else:
            online[user] = entry
        return json.dumps(online).encode()

    cache.change(KEY, changed, SECONDS)
    return entry


def _live(value: bytes | None) -> dict[str, dict[str, Any]]:
    """user -> entry, without the entries that were not renewed in time."""
    online = json.loads(value) if value else {}
    now = time.time()
    return {name: entry for name, entry in online.items() if entry["since"] > now - SECONDS}


if __name__ == "__main__":
    serve(answer, quiet="/status/health")
