"""Set-Cookie of real answers, through the real HAProxy, into the cookie jar of Chromium, by HTTPS."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest
from chromium import chromium
from cookie_cases import CASES, EARLIER, PAGE, SITE, Case, Jar
from cookie_site import Origin, haproxy, web_server
from selenium import webdriver
from tls_proxy import TlsProxy, tls_proxy

from habla.services.haproxy.model import Dialect

pytestmark = pytest.mark.lab

ASK = """
    const [path, body, done] = arguments;
    fetch(path, {method: body ? "POST" : "GET", body: body || null, cache: "no-store"})
        .then(answer => answer.text()).then(done, error => done(String(error)));
"""


class Browser:
    """Chromium on a page of the site. It finds no other host."""

    def __init__(self, driver: webdriver.Chrome, tls: TlsProxy, origin: Origin) -> None:
        self._driver, self._tls, self._origin = driver, tls, origin
        self.ask(EARLIER, origin.port, open_page=True)

    def ask(self, case: Case, port: int, *, open_page: bool = False) -> None:
        """Get the answer of a case, from HAProxy or the server itself at this port.

        open_page: open it as a page. Otherwise the page that is open asks for it.
        """
        self._origin.case, self._tls.upstream = case, port
        if open_page:
            self._driver.get(f"https://{SITE}{PAGE}")
        else:
            body = "posted" if case.expect else ""
            assert self._driver.execute_async_script(ASK, PAGE, body) == "hello"

    def forget(self) -> None:
        """Remove all cookies."""
        self._driver.execute_cdp_cmd("Network.clearBrowserCookies", {})

    def jar(self) -> Jar:
        """All cookies."""
        found = self._driver.execute_cdp_cmd("Storage.getCookies", {})["cookies"]
        return {(cookie["name"], cookie["path"], cookie["domain"]): cookie["value"] for cookie in found}


@pytest.fixture(scope="module")
def origin() -> Iterator[Origin]:
    """The server behind HAProxy."""
    with web_server() as origin:
        yield origin


@pytest.fixture(scope="module")
def browser(origin: Origin, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """One browser for all cases."""
    missing = [program for program in ("chromium", "chromedriver") if shutil.which(program) is None]
    if missing:
        pytest.skip(f"no {' and no '.join(missing)}: apt-get install chromium chromium-driver")
    with tls_proxy(SITE, tmp_path_factory.mktemp("tls")) as tls:
        rules = f"--host-resolver-rules=MAP {SITE}:443 127.0.0.1:{tls.port},MAP * ~NOTFOUND"
        driver = chromium("--ignore-certificate-errors", rules, size="800,600")
        try:
            yield Browser(driver, tls, origin)
        finally:
            driver.quit()


@pytest.fixture(scope="module", params=list(Dialect), ids=lambda dialect: dialect.name)
def proxy(
    request: pytest.FixtureRequest, origin: Origin, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[int]:
    """The port of a real HAProxy with the cookie rules."""
    with haproxy(request.param, origin, directory=tmp_path_factory.mktemp("haproxy")) as port:
        yield port


@pytest.mark.parametrize("name", CASES)
def test_the_jar_of_chromium_ends_with_exactly_these_cookies(
    name: str, browser: Browser, proxy: int, origin: Origin, request: pytest.FixtureRequest
) -> None:
    """Each has the one domain, and no stale cookie hides a new one of its name."""
    case = CASES[name]
    if request.node.callspec.params["proxy"] not in case.only:
        pytest.skip("this dialect does not promise that")
    browser.forget()
    browser.ask(EARLIER, origin.port)
    assert browser.jar() == EARLIER.jar(chromium=True)
    browser.ask(case, proxy)
    assert browser.jar() == case.jar(chromium=True)


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.chromium_refuses])
def test_chromium_refuses_these_cookies_without_haproxy_too(
    name: str, browser: Browser, origin: Origin
) -> None:
    """The reason is in the cookie itself, not in a rule of HAProxy and not in an old cookie."""
    browser.forget()
    browser.ask(CASES[name], origin.port)
    assert browser.jar() == {}
