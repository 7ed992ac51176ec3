"""XMPP clients as a program: logs in over TCP (slixmpp), BOSH or websocket, told what to do on stdin.

Run in the lab's outside network. One line of JSON is one command, one line of JSON is one event:

    {"do": "login", "user": "ada", "password": "…", "via": "c2s", "address": "203.0.113.10", "seconds": 15}
    {"do": "send", "user": "ada", "to": "bob@hab.la", "body": "hello"}
    {"do": "logout", "user": "ada"}
    {"event": "online", "user": "ada", "seconds": 0.3}
    {"event": "offline", "user": "ada"}
    {"event": "message", "user": "bob", "from": "ada@hab.la/…", "body": "hello"}
    {"event": "attempt", "user": "ada", "fault": "…"}
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import ssl
import sys
import time
import uuid
from math import ceil
from typing import Any
from xml.etree import ElementTree
from xml.sax.saxutils import escape, quoteattr

import aiohttp
import slixmpp
from events import say
from pace import Pace
from xmpp_streams import DOMAIN, Bosh, HttpStream, Websocket

C2S_PORT = 5222
# The longest attempt at logging in, because the fleet may be losing a host meanwhile; and attempts a second.
ATTEMPT_SECONDS, ATTEMPT_RATE = 6.0, 5

SASL = "urn:ietf:params:xml:ns:xmpp-sasl"
BIND = "urn:ietf:params:xml:ns:xmpp-bind"
CLIENT = "{jabber:client}"


class TcpClient(slixmpp.ClientXMPP):
    """XMPP over TCP with STARTTLS. The certificate is the host's own, which nobody can verify."""

    def __init__(self, user: str, password: str) -> None:
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        super().__init__(f"{user}@{DOMAIN}", password, ssl_context=context)
        self.enable_direct_tls = False
        self.user = user
        # Only one that was online can get offline; an attempt that fails says so by itself.
        self.online: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.add_event_handler("session_start", self._started)
        self.add_event_handler("presence_available", self._present)
        self.add_event_handler("message", self._message)
        self.add_event_handler("disconnected", self._ended)
        self.add_event_handler("failed_all_auth", self._refused)

    async def log_in(self, address: str) -> None:
        """Until the own presence has come back."""
        self.connect(address, C2S_PORT)
        await self.online

    def send_text(self, to: str, body: str) -> None:
        """A chat message."""
        self.send_message(mto=to, mbody=body, mtype="chat")

    async def log_out(self) -> None:
        """Ends the stream, or the attempt at one."""
        self.cancel_connection_attempt()
        await self.disconnect(wait=1.0)

    async def _started(self, event: Any) -> None:
        self.send_presence()

    def _present(self, presence: slixmpp.Presence) -> None:
        if presence["from"].full == self.boundjid.full and not self.online.done():
            self.online.set_result(None)

    def _message(self, message: slixmpp.Message) -> None:
        say(event="message", user=self.user, **{"from": str(message["from"])}, body=message["body"])

    def _refused(self, event: Any) -> None:
        self._fail("no SASL mechanism let it in")

    def _ended(self, reason: Any) -> None:
        if self.online.done() and not self.online.cancelled() and self.online.exception() is None:
            say(event="offline", user=self.user)
        else:
            self._fail(f"disconnected: {reason}")

    def _fail(self, reason: str) -> None:
        if not self.online.done():
            self.online.set_exception(ConnectionError(reason))


