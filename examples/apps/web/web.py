"""Hab.la's website and forum: one process, rows in MySQL.

GET  /               the website; on all its pages is a chat widget that talks to /rpc/chat and to Jabber
GET  /forum          threads; POST starts one
GET  /forum/NUMBER   one thread; POST replies
     /register /login /logout
GET  /operator       the console of the operators, who answer visitors
GET  /system         whether each part of the service works
GET  /chat.js /room.js /operator.js /system.js /chat.css /strophe.js
GET  /health         200 when MySQL answers
"""

from __future__ import annotations

import hashlib
import hmac
import os
import re
from pathlib import Path
from urllib.parse import urlsplit

import forum
import pages
from http_app import Answer, BackendError, HttpError, Request, health, serve

# The only domain that a cookie is ever set for.
COOKIE_DOMAIN = os.environ.get("COOKIE_DOMAIN") or urlsplit(pages.WEBSITE).hostname
COOKIE = "session"
NAME = re.compile(rf"[A-Za-z0-9._-]{{1,{forum.MAX_NAME}}}")
# Where the browser may connect to besides the website: Jabber's websocket and BOSH have a port of their own.
JABBER = os.environ.get("JABBER_ORIGIN", f"{pages.WEBSITE}:5280")
_HERE = Path(__file__).parent
# Strophe.js is not in the repository: `make toolchain` gets it, and the archive brings it along.
_STROPHE = Path(os.environ.get("STROPHE", _HERE / "strophe.js"))
_FILES = {
    "/chat.js": (_HERE / "chat.js", "text/javascript; charset=utf-8"),
    "/room.js": (_HERE / "room.js", "text/javascript; charset=utf-8"),
    "/operator.js": (_HERE / "operator.js", "text/javascript; charset=utf-8"),
    "/system.js": (_HERE / "system.js", "text/javascript; charset=utf-8"),
    "/chat.css": (_HERE / "chat.css", "text/css; charset=utf-8"),
    "/strophe.js": (_STROPHE, "text/javascript; charset=utf-8"),
}
_PAGES = {"/": pages.home, "/operator": pages.operator, "/system": pages.system}
HEADERS = (
    # Styles are inline; scripts only from here, so that no post can bring its own.
    (
        "Content-Security-Policy",
        "default-src 'self'; style-src 'self' 'unsafe-inline'; "
        f"connect-src 'self' {JABBER} {JABBER.replace('http', 'ws', 1)}; "
        f"img-src 'self' {pages.STATIC}; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
    ),
    ("X-Content-Type-Options", "nosniff"),
    ("Cache-Control", "no-store"),
)


def answer(request: Request) -> Answer:
    """All of the website."""
    if request.path == "/health":
        return health({"mysql": forum.database.check})
    if request.path in _FILES:
        return _file(request)
    try:
        return _route(request)
    except HttpError as error:
        return _html(pages.error(error.status, str(error)), error.status)
    except BackendError as error:
        print(f"{error}", flush=True)
        return _html(pages.error(503, "The forum is away for a moment. Please try again."), 503)


def _file(request: Request) -> Answer:
    """A file of the widget. The browser asks each time whether it has changed, and seldom gets it again."""
    path, kind = _FILES[request.path]
    content = path.read_bytes()
    tag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
    headers = (("ETag", tag), ("Cache-Control", "no-cache"), ("X-Content-Type-Options", "nosniff"))
    if request.headers.get("if-none-match") == tag:
        return Answer(304, b"", kind, headers)
    return Answer(200, content, kind, headers)


