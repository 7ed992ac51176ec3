"""Set-Cookie of real answers, through the real HAProxy, into a real cookie jar."""

from __future__ import annotations

import http.client
import http.cookiejar
import os
import shutil
import socket
import subprocess
import threading
import time
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from email.message import Message

import pytest
from example_apps import free_port

from habla.services.haproxy.cookies import MOST_COOKIES, cookie_rules
from habla.services.haproxy.model import CookiePolicy, Dialect

SITE = "www.hab.la"
POLICY = CookiePolicy(
    SITE, ("session", "forum.id"), stale_domains=(".hab.la", f".{SITE}"), paths=("/", "/forum")
)
LATER = "Expires=Wed, 21 Oct 2099 07:28:00 GMT"
LONG = "x" * 4000
_OLD = os.environ.get("HABLA_HAPROXY_1_3_BINARY", "")


@dataclass(frozen=True)
class Case:
    """An answer. cookies: the values of its Set-Cookie lines. kept: (name, path) -> value in the jar then.

    before, after: other lines of its header around them. only: the dialects that promise this.
    """

    cookies: Sequence[str]
    kept: dict[tuple[str, str], str]
    before: Sequence[str] = ("Content-Type: text/plain",)
    after: Sequence[str] = ("Cache-Control: no-store",)
    version: str = "1.1"
    chunked: bool = False
    expect: bool = False
    header: str = "Set-Cookie"
    only: tuple[Dialect, ...] = (Dialect.V1_3_14, Dialect.V2)


def one(text: str, value: str = "new", *, name: str = "session", path: str = "/", **more: object) -> Case:
    """An answer with one cookie."""
    return Case([text], {(name, path): value}, **more)  # type: ignore[arg-type]


