"""Stands in for ejabberd: its HTTP API, and over BOSH the archive of one room."""

from __future__ import annotations

import base64
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from xml.etree import ElementTree
from xml.sax.saxutils import escape, quoteattr

CREDENTIALS = "Basic " + base64.b64encode(b"rpc@api.internal:the token").decode()
MAM, RSM = "urn:xmpp:mam:2", "http://jabber.org/protocol/rsm"
SASL = "urn:ietf:params:xml:ns:xmpp-sasl"


@dataclass
class Jabber:
    """What it was asked for, and how it answers.

    calls: (command, arguments). messages: (nick, text) of every room that there is. page: the most that one
    answer of the archive has. proxied: connections begin with a line of the PROXY protocol. lists: the API
    takes lists of users, as newer releases do. refuse: commands that are forbidden.
    """

    port: int = 0
    calls: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    rooms: set[str] = field(default_factory=set)
    messages: list[tuple[str, str]] = field(default_factory=list)
    page: int = 100
    proxied: bool = True
    lists: bool = False
    refuse: set[str] = field(default_factory=set)

    @property
    def environment(self) -> dict[str, str]:
        """Where rpc finds it; the first host of the API is one that is down."""
        return {
            "JABBER_API": f"http://127.0.0.1:1/api,http://127.0.0.1:{self.port}/api",
            "JABBER_API_USER": "rpc@api.internal",
            "JABBER_API_TOKEN": "the token",
            "JABBER_BOSH_HOST": "127.0.0.1",
            "JABBER_BOSH_PORT": str(self.port),
            "JABBER_OPERATORS": "ada@hab.la, bob@hab.la",
        }

    def command(self, name: str, arguments: dict[str, Any]) -> tuple[int, Any]:
        """The status and the answer of a command of the API."""
        self.calls.append((name, arguments))
        if name in self.refuse:
            return 403, {"status": "error", "code": 32}
        room = f"{arguments['name']}@{arguments['service']}"
        match name:
            case "create_room_with_opts":
                self.rooms.add(room)
            case "destroy_room" if room in self.rooms:
                self.rooms.remove(room)
            case "send_direct_invitation" if isinstance(arguments["users"], list) == self.lists:
                pass
            case _:
                return 400, {"status": "error", "message": "no"}
        return 200, 0

    def answers(self, stanza: ElementTree.Element) -> Iterator[str]:
        """What it sends after a stanza."""
        if stanza.tag == f"{{{SASL}}}auth":
            yield f"<success xmlns='{SASL}'/>"
            return
        number, room = stanza.get("id"), stanza.get("to", "")
        head = f"<iq xmlns='jabber:client' id='{number}' type="
        query = stanza.find(f"{{{MAM}}}query")
        if query is None:
            yield f"{head}'result'/>"
        elif room not in self.rooms:
            condition = "<item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/>"
            yield f"{head}'error'><error type='cancel'>{condition}</error></iq>"
        else:
            first = int(query.findtext(f".//{{{RSM}}}after") or 0)
            found = list(enumerate(self.messages, 1))[first : first + self.page]
            for at, (nick, text) in found:
                yield (
                    f"<message xmlns='jabber:client'><result xmlns='{MAM}' id='{at}'>"
                    "<forwarded xmlns='urn:xmpp:forward:0'>"
                    f"<delay xmlns='urn:xmpp:delay' stamp='2026-01-01T00:00:{at:02}Z'/>"
                    f"<message xmlns='jabber:client' from={quoteattr(f'{room}/{nick}')}>"
                    f"<body>{escape(text)}</body></message></forwarded></result></message>"
                )
            complete = "true" if first + self.page >= len(self.messages) else "false"
            last = f"<last>{found[-1][0]}</last>" if found else ""
            page = f"<set xmlns='{RSM}'>{last}</set>"
            yield f"{head}'result'><fin xmlns='{MAM}' complete='{complete}'>{page}</fin></iq>"


@contextmanager
def fake_jabber() -> Iterator[Jabber]:
    """One that runs until the end of the block."""
    jabber = Jabber()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            content = self.rfile.read(int(self.headers["Content-Length"]))
            if self.path == "/bosh":
                self._send(200, _bosh(jabber, ElementTree.fromstring(content)).encode())
            elif self.headers["Authorization"] != CREDENTIALS:
                self._send(401, b"{}")
            else:
                status, answer = jabber.command(self.path.removeprefix("/api/"), json.loads(content))
                self._send(status, json.dumps(answer).encode())

        def _send(self, status: int, content: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            """Nothing."""

    class Server(ThreadingHTTPServer):
        def get_request(self) -> tuple[socket.socket, Any]:
            connection, address = super().get_request()
            head = connection.recv(5, socket.MSG_PEEK)
            # The API's listener has no PROXY protocol, and that of BOSH may: as on a host.
            if head == b"PROXY":
                if not jabber.proxied:
                    connection.close()
                    raise OSError("no PROXY protocol here")
                while connection.recv(1) != b"\n":
                    pass
            elif jabber.proxied and connection.recv(10, socket.MSG_PEEK) == b"POST /bosh":
                connection.close()
                raise OSError("the PROXY protocol is needed here")
            return connection, address

    with Server(("127.0.0.1", 0), Handler) as server:
        jabber.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield jabber
        finally:
            server.shutdown()
            thread.join()


def _bosh(jabber: Jabber, body: ElementTree.Element) -> str:
    """The answer to a request of BOSH. New streams begin with their features."""
    begins = body.get("sid") is None or body.get("{urn:xmpp:xbosh}restart") == "true"
    stanzas = (
        "<stream:features/>" if begins else "".join(part for one in body for part in jabber.answers(one))
    )
    return (
        "<body xmlns='http://jabber.org/protocol/httpbind' xmlns:stream='http://etherx.jabber.org/streams'"
        f" sid='s1'>{stanzas}</body>"
    )
