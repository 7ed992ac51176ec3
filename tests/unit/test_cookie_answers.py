"""Set-Cookie of real answers, through the real HAProxy, into Python's cookie jar."""

from __future__ import annotations

import http.client
import http.cookiejar
import urllib.request
from collections.abc import Iterator, Sequence
from email.message import Message

import pytest
from cookie_cases import CASES, EARLIER, PAGE, SITE, Case
from cookie_site import Origin, haproxy, web_server

from habla.services.haproxy.model import Dialect


@pytest.fixture(scope="module")
def origin() -> Iterator[Origin]:
    """The server behind HAProxy."""
    with web_server() as origin:
        yield origin


@pytest.fixture(scope="module", params=list(Dialect), ids=lambda dialect: dialect.name)
def proxy(
    request: pytest.FixtureRequest, origin: Origin, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[int]:
    """The port of a real HAProxy with the cookie rules."""
    with haproxy(request.param, origin, directory=tmp_path_factory.mktemp("haproxy")) as port:
        yield port


def _take(jar: http.cookiejar.CookieJar, cookies: Sequence[str]) -> None:
    headers = Message()
    for text in cookies:
        headers.add_header("Set-Cookie", text)

    class Response:
        def info(self) -> Message:
            return headers

    request = urllib.request.Request(f"https://{SITE}{PAGE}")
    jar.extract_cookies(Response(), request)  # type: ignore[arg-type]


def _found(jar: http.cookiejar.CookieJar) -> dict[tuple[str, str, str], str | None]:
    return {(cookie.name, cookie.path, cookie.domain): cookie.value for cookie in jar}


def _asked(port: int, case: Case) -> http.client.HTTPResponse:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    headers = {"Host": SITE}
    if case.expect:
        connection.request("POST", PAGE, b"posted", {**headers, "Expect": "100-continue"})
    else:
        connection.request("GET", PAGE, headers=headers)
    answer = connection.getresponse()
    answer.read()
    connection.close()
    return answer


@pytest.mark.parametrize("name", CASES)
def test_the_jar_of_python_ends_with_exactly_these_cookies(
    name: str, proxy: int, origin: Origin, request: pytest.FixtureRequest
) -> None:
    """Each has the one domain, and no stale cookie hides a new one of its name."""
    case = CASES[name]
    if request.node.callspec.params["proxy"] not in case.only:
        pytest.skip("this dialect does not promise that")
    jar = http.cookiejar.CookieJar()
    _take(jar, EARLIER.cookies)
    assert _found(jar) == EARLIER.jar()
    origin.case = case
    _take(jar, _asked(proxy, case).msg.get_all("Set-Cookie") or [])
    assert _found(jar) == case.jar()
