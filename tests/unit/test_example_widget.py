"""The chat widget of the reference website, as the web app delivers it."""

from __future__ import annotations

import re

import pytest
from example_apps import APPS, App, Backends

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("path", ["/", "/login", "/no/such/page"])
def test_every_page_has_the_widget(web: App, path: str) -> None:
    """A chat goes on from one page to the next; no script stands in a page, and no secret."""
    _, page, _ = web.ask("GET", path)
    assert "<script type=module src=/chat.js></script>" in page
    assert re.findall(r"<script(?! type=module src=/chat\.js)", page) == []


def test_the_policy_lets_the_page_reach_jabber(web: App, backends: Backends) -> None:
    """Scripts come from the website alone; connections go there and to Jabber's websocket and BOSH."""
    policy = dict(
        part.strip().split(" ", 1) for part in web.ask("GET", "/")[2]["Content-Security-Policy"].split(";")
    )
    assert policy["default-src"] == "'self'" and "script-src" not in policy
    assert policy["connect-src"].split() == ["'self'", "http://www.hab.la:5280", "ws://www.hab.la:5280"]
    with backends.app("web", "web1", JABBER_ORIGIN="https://www.hab.la:5443") as secure:
        header = secure.ask("GET", "/")[2]["Content-Security-Policy"]
    assert "connect-src 'self' https://www.hab.la:5443 wss://www.hab.la:5443;" in header


@pytest.mark.parametrize("name", ["chat.js", "room.js", "chat.css", "strophe.js"])
def test_a_file_that_has_not_changed_is_not_sent_again(backends: Backends, name: str) -> None:
    """The browser asks with the tag of the file that it has."""
    with backends.app("web", "web1", STROPHE=str(APPS / "vendor" / "strophe.js")) as app:
        status, text, headers = app.ask("GET", f"/{name}")
        assert status == 200 and text
        assert headers["Content-Type"].split(";")[0] == (
            "text/css" if name.endswith("css") else "text/javascript"
        )
        status, text, _ = app.ask("GET", f"/{name}", headers={"If-None-Match": headers["ETag"]})
        assert (status, text) == (304, "")


def test_widget_and_page_agree_on_their_parts() -> None:
    """Each element that the script looks for is in the page."""
    script = (APPS / "web" / "chat.js").read_text()
    page = (APPS / "web" / "pages.py").read_text()
    wanted = set(re.findall(r'element\("([\w-]+)"\)', script))
    assert wanted and wanted <= set(re.findall(r"\bid=([\w-]+)", page))
