"""The forum of the website, in a process of its own, against a real MariaDB."""

from __future__ import annotations

import http.client
import os
import re
import subprocess
import urllib.parse
from pathlib import Path

import pytest
from example_apps import PASSWORD, App, Backends, free_port

pytestmark = pytest.mark.slow


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
