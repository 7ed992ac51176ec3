"""A plain HTTP server for one program behind HAProxy: one thread per request, one request per connection.

Each of the programs is deployed with this file.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import traceback
import urllib.parse
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

HOST = os.environ.get("HABLA_HOST", "localhost")
MAX_BODY = 64 * 1024


class HttpError(Exception):
    """Ends a request with this status and a reason that its sender may read."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


class BackendError(Exception):
    """MySQL, memcached or memqd did not answer, or not as it should. The message names which."""


@dataclass(frozen=True)
class Request:
    """The request of a client. path: decoded, without the query."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes

    def form(self) -> dict[str, str]:
        """The fields of an HTML form; of a repeated field the last."""
        return dict(urllib.parse.parse_qsl(self.body.decode("utf-8", "replace"), keep_blank_values=True))


@dataclass(frozen=True)
class Answer:
    """The answer to a client. headers: (name, value), repeats allowed."""

    status: int = 200
    body: bytes = b""
    type: str = "text/plain; charset=utf-8"
    headers: tuple[tuple[str, str], ...] = field(default_factory=tuple)


def json_answer(value: object, status: int = 200) -> Answer:
    """An answer of the value as JSON."""
    return Answer(status, json.dumps(value).encode() + b"\n", "application/json")


def health(checks: dict[str, Callable[[], object]]) -> Answer:
    """Runs all checks at once, each of which bounds its own time: 200 when all pass, else 503 and why not."""

    def outcome(check: Callable[[], object]) -> str:
        try:
            check()
        except BackendError as error:
            return str(error)
        return "ok"

    with ThreadPoolExecutor(len(checks)) as pool:
        outcomes = dict(zip(checks, pool.map(outcome, checks.values())))  # noqa: B905 (Python 3.9)
    good = set(outcomes.values()) == {"ok"}
    return json_answer({"host": HOST, "ok": good, "checks": outcomes}, 200 if good else 503)


def serve(answer: Callable[[Request], Answer], quiet: str) -> None:
    """Answers requests until SIGTERM, then finishes those at work. quiet: a path that is not logged."""

    class Handler(BaseHTTPRequestHandler):
        server_version = "habla"
        sys_version = ""
        # Seconds that a client may take between two packets.
        timeout = 15
        # Headers and body in one packet: HAProxy's checks hang up after the first.
        wbufsize = -1

        def handle_request(self) -> None:
            try:
                result = answer(self.request_read())
            except TimeoutError:
                raise
            except HttpError as error:
                result = json_answer({"error": str(error)}, error.status)
            except BackendError as error:
                self.log_error("%s", error)
                result = json_answer({"error": str(error)}, 503)
            except Exception:
                self.log_error("%s", traceback.format_exc())
                result = json_answer({"error": "a fault of this program; its log has the details"}, 500)
            self.send_response(result.status)
            self.send_header("Content-Type", result.type)
            self.send_header("Content-Length", str(len(result.body)))
            self.send_header("X-Served-By", HOST)
            for name, value in result.headers:
                self.send_header(name, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(result.body)

        do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = handle_request  # noqa: N815 (named by http.server)

        def request_read(self) -> Request:
            length = self.headers.get("Content-Length", "0")
            if "Transfer-Encoding" in self.headers or not length.isdecimal():
                raise HttpError(411, "send the body with a Content-Length")
            if int(length) > MAX_BODY:
                raise HttpError(413, f"a body is at most {MAX_BODY} bytes")
            url = urllib.parse.urlsplit(self.path)
            return Request(
                method="GET" if self.command == "HEAD" else self.command,
                path=urllib.parse.unquote(url.path),
                query=dict(urllib.parse.parse_qsl(url.query)),
                headers={name.lower(): value for name, value in self.headers.items()},
                body=self.rfile.read(int(length)),
            )

        def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
            # HAProxy asks every two seconds, which is no news.
            if getattr(self, "path", "") != quiet or code != 200:
                super().log_request(code, size)

        def address_string(self) -> str:
            # HAProxy is the peer; it says whom it asks for. A request that cannot be read has no headers.
            headers = getattr(self, "headers", None) or {}
            return str(headers.get("X-Forwarded-For", self.client_address[0]))

    class Server(ThreadingHTTPServer):
        request_queue_size = 128
        # Threads that are waited for: a restart loses no request that is at work.
        daemon_threads = False

        def handle_error(self, request: object, client_address: object) -> None:
            fault = sys.exc_info()[1]
            if not isinstance(fault, ConnectionError):
                super().handle_error(request, client_address)

    server = Server((os.environ["HABLA_ADDRESS"], int(os.environ["HABLA_PORT"])), Handler)

    def stop(signum: int, frame: object) -> None:
        # shutdown() waits for the loop below, which runs in this very thread.
        threading.Thread(target=server.shutdown).start()

    signal.signal(signal.SIGTERM, stop)
    print(f"serving on {server.server_address[0]}:{server.server_address[1]}", file=sys.stderr, flush=True)
    with server:
        server.serve_forever(poll_interval=0.1)