V2 = (Dialect.V2,)
ATTRIBUTES = {
    "bare": "",
    "path": "; Path=/",
    "http-only": "; HttpOnly; Path=/",
    "same-site-lax": "; SameSite=Lax; Path=/",
    "same-site-strict": "; Path=/; SameSite=Strict",
    "partitioned": "; Path=/; Partitioned",
    "max-age": "; Path=/; Max-Age=3600",
    "expires": f"; {LATER}; Path=/",
    "expires-last": f"; Path=/; {LATER}",
    "domain-parent": "; Domain=.hab.la; Path=/",
    "domain-own": "; Path=/; Domain=www.hab.la",
    "domain-lower": "; path=/; domain=hab.la; httponly",
    "domain-no-space": ";Domain=.hab.la;Path=/",
    "domain-upper": "; DOMAIN=.HAB.LA; Path=/",
    "domain-twice": "; Domain=.hab.la; Path=/; Domain=.www.hab.la",
    "domain-foreign": "; Domain=.evil.example; Path=/",
    "priority": "; Path=/; Priority=High",
}
PLACES = {
    "first": {"before": ()},
    "middle": {},
    "last": {"after": ()},
    "alone": {"before": (), "after": ()},
}
CASES: dict[str, Case] = {
    **{
        # Without a path a cookie is for the directory of the page.
        f"{place}-{name}": one(
            f"session=new{text}", path="/" if "path" in text.lower() else "/forum", **where
        )
        for place, where in PLACES.items()
        for name, text in ATTRIBUTES.items()
        if place in ("first", "middle") or name in ("bare", "expires", "domain-parent")
    },
    "lower-case-header": one("session=new; Path=/", header="set-cookie"),
    "upper-case-header": one("session=new; Path=/", header="SET-COOKIE"),
    "empty-value": one("session=; Path=/", ""),
    "quoted": one('session="new"; Path=/', '"new"'),
    "comma-in-value": one("session=a,b,c; Path=/", "a,b,c"),
    "comma-and-the-name": Case(
        ["other=1,session=2; Path=/"], {("other", "/"): "1,session=2", ("session", "/"): "stale"}
    ),
    "equals-in-value": one("session=a=b==; Path=/", "a=b=="),
    "four-kilobytes": one(f"session={LONG}; Path=/", LONG),
    "another-case-of-the-name": Case(
        ["SESSION=x; Path=/"], {("SESSION", "/"): "x", ("session", "/"): "stale"}
    ),
    "another-name": Case(["other=x; Path=/"], {("other", "/"): "x", ("session", "/"): "stale"}),
    "a-longer-name": Case(["session2=x; Path=/"], {("session2", "/"): "x", ("session", "/"): "stale"}),
    "the-name-within-a-name": Case(
        ["mysession=x; Path=/"], {("mysession", "/"): "x", ("session", "/"): "stale"}
    ),
    "no-dot-in-the-name": Case(["forumxid=x; Path=/"], {("forumxid", "/"): "x", ("session", "/"): "stale"}),
    "no-cookie": Case([], {("session", "/"): "stale"}),
    "the-second-name": Case(["forum.id=7; Path=/"], {("forum.id", "/"): "7", ("session", "/"): "stale"}),
    "both-names": Case(
        ["session=new; Path=/", "forum.id=7; Path=/"], {("session", "/"): "new", ("forum.id", "/"): "7"}
    ),
    "both-names-turned": Case(
        ["forum.id=7; Path=/", "session=new; Path=/"], {("session", "/"): "new", ("forum.id", "/"): "7"}
    ),
    "with-others-around": Case(
        ["a=1; Path=/", "session=new; Path=/", "b=2; Path=/"],
        {("a", "/"): "1", ("session", "/"): "new", ("b", "/"): "2"},
    ),
    "two-paths": Case(
        ["session=new; Path=/", "session=deep; Path=/forum"],
        {("session", "/"): "new", ("session", "/forum"): "deep"},
        only=V2,
    ),
    "twice-the-same": Case(["session=old; Path=/", "session=new; Path=/"], {("session", "/"): "new"}),
    "deleted-by-the-server": Case(["session=; Path=/; Max-Age=0"], {}),
    "deleted-by-a-date": Case(["session=; Path=/; Expires=Thu, 01 Jan 1970 00:00:00 GMT"], {}),
    "deep-path": one("session=new; Path=/forum", path="/forum"),
    "as-many-as-fit": Case(
        [*(f"c{number}=1; Path=/" for number in range(MOST_COOKIES - 1)), "session=new; Path=/"],
        {**{(f"c{number}", "/"): "1" for number in range(MOST_COOKIES - 1)}, ("session", "/"): "new"},
    ),
    "expect-100": one("session=new; Path=/; Domain=.hab.la", expect=True),
    "chunked": one("session=new; Path=/", chunked=True),
    "http-1.0": one("session=new; Path=/", version="1.0"),
    "host-prefix-other-name": Case(
        ["__Host-csrf=x; Path=/; Secure"], {("__Host-csrf", "/"): "x", ("session", "/"): "stale"}
    ),
    "secure-prefix": Case(
        ["__Secure-id=x; Path=/; Secure; Domain=.hab.la"],
        {("__Secure-id", "/"): "x", ("session", "/"): "stale"},
    ),
}


@dataclass
class Origin:
    """A web server that answers with the bytes of a case."""

    case: Case = field(default_factory=lambda: CASES["no-cookie"])
    port: int = 0

    def answer(self) -> list[bytes]:
        """The parts of the answer, of which the first may be the one to Expect."""
        case, body = self.case, b"hello"
        head = [
            f"HTTP/{case.version} 200 OK",
            *case.before,
            *(f"{case.header}: {text}" for text in case.cookies),
        ]
        if case.chunked:
            body = b"5\r\nhello\r\n0\r\n\r\n"
            head.append("Transfer-Encoding: chunked")
        else:
            head.append("Content-Length: 5")
        return ["\r\n".join([*head, *case.after, "", ""]).encode() + body]

    def serve(self, server: socket.socket) -> None:
        """Answer one request on each connection, until the server is closed."""
        while True:
            try:
                client, _ = server.accept()
            except OSError:
                return
            with client, client.makefile("rb") as stream:
                length, expects = 0, False
                while (line := stream.readline().strip().lower()) != b"":
                    if line.startswith(b"content-length:"):
                        length = int(line.split(b":")[1])
                    expects |= line.startswith(b"expect:")
                if expects:
                    client.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
                stream.read(length)
                for part in self.answer():
                    client.sendall(part)