def _route(request: Request) -> Answer:
    if request.method not in ("GET", "POST"):
        raise HttpError(405, "Pages are read with GET and written to with POST.")
    posted = request.method == "POST"
    if posted:
        _same_origin(request)
    if request.path in ("/login", "/register"):
        return _credentials(request)
    try:
        session = _session(request)
    except BackendError:
        # These pages need no database, and are shown without one.
        if request.path not in _PAGES or posted:
            raise
        session = None
    if posted:
        if session is None:
            return _see("/login")
        if not hmac.compare_digest(request.form().get("csrf", "").encode(), session.csrf.encode()):
            raise HttpError(403, "The form is of another session. Go back, reload and send it again.")
        return _write(request, session)
    if request.path in _PAGES:
        return _html(_PAGES[request.path](session))
    if request.path == "/forum":
        return _html(pages.thread_list(forum.threads(), session))
    number = _number(request.path)
    found = forum.thread(number)
    if found is None:
        raise HttpError(404, "There is no such thread.")
    return _html(pages.thread(number, *found, session))


def _write(request: Request, session: forum.Session) -> Answer:
    if request.path == "/logout":
        forum.log_out(session)
        return _see("/", _cookie("", 0))
    text = _field(request, "text", forum.MAX_TEXT)
    if request.path == "/forum":
        title = _field(request, "title", forum.MAX_TITLE)
        return _see(f"/forum/{forum.start_thread(session.name, title, text)}")
    number = _number(request.path)
    if not forum.reply(session.name, number, text):
        raise HttpError(404, "There is no such thread.")
    return _see(f"/forum/{number}")


def _credentials(request: Request) -> Answer:
    new = request.path == "/register"
    title = "Register" if new else "Log in"
    if request.method == "GET":
        return _html(pages.credentials(request.path, title))
    form = request.form()
    name, password = form.get("name", "").strip(), form.get("password", "")
    fault = None
    if not NAME.fullmatch(name):
        fault = f"A name has up to {forum.MAX_NAME} letters, digits and . _ -"
    elif not forum.MIN_PASSWORD <= len(password) <= 200:
        fault = f"A password has {forum.MIN_PASSWORD} to 200 characters."
    elif new and not forum.register(name, password):
        fault = "Somebody has that name."
    if fault is None:
        session = forum.log_in(name, password)
        if session is not None:
            return _see("/forum", _cookie(session.token, forum.SESSION_SECONDS))
        fault = "The name or the password is wrong."
    return _html(pages.credentials(request.path, title, fault, name), 400)


def _session(request: Request) -> forum.Session | None:
    # Not http.cookies: it keeps one cookie of each name, and one bad cookie spoils all others for it.
    pairs = (part.strip().split("=", 1) for part in request.headers.get("cookie", "").split(";"))
    tokens = [pair[1] for pair in pairs if len(pair) == 2 and pair[0] == COOKIE and pair[1]]
    return forum.session_of(tokens) if tokens else None


def _same_origin(request: Request) -> None:
    """Forms of other websites are refused, also those that need no session, such as the login."""
    origin = request.headers.get("origin")
    if origin is not None and urlsplit(origin).netloc != request.headers.get("host"):
        raise HttpError(403, "The form is of another website.")


def _field(request: Request, name: str, longest: int) -> str:
    value = request.form().get(name, "").strip()
    if not 0 < len(value) <= longest:
        raise HttpError(400, f"The {name} has 1 to {longest} characters.")
    return value


def _number(path: str) -> int:
    found = re.fullmatch(r"/forum/([1-9][0-9]{0,17})", path)
    if found is None:
        raise HttpError(404, "There is no such page.")
    return int(found[1])


def _html(text: str, status: int = 200) -> Answer:
    return Answer(status, text.encode(), "text/html; charset=utf-8", HEADERS)


def _see(path: str, *headers: tuple[str, str]) -> Answer:
    """After a form: on to a page that may be reloaded."""
    return Answer(303, b"", headers=(("Location", path), *headers))


def _cookie(value: str, seconds: int) -> tuple[str, str]:
    # Add Secure once the website is served over TLS; over plain HTTP a browser would not send it.
    return (
        "Set-Cookie",
        f"{COOKIE}={value}; Domain={COOKIE_DOMAIN}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Lax",
    )


if __name__ == "__main__":
    serve(answer, quiet="/health")
