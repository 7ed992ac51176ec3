"""Hab.la's RPC server: JSON-RPC 2.0 at POST /rpc, over MySQL, memcached and memqd. Chats: see chats.py.

    curl http://www.hab.la/rpc -d '{"jsonrpc": "2.0", "id": 1, "method": "system.hosts"}'

chat.send {from, to, text}          stores a message and queues its delivery
chat.history {user, with?, limit?}  the newest messages of a user, or of two users with each other
queue.stats                         the counters of the delivery queue
queue.take                          the next delivery, removed from the queue, or null
system.hosts                        the hosts that serve RPC, as they reported within the last 30 s
"""

from __future__ import annotations

import hashlib
import json
import sys
import threading
import time
from typing import Any

import chats
import operators
from database import Database
from http_app import HOST, Answer, BackendError, HttpError, Request, health, json_answer, serve
from memcached import Memcached
from memqd import Memqd

PARSE_ERROR, INVALID_REQUEST, NO_METHOD, INVALID_PARAMS, BACKEND = -32700, -32600, -32601, -32602, -32000
MAX_BATCH, MAX_TEXT, MAX_USER, MAX_LIMIT = 50, 4000, 100, 200
# A cached history that missed its end, because memcached could not be told, is wrong for so many seconds.
CACHE_SECONDS, GENERATION_SECONDS = 60, 3600
BEAT_SECONDS, GONE_SECONDS = 10, 30

database = Database(
    "CREATE TABLE IF NOT EXISTS rpc_messages (id BIGINT AUTO_INCREMENT PRIMARY KEY,"
    f" sender VARCHAR({MAX_USER}) NOT NULL, recipient VARCHAR({MAX_USER}) NOT NULL, text TEXT NOT NULL,"
    " host VARCHAR(64) NOT NULL, sent TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,"
    " INDEX (sender, id), INDEX (recipient, id))",
    "CREATE TABLE IF NOT EXISTS rpc_hosts (host VARCHAR(64) PRIMARY KEY, seen BIGINT NOT NULL)",
)
cache = Memcached()
queue = Memqd("chat")


