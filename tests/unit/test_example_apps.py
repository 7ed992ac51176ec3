"""The reference apps, each as its own process, against real memcached, beanstalkd and MariaDB on loopback."""

from __future__ import annotations

import json
import socket
import struct
import time
from pathlib import Path

import pytest
from example_apps import APPS, PYTHON, App, Backends, free_port, listens, memcached, process
from hosts import wait_for
from pace import Pace

pytestmark = pytest.mark.slow


def test_health_is_good_with_all_backends(rpc: App, web: App) -> None:
    """Health answers 200 when each back end does, and says which."""
    for app, path, names in (
        (rpc, "/rpc/health", {"mysql", "memcached", "memqd"}),
        (web, "/health", {"mysql"}),
    ):
        status, text, headers = app.ask("GET", path)
        assert status == 200 and headers["X-Served-By"] == app.host
        assert json.loads(text)["checks"] == dict.fromkeys(names, "ok")


def test_apps_start_without_backends_and_recover(backends: Backends) -> None:
    """An app starts while its back ends are down, says so with 503, and works once they are there."""
    port = free_port()
    with backends.app("status", MEMCACHED_PORT=str(port)) as status:
        code, text, _ = status.ask("GET", "/status/health")
        assert code == 503 and "Connection refused" in json.loads(text)["checks"]["memcached"]
        assert status.ask("GET", "/status/alice")[0] == 503
        with memcached(port):
            assert status.ask("GET", "/status/health")[0] == 200
        assert status.ask("GET", "/status/health")[0] == 503
        with memcached(port):
            assert status.ask("GET", "/status/alice")[0] == 200


@pytest.mark.parametrize("down", ["MYSQL", "MEMCACHED", "MEMQD"])
def test_rpc_health_names_the_backend_that_is_down(backends: Backends, down: str) -> None:
    """With one of three down, health is 503 and blames that one."""
    with backends.app("rpc", **{f"{down}_PORT": str(free_port())}) as app:
        status, text, _ = app.ask("GET", "/rpc/health")
        checks = json.loads(text)["checks"]
        assert status == 503 and [name for name, how in checks.items() if how != "ok"] == [down.lower()]


def test_silent_backend_does_not_hold_health_up(backends: Backends) -> None:
    """A back end that accepts and says nothing is a failed check within HAProxy's two seconds."""
    with (
        socket.create_server(("127.0.0.1", 0)) as silent,
        backends.app("rpc", MEMQD_PORT=str(silent.getsockname()[1])) as app,
    ):
        started = time.monotonic()
        assert app.ask("GET", "/rpc/health")[0] == 503
        assert time.monotonic() - started < 2


def test_message_is_stored_queued_and_cached(rpc: App) -> None:
    """A message appears in the history, first from MySQL, then from memcached, and as a job in memqd."""
    sent = rpc.call("chat.send", **{"from": "ada", "to": "bob", "text": "héllo 🌍"})
    assert sent["host"] == "stable1" and sent["id"] >= 1
    first, second = rpc.call("chat.history", user="bob"), rpc.call("chat.history", user="bob")
    assert (first["cached"], second["cached"]) == (False, True)
    assert first["messages"] == second["messages"]
    assert first["messages"][-1]["text"] == "héllo 🌍" and first["messages"][-1]["id"] == sent["id"]
    assert rpc.call("queue.stats")["jobs"]["current-jobs-ready"] >= 1
    jobs = []
    while job := rpc.call("queue.take")["job"]:
        jobs.append(job)
    assert {"id": sent["id"], "from": "ada", "to": "bob"} in jobs


def test_other_host_sees_a_new_message_at_once(backends: Backends, rpc: App) -> None:
    """A history cached through one host is not what the other answers after a message came."""
    with backends.app("rpc", "stable2") as other:
        rpc.call("chat.send", **{"from": "cleo", "to": "dan", "text": "one"})
        assert len(rpc.call("chat.history", user="dan", **{"with": "cleo"})["messages"]) == 1
        other.call("chat.send", **{"from": "dan", "to": "cleo", "text": "two"})
        texts = [m["text"] for m in rpc.call("chat.history", user="dan", **{"with": "cleo"})["messages"]]
        assert texts == ["one", "two"]
        wait_for(lambda: rpc.call("system.hosts")["hosts"] == ["stable1", "stable2"], 5, "both hosts")


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ("{", -32700),
        ("[]", -32600),
        ("7", -32600),
        ('{"method": "queue.stats", "id": 1}', -32600),
        ('{"jsonrpc": "2.0", "method": 7, "id": 1}', -32600),
        ('{"jsonrpc": "2.0", "method": "no.such", "id": 1}', -32601),
        ('{"jsonrpc": "2.0", "method": "chat.send", "params": {"from": "a"}, "id": 1}', -32602),
        (
            '{"jsonrpc": "2.0", "method": "chat.history", "params": {"user": "a", "limit": true}, "id": 1}',
            -32602,
        ),
        ('{"jsonrpc": "2.0", "method": "chat.history", "params": ["a"], "id": 1}', -32602),
    ],
)
def test_rpc_errors_have_their_codes(rpc: App, body: str, code: int) -> None:
    """What is wrong with a call is told by the code that JSON-RPC 2.0 gives it."""
    status, text, _ = rpc.ask("POST", "/rpc", body)
    assert status == 200 and json.loads(text)["error"]["code"] == code


