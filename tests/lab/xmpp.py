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
import random
import ssl
import sys
import time
import uuid
from typing import Any
from xml.etree import ElementTree
from xml.sax.saxutils import escape, quoteattr

import aiohttp
import slixmpp

DOMAIN = "hab.la"
BOSH_PORT, C2S_PORT = 5280, 5222
# One try at logging in; the fleet may be losing a host meanwhile.
ATTEMPT_SECONDS = 6.0

HTTPBIND = "http://jabber.org/protocol/httpbind"
FRAMING = "urn:ietf:params:xml:ns:xmpp-framing"
SASL = "urn:ietf:params:xml:ns:xmpp-sasl"
BIND = "urn:ietf:params:xml:ns:xmpp-bind"
CLIENT = "{jabber:client}"


def say(**event: Any) -> None:
    """One event."""
    print(json.dumps(event), flush=True)


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


class HttpStream:
    """What BOSH and websocket have in common: elements to send, elements that came."""

    def __init__(self) -> None:
        self.session = aiohttp.ClientSession()
        self.elements: asyncio.Queue[ElementTree.Element | None] = asyncio.Queue()

    async def open(self, address: str) -> None:
        """A first stream."""
        raise NotImplementedError

    async def restart(self) -> None:
        """A new stream after SASL."""
        raise NotImplementedError

    async def send(self, xml: str) -> None:
        """One stanza."""
        raise NotImplementedError

    async def close(self) -> None:
        """The end."""
        await self.session.close()

    async def next(self, *names: str) -> ElementTree.Element:
        """The next element with one of these local names; raises ConnectionError at the stream's end."""
        while True:
            element = await self.elements.get()
            if element is None:
                raise ConnectionError("the stream ended")
            if element.tag.rpartition("}")[2] in names:
                return element


class Websocket(HttpStream):
    """RFC 7395."""

    async def open(self, address: str) -> None:
        url = f"ws://{address}:{BOSH_PORT}/websocket"
        self._socket = await self.session.ws_connect(url, protocols=("xmpp",), headers={"Host": DOMAIN})
        self._reader = asyncio.create_task(self._read())
        await self.restart()

    async def restart(self) -> None:
        await self._socket.send_str(f"<open xmlns='{FRAMING}' to='{DOMAIN}' version='1.0'/>")

    async def send(self, xml: str) -> None:
        await self._socket.send_str(xml)

    async def close(self) -> None:
        with contextlib.suppress(ConnectionError):
            await self._socket.send_str(f"<close xmlns='{FRAMING}'/>")
        await super().close()

    async def _read(self) -> None:
        async for frame in self._socket:
            if frame.type is aiohttp.WSMsgType.TEXT:
                self.elements.put_nowait(ElementTree.fromstring(frame.data))
        self.elements.put_nowait(None)


class Bosh(HttpStream):
    """XEP-0124 and XEP-0206: one request always waits at the server, a second one carries what is sent."""

    async def open(self, address: str) -> None:
        self._url = f"http://{address}:{BOSH_PORT}/bosh"
        self._sid, self._rid, self._waiting = "", random.randrange(1, 1 << 40), 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._ended = False
        attributes = "ver='1.6' wait='20' hold='1' content='text/xml; charset=utf-8' xmpp:version='1.0'"
        await self._post(f"to='{DOMAIN}' {attributes}", "")
        if not self._sid:
            raise ConnectionError("BOSH gave no session")

    async def restart(self) -> None:
        self._start(f"to='{DOMAIN}' xmpp:restart='true'", "")

    async def send(self, xml: str) -> None:
        self._start("", xml)

    async def close(self) -> None:
        self._ended = True
        with contextlib.suppress(aiohttp.ClientError, asyncio.TimeoutError):
            await asyncio.wait_for(self._post("type='terminate'", ""), 2)
        for task in self._tasks:
            task.cancel()
        self.elements.put_nowait(None)
        await super().close()

    def _start(self, attributes: str, xml: str) -> None:
        task = asyncio.create_task(self._post(attributes, xml))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _post(self, attributes: str, xml: str) -> None:
        self._rid += 1
        self._waiting += 1
        sid = f"sid='{self._sid}'" if self._sid else ""
        body = (
            f"<body xmlns='{HTTPBIND}' xmlns:xmpp='urn:xmpp:xbosh' rid='{self._rid}' {sid} {attributes}>"
            f"{xml}</body>"
        )
        try:
            headers = {"Content-Type": "text/xml; charset=utf-8", "Host": DOMAIN}
            async with self.session.post(self._url, data=body, headers=headers) as answer:
                if answer.status != 200:
                    raise ConnectionError(f"BOSH answered {answer.status}")
                document = ElementTree.fromstring(await answer.text())
        except (aiohttp.ClientError, ConnectionError):
            self._ended = True
            self.elements.put_nowait(None)
            return
        finally:
            self._waiting -= 1
        self._sid = document.get("sid", self._sid)
        for element in document:
            self.elements.put_nowait(element)
        if document.get("type") == "terminate":
            self._ended = True
            self.elements.put_nowait(None)
        if self._waiting == 0 and not self._ended:
            self._start("", "")


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
    """Try until it works or the time is up."""
    user, started = command["user"], time.monotonic()
    while (left := command["seconds"] - (time.monotonic() - started)) > 0:
        new = client(command["via"], user, command["password"])
        try:
            await asyncio.wait_for(new.log_in(command["address"]), min(ATTEMPT_SECONDS, left))
        except (TimeoutError, OSError, aiohttp.ClientError) as error:
            say(event="attempt", user=user, fault=f"{type(error).__name__} {error}")
            with contextlib.suppress(Exception):
                await asyncio.wait_for(new.log_out(), 2)
            await asyncio.sleep(0.2)
        else:
            clients[user] = new
            say(event="online", user=user, seconds=round(time.monotonic() - started, 2))
            return


async def main() -> None:
    """Commands until the end of stdin."""
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
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