@pytest.fixture(scope="module")
def origin() -> Iterator[Origin]:
    """The server behind HAProxy."""
    found = Origin()
    with socket.create_server(("127.0.0.1", 0)) as server:
        found.port = server.getsockname()[1]
        thread = threading.Thread(target=found.serve, args=(server,))
        thread.start()
        yield found
        server.shutdown(socket.SHUT_RDWR)
    thread.join()


@pytest.fixture(scope="module", params=list(Dialect), ids=lambda dialect: dialect.name)
def proxy(
    request: pytest.FixtureRequest, origin: Origin, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[int]:
    """The port of a real HAProxy with the cookie rules."""
    dialect: Dialect = request.param
    binary = shutil.which("haproxy") if dialect is Dialect.V2 else _OLD
    if not binary:
        pytest.skip("no HAProxy of this dialect: apt-get install haproxy, or HABLA_HAPROXY_1_3_BINARY")
    port = free_port()
    mode = "option httpclose" if dialect is Dialect.V1_3_14 else "option http-server-close"
    config = tmp_path_factory.mktemp("haproxy") / "haproxy.cfg"
    lines = [
        *("global", " maxconn 100"),
        *("defaults", " mode http", " timeout client 5s", " timeout server 5s", " timeout connect 5s"),
        *("frontend www", f" bind 127.0.0.1:{port}", f" {mode}", " default_backend origin"),
        *(f" {line}" for line in cookie_rules(POLICY, dialect)),
        *("backend origin", " balance roundrobin", f" server origin 127.0.0.1:{origin.port}"),
    ]
    config.write_text("\n".join(lines) + "\n")
    with subprocess.Popen([binary, "-db", "-f", str(config)], stderr=subprocess.PIPE) as process:
        try:
            _wait_for(port, process)
            yield port
        finally:
            process.kill()


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except ConnectionRefusedError:
            time.sleep(0.02)
    assert process.stderr is not None
    process.kill()
    raise AssertionError(process.stderr.read().decode())


def _jar() -> http.cookiejar.CookieJar:
    """A jar with what earlier days have left: session for the parent domain, and for the host alone."""
    jar = http.cookiejar.CookieJar()
    for domain in ("; Domain=.hab.la", "; Domain=.www.hab.la", ""):
        _take(jar, [f"session=stale; Path=/{domain}; {LATER}"])
    return jar


def _take(jar: http.cookiejar.CookieJar, cookies: Sequence[str]) -> None:
    headers = Message()
    for text in cookies:
        headers.add_header("Set-Cookie", text)

    class Response:
        def info(self) -> Message:
            return headers

    request = urllib.request.Request(f"https://{SITE}/forum/1")
    jar.extract_cookies(Response(), request)  # type: ignore[arg-type]


def _asked(port: int, case: Case) -> http.client.HTTPResponse:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    headers = {"Host": SITE}
    if case.expect:
        connection.request("POST", "/", b"posted", {**headers, "Expect": "100-continue"})
    else:
        connection.request("GET", "/", headers=headers)
    answer = connection.getresponse()
    answer.read()
    connection.close()
    return answer


@pytest.mark.parametrize("name", CASES)
def test_a_browser_ends_with_exactly_these_cookies(
    name: str, proxy: int, origin: Origin, request: pytest.FixtureRequest
) -> None:
    """Each has the one domain, and no stale cookie hides a new one of its name."""
    case = CASES[name]
    if request.node.callspec.params["proxy"] not in case.only:
        pytest.skip("this dialect does not promise that")
    origin.case = case
    jar = _jar()
    _take(jar, _asked(proxy, case).msg.get_all("Set-Cookie") or [])
    found = {(cookie.name, cookie.path, cookie.domain): cookie.value for cookie in jar}
    stale = {key: value for key, value in found.items() if value == "stale"}
    new = {key: value for key, value in found.items() if value != "stale"}
    assert {(name, path): value for (name, path, _), value in new.items()} == {
        key: value for key, value in case.kept.items() if value != "stale"
    }
    domains = {domain for cookie, _, domain in new if not cookie.startswith("__Host-")}
    assert domains <= {f".{SITE}"}
    assert {domain for cookie, _, domain in new if cookie.startswith("__Host-")} <= {SITE}
    assert bool(stale) == ("stale" in case.kept.values())