def test_batch_answers_all_but_notifications(rpc: App) -> None:
    """A batch is answered by those of its requests that have an id; notifications alone by nothing."""
    batch = [
        {"jsonrpc": "2.0", "id": "a", "method": "system.hosts"},
        {"jsonrpc": "2.0", "method": "queue.stats"},
        3,
    ]
    _, text, _ = rpc.ask("POST", "/rpc", json.dumps(batch))
    assert [(answer["id"], "result" in answer) for answer in json.loads(text)] == [("a", True), (None, False)]
    status, text, _ = rpc.ask("POST", "/rpc", json.dumps(batch[1:2]))
    assert (status, text) == (204, "")


@pytest.mark.parametrize(
    ("method", "path", "status"), [("GET", "/rpc", 405), ("GET", "/rpcs", 404), ("POST", "/rpc/x", 404)]
)
def test_rpc_is_posted_to_one_path(rpc: App, method: str, path: str, status: int) -> None:
    """Another method or path is refused."""
    assert rpc.ask(method, path, "{}")[0] == status


def test_client_that_hangs_up_leaves_no_traceback(backends: Backends, tmp_path: Path) -> None:
    """A client that resets its connection before the answer, as health checks do, is no news for the log."""
    port, log = free_port(), tmp_path / "log"
    own = {"HABLA_HOST": "stable1", "HABLA_ADDRESS": "127.0.0.1", "HABLA_PORT": str(port)}
    environment = backends.environment | own
    with (
        log.open("wb") as output,
        process(port, PYTHON, "-B", str(APPS / "status/status.py"), output=output, **environment),
    ):
        for _ in Pace(rate=100, most=30):
            client = socket.create_connection(("127.0.0.1", port), 5)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            client.sendall(b"GET /status/ HTTP/1.0\r\n\r\n")
            client.close()
        assert App("stable1", port).ask("GET", "/status/")[0] == 200
    assert "serving" in log.read_text() and "Traceback" not in log.read_text()


def test_large_body_is_refused_unread(rpc: App) -> None:
    """A body above the limit is refused by its announced length."""
    assert rpc.ask("POST", "/rpc", "", {"Content-Length": "70000"})[0] == 413


def test_presence_is_seen_on_both_hosts(backends: Backends) -> None:
    """Presence set on one host is what the other tells, in both lists, until it is offline."""
    with backends.app("status") as one, backends.app("status", "stable2") as two:
        presence = json.dumps({"presence": "away", "text": "lunch"})
        assert one.ask("PUT", "/status/ada", presence)[0] == 200
        status, text, headers = two.ask("GET", "/status/ada")
        seen = json.loads(text)
        assert (status, seen["presence"], seen["text"]) == (200, "away", "lunch")
        assert headers["X-Served-By"] == seen["host"] == "stable2"
        assert [entry["user"] for entry in json.loads(two.ask("GET", "/status/")[1])["online"]] == ["ada"]
        two.ask("PUT", "/status/ada", json.dumps({"presence": "offline"}))
        assert json.loads(one.ask("GET", "/status/")[1])["online"] == []
        for body in ("{", "[]", '{"presence": "gone"}', '{"presence": "away", "text": 7}'):
            assert one.ask("PUT", "/status/ada", body)[0] == 400


def test_restart_loses_no_request_at_work(backends: Backends) -> None:
    """A request that is at work when SIGTERM comes is answered before the program ends."""
    port = free_port()
    own = {"HABLA_HOST": "stable1", "HABLA_ADDRESS": "127.0.0.1", "HABLA_PORT": str(port)}
    with process(port, PYTHON, "-B", str(APPS / "rpc/rpc.py"), **(backends.environment | own)) as running:
        client = socket.create_connection(("127.0.0.1", port), 5)
        body = b'{"jsonrpc": "2.0", "id": 1, "method": "queue.stats"}'
        client.sendall(b"POST /rpc HTTP/1.0\r\nContent-Length: %d\r\n\r\n" % len(body))
        # The second request is answered: so the first one's thread has been started before.
        assert App("stable1", port).ask("GET", "/rpc/health")[0] == 200
        running.terminate()
        wait_for(lambda: not listens(port) or running.poll() is not None or _stopping(port), 5, "the end")
        client.sendall(body)
        assert b'"result"' in client.makefile("rb").read()
        assert running.wait(10) == 0


def _stopping(port: int) -> bool:
    """Whether connections are no longer taken from the queue."""
    try:
        # One that waits in the queue when that is closed is reset, maybe before it is whole.
        with socket.create_connection(("127.0.0.1", port), 1) as client:
            client.settimeout(0.7)
            client.sendall(b"GET /x HTTP/1.0\r\n\r\n")
            return client.recv(1) == b""
    except OSError:
        return True
