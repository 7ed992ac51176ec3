"""The reference apps, each as its own process, against real memcached, beanstalkd and MariaDB on loopback."""

from __future__ import annotations

import http.client
import json
import os
import re
import shutil
import socket
import struct
import subprocess
import time
import urllib.parse
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import pytest

APPS = Path(__file__).parents[2] / "examples" / "apps"
# The machine's own Python, for which Debian packages PyMySQL; as on the hosts.
PYTHON = "/usr/bin/python3"
PASSWORD = "s3'cr\"et$"


def free_port() -> int:
    """A port of 127.0.0.1 that nothing listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def wait_for(condition: Callable[[], Any], seconds: float, what: str) -> Any:
    """Ask until the answer is true."""
    deadline = time.monotonic() + seconds
    while not (answer := condition()):
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.02)
    return answer


def listens(port: int) -> bool:
    """Whether something accepts connections there."""
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


@contextmanager
def process(
    port: int, *command: str, output: IO[bytes] | None = None, **environment: str
) -> Iterator[subprocess.Popen[bytes]]:
    """A program that listens on the port, until the end of the block."""
    # On a host what the apps share lies beside them.
    shared = {"PYTHONPATH": str(APPS / "common")}
    started = subprocess.Popen(
        command, env=os.environ | shared | environment, stdin=subprocess.DEVNULL, stderr=output
    )
    try:
        wait_for(lambda: started.poll() is not None or listens(port), 20, f"{command[0]} on {port}")
        assert started.poll() is None, f"{command[0]} ended at once"
        yield started
    finally:
        started.terminate()
        try:
            started.wait(10)
        except subprocess.TimeoutExpired:
            started.kill()
            started.wait(10)


def memcached(port: int) -> Any:
    """A memcached there."""
    return process(port, "memcached", "-u", "root", "-l", "127.0.0.1", "-p", str(port), "-U", "0")


@dataclass
class App:
    """A running app. host: what it says in X-Served-By."""

    host: str
    port: int

    def ask(
        self, method: str, path: str, body: str | bytes = "", headers: dict[str, str] | None = None
    ) -> tuple[int, str, http.client.HTTPMessage]:
        """Status, text and headers of an answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=15)
        try:
            connection.request(method, path, body or None, headers or {})
            answer = connection.getresponse()
            return answer.status, answer.read().decode(), answer.headers
        finally:
            connection.close()

    def call(self, method: str, **params: Any) -> Any:
        """The result of an RPC."""
        request = {"jsonrpc": "2.0", "id": 7, "method": method, "params": params}
        status, text, headers = self.ask("POST", "/rpc", json.dumps(request))
        document = json.loads(text)
        assert status == 200 and headers["X-Served-By"] == self.host and document["id"] == 7
        assert "error" not in document, document
        return document["result"]


@dataclass
class Backends:
    """The environment with which apps find the three daemons, and what runs apps."""

    environment: dict[str, str]

    @contextmanager
    def app(self, name: str, host: str = "stable1", **changes: str) -> Iterator[App]:
        """One of the apps as if on that host."""
        port = free_port()
        own = {"HABLA_HOST": host, "HABLA_ADDRESS": "127.0.0.1", "HABLA_PORT": str(port)}
        command = (PYTHON, "-B", str(APPS / name / f"{name}.py"))
        with process(port, *command, **(self.environment | own | changes)):
            yield App(host, port)


@pytest.fixture(scope="module")
def backends(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Backends]:
    """memcached, beanstalkd and MariaDB, with a database and a user whose password is hard to quote."""
    needed = ("memcached", "beanstalkd", "mariadbd", "mariadb-install-db")
    missing = [program for program in needed if shutil.which(program) is None]
    if missing or os.geteuid() != 0:
        pytest.skip(
            f"needs root and {', '.join(missing) or 'nothing else'}: apt-get install mariadb-server …"
        )
    if subprocess.run([PYTHON, "-c", "import pymysql"], capture_output=True, check=False).returncode:
        pytest.skip("needs apt-get install python3-pymysql")
    directory = tmp_path_factory.mktemp("mariadb")
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    data = ("--no-defaults", f"--datadir={directory}", "--user=root")
    subprocess.run(["mariadb-install-db", *data, "--skip-test-db"], check=True, **quiet)
    initial = directory / "init.sql"
    escaped = PASSWORD.replace("'", "''")
    initial.write_text(
        "CREATE DATABASE habla CHARACTER SET utf8mb4;\n"
        f"CREATE USER 'habla'@'127.0.0.1' IDENTIFIED BY '{escaped}';\n"
        "GRANT ALL ON habla.* TO 'habla'@'127.0.0.1';\n"
    )
    ports = {name: free_port() for name in ("MYSQL", "MEMCACHED", "MEMQD")}
    mysql = ("mariadbd", *data, f"--socket={directory}/sock", f"--init-file={initial}", "--skip-name-resolve")
    with ExitStack() as stack:
        stack.enter_context(
            process(
                ports["MYSQL"],
                *(*mysql, "--bind-address=127.0.0.1", f"--port={ports['MYSQL']}"),
                f"--log-error={directory}/error.log",
            )
        )
        stack.enter_context(memcached(ports["MEMCACHED"]))
        stack.enter_context(
            process(ports["MEMQD"], "beanstalkd", "-l", "127.0.0.1", "-p", str(ports["MEMQD"]))
        )
        yield Backends(
            {
                **{f"{name}_HOST": "127.0.0.1" for name in ports},
                **{f"{name}_PORT": str(port) for name, port in ports.items()},
                "MYSQL_USER": "habla",
                "MYSQL_PASSWORD": PASSWORD,
                "MYSQL_DATABASE": "habla",
            }
        )


