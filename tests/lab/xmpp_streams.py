"""XMPP streams over HTTP: elements go in and come out, whatever carries them."""

from __future__ import annotations

import asyncio
import contextlib
import random
from xml.etree import ElementTree

import aiohttp

DOMAIN = "hab.la"
PORT = 5280
IDLE_SECONDS = 0.05
HTTPBIND = "http://jabber.org/protocol/httpbind"
FRAMING = "urn:ietf:params:xml:ns:xmpp-framing"


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
        url = f"ws://{address}:{PORT}/websocket"
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
    """XEP-0124 and XEP-0206: one request waits at the server, a second one carries what is sent.

    ejabberd 23.01 does not go on when two requests overtake each other, which those of different connections
    may. So nothing is asked for at once after an answer: what there is to send goes first, as browsers do it.
    """

    async def open(self, address: str) -> None:
        self._url = f"http://{address}:{PORT}/bosh"
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
            await asyncio.wait_for(self._post("type='terminate'", ""), 1)
        for task in self._tasks:
            task.cancel()
        self.elements.put_nowait(None)
        await super().close()

    def _ask(self) -> None:
        if self._waiting == 0 and not self._ended:
            self._start("", "")

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
            asyncio.get_running_loop().call_later(IDLE_SECONDS, self._ask)
