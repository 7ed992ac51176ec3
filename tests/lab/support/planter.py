"""The website as it was in earlier days: sets the cookies that are still in people's browsers.

Run in the lab's outside network. Listens on every port given; whatever page it is asked for sets ``session``
for the host alone, for .www.hab.la and for .hab.la, as three answers of three years did. Browsers do not tell
ports apart, so these cookies are later sent to http://www.hab.la/ too.

    planter.py ADDRESS PORT
"""

from __future__ import annotations

import sys
from http.server import BaseHTTPRequestHandler, HTTPServer

from events import say

COOKIES = (
    "session=stale-host; Path=/; Max-Age=100000",
    "session=stale-www; Path=/; Max-Age=100000; Domain=.www.hab.la",
    "session=stale-all; Path=/; Max-Age=100000; Domain=.hab.la",
)


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        for cookie in COOKIES:
            self.send_header("Set-Cookie", cookie)
        self.end_headers()
        self.wfile.write(b"<p>planted</p>")

    def log_message(self, *words: object) -> None:
        pass


if __name__ == "__main__":
    server = HTTPServer((sys.argv[1], int(sys.argv[2])), Handler)
    say(event="started")
    server.serve_forever()