@pytest.fixture(scope="module")
def rpc(backends: Backends) -> Iterator[App]:
    """RPC on stable1."""
    with backends.app("rpc") as app:
        yield app


@pytest.fixture(scope="module")
def web(backends: Backends) -> Iterator[App]:
    """The website on web1."""
    with backends.app("web", "web1") as app:
        yield app


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
        for _ in range(30):
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


class Browser:
    """Keeps the cookies of one person of the forum."""

    def __init__(self, app: App) -> None:
        self.app, self.cookie = app, ""

    def get(self, path: str) -> tuple[int, str]:
        """A page."""
        return self.app.ask("GET", path, headers={"Cookie": self.cookie})[:2]

    def post(self, path: str, **fields: str) -> tuple[int, str, http.client.HTTPMessage]:
        """A form; a cookie that comes with the answer is kept."""
        headers = {"Cookie": self.cookie, "Content-Type": "application/x-www-form-urlencoded"}
        answer = self.app.ask("POST", path, urllib.parse.urlencode(fields), headers)
        if "Set-Cookie" in answer[2]:
            self.cookie = answer[2]["Set-Cookie"].split(";")[0]
        return answer

    def csrf(self) -> str:
        """The token in the page's forms."""
        found = re.search(r"name=csrf value=(\w+)", self.get("/forum")[1])
        assert found
        return found[1]


def test_forum_from_registration_to_logout(web: App) -> None:
    """Somebody registers, starts a thread, is answered, and after logging out cannot write."""
    browser = Browser(web)
    status, _, headers = browser.post("/register", name="ada", password="correct horse")
    assert (status, headers["Location"]) == (303, "/forum")
    words = [word.strip() for word in headers["Set-Cookie"].split(";")]
    assert {"Domain=www.hab.la", "HttpOnly", "SameSite=Lax", "Path=/"} < set(words)
    csrf = browser.csrf()
    status, _, headers = browser.post(
        "/forum", csrf=csrf, title="<b>Hi</b>", text="<script>alert(1)</script>"
    )
    assert status == 303
    thread = headers["Location"]
    assert browser.post(thread, csrf=csrf, text="second & last")[0] == 303
    page = browser.get(thread)[1]
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page and "<script>alert" not in page
    assert "&lt;b&gt;Hi&lt;/b&gt;" in page and "second &amp; last" in page
    assert "2 posts" in browser.get("/forum")[1]
    old = browser.cookie
    assert browser.post("/logout", csrf=csrf)[0] == 303
    browser.cookie = old
    assert browser.post(thread, csrf=csrf, text="third")[2]["Location"] == "/login"


def test_wrong_password_and_taken_name_are_refused(web: App) -> None:
    """Neither a wrong password, nor an unknown name, nor a name that is taken logs anybody in."""
    Browser(web).post("/register", name="bob", password="correct horse")
    stranger = Browser(web)
    for path, name, reason in (
        ("/login", "bob", "wrong"),
        ("/login", "nobody", "wrong"),
        ("/register", "bob", "Somebody has that name"),
    ):
        status, page, headers = stranger.post(path, name=name, password="wrong horse")
        assert status == 400 and reason in page and "Set-Cookie" not in headers


def test_form_needs_its_token_and_its_origin(web: App) -> None:
    """A post without the session's token, or from another website, is refused."""
    browser = Browser(web)
    browser.post("/register", name="cleo", password="correct horse")
    assert browser.post("/forum", csrf="0" * 32, title="x", text="y")[0] == 403
    body = "name=cleo&password=correct+horse"
    assert web.ask("POST", "/login", body, {"Origin": "http://evil.example", "Host": "www.hab.la"})[0] == 403
    assert web.ask("POST", "/login", body, {"Origin": "http://www.hab.la", "Host": "www.hab.la"})[0] == 303


def test_stale_cookies_lock_nobody_out(web: App) -> None:
    """Among cookies that were once set for other domains, the live session is found."""
    browser = Browser(web)
    browser.post("/register", name="dan", password="correct horse")
    browser.cookie = f"session=stale; bad[name]=1; {browser.cookie}; session=older"
    assert "dan" in browser.get("/forum")[1]


def test_password_is_not_in_the_database(backends: Backends, web: App, tmp_path: Path) -> None:
    """Neither the password nor the session's token is stored as such."""
    browser = Browser(web)
    browser.post("/register", name="eve", password="find me in a dump")
    where = backends.environment
    dump = subprocess.run(
        ["mariadb-dump", "--no-defaults", "-h127.0.0.1", f"-P{where['MYSQL_PORT']}", "-uhabla", "habla"],
        env=os.environ | {"MYSQL_PWD": PASSWORD},
        capture_output=True,
        check=True,
    ).stdout
    assert b"eve" in dump and b"find me" not in dump
    assert browser.cookie.removeprefix("session=").encode() not in dump


def test_website_without_database_still_shows_its_front(backends: Backends) -> None:
    """With MySQL down the front page is shown, also to somebody with a session; the forum says it is away."""
    with backends.app("web", "web1", MYSQL_PORT=str(free_port())) as app:
        assert app.ask("GET", "/", headers={"Cookie": "session=x"})[0] == 200
        status, page, _ = app.ask("GET", "/forum")
        assert status == 503 and "away" in page and "Traceback" not in page
        assert app.ask("GET", "/health")[0] == 503


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