class RpcError(Exception):
    """Becomes the error object of an answer."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


def chat_send(params: dict[str, Any]) -> dict[str, Any]:
    sender, recipient = _text(params, "from", MAX_USER), _text(params, "to", MAX_USER)
    text = _text(params, "text", MAX_TEXT)
    with database.transaction() as cursor:
        cursor.execute(
            "INSERT INTO rpc_messages (sender, recipient, text, host) VALUES (%s, %s, %s, %s)",
            (sender, recipient, text, HOST),
        )
        number = cursor.lastrowid
        # Within the transaction: no message is stored whose delivery was not queued.
        queue.put(json.dumps({"id": number, "from": sender, "to": recipient}).encode())
    for user in {sender, recipient}:
        try:
            cache.increment(_generation_key(user))
        except BackendError as error:
            print(f"history of {user!r} may be {CACHE_SECONDS} s old: {error}", file=sys.stderr, flush=True)
    return {"id": number, "host": HOST}


def chat_history(params: dict[str, Any]) -> dict[str, Any]:
    user = _text(params, "user", MAX_USER)
    other = _text(params, "with", MAX_USER) if "with" in params else None
    limit = params.get("limit", 20)
    if not isinstance(limit, int) or isinstance(limit, bool) or not 1 <= limit <= MAX_LIMIT:
        raise RpcError(INVALID_PARAMS, f"limit is a number from 1 to {MAX_LIMIT}")
    key = None
    try:
        # Each message starts a new generation of its users' histories; what was cached before is not asked
        # for again, not even when a slow reader stores it late.
        key = f"rpc:history:{_generation(user)}:{_digest([user, other, limit])}"
        kept = cache.get(key)
        if kept is not None:
            return {"messages": json.loads(kept), "cached": True, "host": HOST}
    except BackendError as error:
        print(f"history without a cache: {error}", file=sys.stderr, flush=True)
    messages = _history(user, other, limit)
    if key is not None:
        try:
            cache.set(key, json.dumps(messages).encode(), CACHE_SECONDS)
        except BackendError as error:
            print(f"history not cached: {error}", file=sys.stderr, flush=True)
    return {"messages": messages, "cached": False, "host": HOST}


def _history(user: str, other: str | None, limit: int) -> list[dict[str, Any]]:
    columns = "id, sender, recipient, text, host, UNIX_TIMESTAMP(sent)"
    if other is None:
        where, values = "sender = %s OR recipient = %s", (user, user)
    else:
        where = "(sender = %s AND recipient = %s) OR (sender = %s AND recipient = %s)"
        values = (user, other, other, user)
    with database.transaction() as cursor:
        cursor.execute(
            f"SELECT {columns} FROM rpc_messages WHERE {where} ORDER BY id DESC LIMIT %s", (*values, limit)
        )
        names = ("id", "from", "to", "text", "host", "sent")
        return [dict(zip(names, row)) for row in reversed(cursor.fetchall())]  # noqa: B905 (Python 3.9)


def _generation(user: str) -> str:
    key = _generation_key(user)
    value = cache.get(key)
    if value is None:
        # From the clock, so that a generation that memcached forgot is never used again.
        cache.add(key, str(time.time_ns() // 1000).encode(), GENERATION_SECONDS)
        value = cache.get(key) or b"0"
    return f"{_digest(user)}:{value.decode()}"


def _generation_key(user: str) -> str:
    return f"rpc:generation:{_digest(user)}"


def _digest(value: object) -> str:
    """Users may have any name, keys of memcached may not."""
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()[:32]


def queue_stats(params: dict[str, Any]) -> dict[str, Any]:
    return {"host": HOST, "jobs": queue.stats()}


def queue_take(params: dict[str, Any]) -> dict[str, Any]:
    job = queue.take()
    return {"host": HOST, "job": None if job is None else json.loads(job)}


def system_hosts(params: dict[str, Any]) -> dict[str, Any]:
    _beat()
    with database.transaction() as cursor:
        cursor.execute(
            "SELECT host FROM rpc_hosts WHERE seen > UNIX_TIMESTAMP() - %s ORDER BY host", (GONE_SECONDS,)
        )
        return {"host": HOST, "hosts": [row[0] for row in cursor.fetchall()]}


METHODS = {
    "chat.send": chat_send,
    "chat.history": chat_history,
    "queue.stats": queue_stats,
    "queue.take": queue_take,
    "system.hosts": system_hosts,
}


def _text(params: dict[str, Any], name: str, longest: int) -> str:
    value = params.get(name)
    if not isinstance(value, str) or not 0 < len(value) <= longest:
        raise RpcError(INVALID_PARAMS, f"{name} is a text of 1 to {longest} characters")
    return value


def call(request: object) -> dict[str, Any] | None:
    """The response object of one request object; None for a notification."""
    number = None
    try:
        if not isinstance(request, dict) or request.get("jsonrpc") != "2.0":
            raise RpcError(INVALID_REQUEST, 'a request is an object with "jsonrpc": "2.0"')
        number = request.get("id")
        if isinstance(number, (dict, list, bool)):
            number = None
            raise RpcError(INVALID_REQUEST, "id is a text, a number or null")
        name, params = request.get("method"), request.get("params", {})
        if not isinstance(name, str) or not isinstance(params, (dict, list)):
            raise RpcError(INVALID_REQUEST, "method is a text, params an object")
        if name not in METHODS:
            raise RpcError(NO_METHOD, f"no method {name}; there are {', '.join(sorted(METHODS))}")
        if isinstance(params, list):
            raise RpcError(INVALID_PARAMS, "params have names here")
        response = {"jsonrpc": "2.0", "id": number, "result": METHODS[name](params)}
    except RpcError as error:
        if error.code == INVALID_REQUEST:
            return _error(number, error.code, str(error))
        response = _error(number, error.code, str(error))
    except BackendError as error:
        print(f"{error}", file=sys.stderr, flush=True)
        response = _error(number, BACKEND, str(error))
    return response if "id" in request else None


def _error(number: object, code: int, message: str) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": number, "error": {"code": code, "message": message}}


def answer(request: Request) -> Answer:
    """POST /rpc, GET /rpc/health and all of /rpc/chat."""
    if request.path == "/rpc/health":
        return health({"mysql": database.check, "memcached": cache.check, "memqd": queue.check})
    if request.path == "/rpc/chat" or request.path.startswith("/rpc/chat/"):
        return chats.answer(request)
    if request.path.rstrip("/") != "/rpc":
        raise HttpError(404, f"nothing at {request.path}; there are /rpc, /rpc/chat and /rpc/health")
    if request.method != "POST":
        raise HttpError(405, "JSON-RPC 2.0 is sent with POST")
    try:
        document = json.loads(request.body)
    except ValueError as error:
        return json_answer(_error(None, PARSE_ERROR, f"no JSON: {error}"))
    if not isinstance(document, list):
        response = call(document)
        return Answer(204) if response is None else json_answer(response)
    if not 0 < len(document) <= MAX_BATCH:
        return json_answer(_error(None, INVALID_REQUEST, f"a batch has 1 to {MAX_BATCH} requests"))
    responses = [response for response in map(call, document) if response is not None]
    return json_answer(responses) if responses else Answer(204)


def _beat() -> None:
    with database.transaction() as cursor:
        cursor.execute(
            "INSERT INTO rpc_hosts (host, seen) VALUES (%s, UNIX_TIMESTAMP())"
            " ON DUPLICATE KEY UPDATE seen = VALUES(seen)",
            (HOST,),
        )


def _beat_for_ever() -> None:
    while True:
        try:
            _beat()
            chats.close_stale()
            operators.make_accounts()
        except BackendError as error:
            print(f"something is not done yet: {error}", file=sys.stderr, flush=True)
        time.sleep(BEAT_SECONDS)


if __name__ == "__main__":
    threading.Thread(target=_beat_for_ever, daemon=True).start()
    serve(answer, quiet="/rpc/health")
