"""A forum of earlier days and a program of uneven speed, for tests: what backends do that HAProxy must bear.

GET /old/login?name=N&domain=D   logs in: a cookie ``session`` for that domain (none: for the host alone)
GET /old/forum                   takes the first cookie of that name, as the forum did, and knows it or not
GET /old/echo                    the request's headers, as JSON
GET /old/work                    takes as long as this host needs for a request (SECONDS; JSON by host name)
GET /old/peak                    how many requests were at work at once, at most
"""

from __future__ import annotations

import json
import os
import threading
import time
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

HOST = os.environ["HABLA_HOST"]
SECONDS = json.loads(os.environ.get("SECONDS", "{}"))
lock = threading.Lock()
load = {"now": 0, "peak": 0}


class Handler(BaseHTTPRequestHandler):
    wbufsize = -1

    def do_GET(self) -> None:
        url = urllib.parse.urlsplit(self.path)
        query = dict(urllib.parse.parse_qsl(url.query))
        cookies: list[tuple[str, str]] = []
        status, text = 200, "ok"
        if url.path == "/old/login":
            domain = f"; Domain={query['domain']}" if "domain" in query else ""
            cookies.append(
                ("Set-Cookie", f"session=good-{query['name']}; Path=/; Max-Age=3600{domain}; HttpOnly")
            )
            cookies.append(("Set-Cookie", "seen=1; Path=/"))
        elif url.path == "/old/forum":
            sent = [part.strip() for part in self.headers.get("Cookie", "").split(";")]
            token = next((part.partition("=")[2] for part in sent if part.startswith("session=")), "")
            known = token.startswith("good-")
            status, text = (200, f"welcome {token[5:]}") if known else (403, f"who are you ({token})")
        elif url.path == "/old/echo":
            text = json.dumps({name.lower(): value for name, value in self.headers.items()})
        elif url.path == "/old/work":
            self._work()
        elif url.path == "/old/peak":
            text = str(load["peak"])
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("X-Served-By", HOST)
        for name, value in cookies:
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def _work(self) -> None:
        with lock:
            load["now"] += 1
            load["peak"] = max(load["peak"], load["now"])
        time.sleep(SECONDS.get(HOST, 0.02))
        with lock:
            load["now"] -= 1

    def log_message(self, *words: object) -> None:
        pass


class Server(ThreadingHTTPServer):
    request_queue_size = 256


if __name__ == "__main__":
    Server((os.environ["HABLA_ADDRESS"], int(os.environ["HABLA_PORT"])), Handler).serve_forever()
