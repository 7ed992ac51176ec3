"""XMPP streams over HTTP: elements go in and come out, whatever carries them."""

from __future__ import annotations

import asyncio
import contextlib
import random
from xml.etree import ElementTree

import aiohttp
from events import fail
from pace import Pace, TooMany

DOMAIN = "hab.la"
PORT = 5280
# BOSH: how long the client waits for something to send before it asks what came, and how long the server may
# hold that question.
IDLE_SECONDS = 0.05
WAIT_SECONDS = 1
# Requests a second of one session, and the most of them: it lives for a minute and a half at least.
REQUEST_RATE, MOST_REQUESTS = 20, 2000
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
    """XEP-0124 and XEP-0206, one request at a time.

    A second request could be under way while the server holds the first one. They would go by connections of
    their own and might overtake each other, and ejabberd 23.01 then keeps the later one until it has more to
    send. Hence the server answers within a second here, and the next request takes what there is by then.
    """

    def __init__(self) -> None:
        super().__init__()
        # Attributes and stanzas of requests to come.
        self._outgoing: asyncio.Queue[tuple[str, str]] = asyncio.Queue()
        self._talking: asyncio.Task[None] | None = None
        self._pace = Pace(REQUEST_RATE, MOST_REQUESTS)

    async def open(self, address: str) -> None:
        self._url = f"http://{address}:{PORT}/bosh"
        self._sid, self._rid = "", random.randrange(1, 1 << 40)
        terms = f"ver='1.6' wait='{WAIT_SECONDS}' hold='1' content='text/xml; charset=utf-8'"
        await self._post(f"to='{DOMAIN}' {terms} xmpp:version='1.0'", "")
        if not self._sid:
            raise ConnectionError("BOSH gave no session")
        self._talking = asyncio.create_task(self._talk())

    async def restart(self) -> None:
        self._outgoing.put_nowait((f"to='{DOMAIN}' xmpp:restart='true'", ""))

    async def send(self, xml: str) -> None:
        self._outgoing.put_nowait(("", xml))

    async def close(self) -> None:
        self._outgoing.put_nowait(("type='terminate'", ""))
        if self._talking is not None:
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._talking, 2 * WAIT_SECONDS)
        await super().close()

    async def _talk(self) -> None:
        """Requests until the session ends."""
        try:
            goes_on = True
            while goes_on:
                attributes = stanzas = ""
                with contextlib.suppress(asyncio.TimeoutError):
                    attributes, stanzas = await asyncio.wait_for(self._outgoing.get(), IDLE_SECONDS)
                goes_on = await self._post(attributes, stanzas)
        except (aiohttp.ClientError, ConnectionError):
            pass
        except TooMany as error:
            fail(error)
        finally:
            self.elements.put_nowait(None)

    async def _post(self, attributes: str, stanzas: str) -> bool:
        """One request; whether the session goes on after it."""
        await asyncio.sleep(self._pace.take())
        self._rid += 1
        sid = f"sid='{self._sid}'" if self._sid else ""
        body = (
            f"<body xmlns='{HTTPBIND}' xmlns:xmpp='urn:xmpp:xbosh' rid='{self._rid}' {sid} {attributes}>"
            f"{stanzas}</body>"
        )
        headers = {"Content-Type": "text/xml; charset=utf-8", "Host": DOMAIN}
        async with self.session.post(self._url, data=body, headers=headers) as answer:
            if answer.status != 200:
                raise ConnectionError(f"BOSH answered {answer.status}")
            document = ElementTree.fromstring(await answer.text())
        self._sid = document.get("sid", self._sid)
        for element in document:
            self.elements.put_nowait(element)
        return document.get("type") != "terminate"