class HttpClient:
    """A client of XMPP over BOSH or websocket, SASL PLAIN."""

    def __init__(self, user: str, password: str, stream: HttpStream) -> None:
        self.user, self._password, self._stream = user, password, stream
        self._reader: asyncio.Task[None] | None = None

    async def log_in(self, address: str) -> None:
        """Until the own presence has come back."""
        stream = self._stream
        await stream.open(address)
        features = await stream.next("features")
        mechanisms = [element.text for element in features.iter(f"{{{SASL}}}mechanism")]
        if "PLAIN" not in mechanisms:
            raise ConnectionError(f"no PLAIN among {mechanisms}")
        initial = base64.b64encode(f"\0{self.user}\0{self._password}".encode()).decode()
        await stream.send(f"<auth xmlns='{SASL}' mechanism='PLAIN'>{initial}</auth>")
        answer = await stream.next("success", "failure")
        if not answer.tag.endswith("success"):
            raise ConnectionError(ElementTree.tostring(answer, "unicode"))
        await stream.restart()
        await stream.next("features")
        await stream.send(
            f"<iq xmlns='jabber:client' id='{uuid.uuid4()}' type='set'><bind xmlns='{BIND}'/></iq>"
        )
        bound = (await stream.next("iq")).find(f".//{{{BIND}}}jid")
        if bound is None:
            raise ConnectionError("the server bound no resource")
        await stream.send("<presence xmlns='jabber:client'/>")
        while (await stream.next("presence")).get("from") != bound.text:
            pass
        self._reader = asyncio.create_task(self._read())

    def send_text(self, to: str, body: str) -> None:
        """A chat message."""
        stanza = f"<message xmlns='jabber:client' type='chat' to={quoteattr(to)}><body>{escape(body)}</body>"
        self._sending = asyncio.create_task(self._stream.send(f"{stanza}</message>"))

    async def log_out(self) -> None:
        """Ends the stream, or the attempt at one."""
        await self._stream.close()

    async def _read(self) -> None:
        with contextlib.suppress(ConnectionError):
            while True:
                message = await self._stream.next("message")
                body = message.findtext(f"{CLIENT}body")
                if body is not None:
                    say(event="message", user=self.user, **{"from": message.get("from")}, body=body)
        say(event="offline", user=self.user)


def client(via: str, user: str, password: str) -> TcpClient | HttpClient:
    """A client that is not yet connected."""
    if via == "c2s":
        return TcpClient(user, password)
    return HttpClient(user, password, {"bosh": Bosh, "websocket": Websocket}[via]())


async def log_in(clients: dict[str, TcpClient | HttpClient], command: dict[str, Any]) -> None:
    """Try until it works or the time is up.

    When the time is up, there is no event ``online``, and the test that expects one fails.
    """
    user, started = command["user"], time.monotonic()
    pace = Pace(ATTEMPT_RATE, ceil(ATTEMPT_RATE * command["seconds"]) + 1)
    while (left := command["seconds"] - (time.monotonic() - started)) > 0:
        await asyncio.sleep(pace.take())
        new = client(command["via"], user, command["password"])
        try:
            await asyncio.wait_for(new.log_in(command["address"]), min(ATTEMPT_SECONDS, left))
        except (TimeoutError, OSError, aiohttp.ClientError) as error:
            say(event="attempt", user=user, fault=f"{type(error).__name__} {error}")
            with contextlib.suppress(Exception):
                await asyncio.wait_for(new.log_out(), 2)
        else:
            clients[user] = new
            say(event="online", user=user, seconds=round(time.monotonic() - started, 2))
            return


def complain(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """slixmpp leaves a task behind at every connection that ends; the rest is worth a word."""
    if "Task was destroyed" not in context["message"]:
        loop.default_exception_handler(context)


async def main() -> None:
    """Commands until the end of stdin."""
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(complain)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    clients: dict[str, TcpClient | HttpClient] = {}
    tasks: set[asyncio.Task[None]] = set()
    while line := await reader.readline():
        command = json.loads(line)
        match command["do"]:
            case "login":
                tasks.add(asyncio.create_task(log_in(clients, command)))
            case "send":
                clients[command["user"]].send_text(command["to"], command["body"])
            case "logout":
                await clients.pop(command["user"]).log_out()


if __name__ == "__main__":
    asyncio.run(main())
