"""The messages of a room, out of Jabber's own archive: a short visit without an account, over BOSH.

ejabberd 23.01 has no API command for a room's messages. A visitor who knows the name of a room may read its
archive (XEP-0313) unless the room is for members only, and so may this program. BOSH (XEP-0124) is XMPP in
HTTP requests: Python's standard library is enough for it.
"""

from __future__ import annotations

import http.client
import os
import secrets
import time
from dataclasses import dataclass
from xml.etree import ElementTree
from xml.sax.saxutils import quoteattr

from http_app import BackendError

# For all of a visit, for the server to answer one request, and for one request at all.
SECONDS, WAIT, REQUEST_SECONDS = 12.0, 2, 4.0
PAGE, MOST = 100, 10_000

BIND = "urn:ietf:params:xml:ns:xmpp-bind"
DELAY = "{urn:xmpp:delay}"
MAM = "urn:xmpp:mam:2"
RSM = "http://jabber.org/protocol/rsm"
SASL = "urn:ietf:params:xml:ns:xmpp-sasl"
CLIENT = "{jabber:client}"


@dataclass(frozen=True)
class Message:
    """A message of a room. id: the archive's. sender: a nick. sent: as XMPP writes a time."""

    id: str
    sender: str
    text: str
    sent: str


class NoSuchRoom(Exception):
    """The room is not there, or no longer."""


def messages(room: str, domain: str) -> list[Message]:
    """All messages of a room, oldest first. domain: which lets in visitors without an account.

    Raises NoSuchRoom, or BackendError when no host answers.
    """
    addresses = [address for address in os.environ.get("JABBER_BOSH_HOST", "").split(",") if address]
    # Its own host first: what is on the same machine is up when this program is.
    addresses.sort(key=lambda address: address != os.environ["HABLA_ADDRESS"])
    fault = "JABBER_BOSH_HOST names no host"
    for address in addresses:
        # HAProxy tells ejabberd the client's address by the PROXY protocol, where both can.
        for proxied in (True, False):
            try:
                return _visit(_Bosh(address, proxied), room, domain)
            except (OSError, http.client.HTTPException, ElementTree.ParseError) as error:
                fault = f"{address}: {type(error).__name__} {error}"
    raise BackendError(f"Jabber archive: {fault}")


def _visit(bosh: _Bosh, room: str, domain: str) -> list[Message]:
    try:
        bosh.open(domain)
        found: list[Message] = []
        after, complete = "", False
        while not complete and len(found) < MOST:
            page, after, complete = _page(bosh, room, after)
            found += page
        return found
    finally:
        bosh.close()


def _page(bosh: _Bosh, room: str, after: str) -> tuple[list[Message], str, bool]:
    """Some messages, the last one's id, and whether there are no more."""
    position = f"<after>{after}</after>" if after else ""
    bosh.send(
        f"<iq xmlns='jabber:client' type='set' id='page{after}' to={quoteattr(room)}><query xmlns='{MAM}'>"
        f"<set xmlns='{RSM}'><max>{PAGE}</max>{position}</set></query></iq>"
    )
    found = []
    while (stanza := bosh.next()).tag != f"{CLIENT}iq":
        message = _message(stanza)
        if message is not None:
            found.append(message)
    if stanza.get("type") != "result":
        if stanza.find(".//{*}item-not-found") is not None:
            raise NoSuchRoom(room)
        raise OSError(f"refused: {ElementTree.tostring(stanza, 'unicode')}")
    end = stanza.find(f"{{{MAM}}}fin")
    last = stanza.findtext(f".//{{{RSM}}}last") or ""
    return found, last, end is None or end.get("complete") == "true" or not last


def _message(stanza: ElementTree.Element) -> Message | None:
    """A message with a text; subjects and the like have none."""
    result = stanza.find(f"{{{MAM}}}result")
    inner = stanza.find(f".//{CLIENT}message")
    if result is None or inner is None or not inner.findtext(f"{CLIENT}body"):
        return None
    delay = result.find(f".//{DELAY}delay")
    return Message(
        id=result.get("id", ""),
        sender=inner.get("from", "").partition("/")[2],
        text=inner.findtext(f"{CLIENT}body") or "",
        sent="" if delay is None else delay.get("stamp", ""),
    )


class _Connection(http.client.HTTPConnection):
    """HTTP after a line of the PROXY protocol, which says that this program is the client."""

    def connect(self) -> None:
        super().connect()
        (source, source_port), (target, target_port) = self.sock.getsockname(), self.sock.getpeername()
        self.sock.sendall(f"PROXY TCP4 {source} {target} {source_port} {target_port}\r\n".encode())


class _Bosh:
    """One session, one request at a time."""

    def __init__(self, address: str, proxied: bool) -> None:
        port = int(os.environ["JABBER_BOSH_PORT"])
        kind = _Connection if proxied else http.client.HTTPConnection
        self._connection = kind(address, port, timeout=REQUEST_SECONDS)
        self._arrived: list[ElementTree.Element] = []
        self._until = time.monotonic() + SECONDS
        self._rid, self._sid = secrets.randbelow(1 << 40) + 1, ""

    def open(self, domain: str) -> None:
        """Until there is an address to ask from."""
        terms = f"ver='1.6' wait='{WAIT}' hold='1' content='text/xml; charset=utf-8' xmpp:version='1.0'"
        self._post(f"to={quoteattr(domain)} {terms}")
        self._wait_for("features")
        self.send(f"<auth xmlns='{SASL}' mechanism='ANONYMOUS'/>")
        if self._wait_for("success", "failure").tag != f"{{{SASL}}}success":
            raise OSError(f"{domain} lets in nobody without an account")
        self._post(f"to={quoteattr(domain)} xmpp:restart='true'")
        self._wait_for("features")
        self.send(f"<iq xmlns='jabber:client' type='set' id='bind'><bind xmlns='{BIND}'/></iq>")
        if self._wait_for("iq").get("type") != "result":
            raise OSError(f"{domain} gives out no addresses")

    def send(self, stanza: str) -> None:
        """One stanza."""
        self._post("", stanza)

    def next(self) -> ElementTree.Element:
        """The next stanza that came."""
        while not self._arrived:
            self._post("")
        return self._arrived.pop(0)

    def close(self) -> None:
        """The end, of which the server learns if it is there."""
        try:
            if self._sid:
                self._post("type='terminate'")
        except (OSError, http.client.HTTPException, ElementTree.ParseError):
            pass
        self._connection.close()

    def _wait_for(self, *names: str) -> ElementTree.Element:
        while (element := self.next()).tag.rpartition("}")[2] not in names:
            pass
        return element

    def _post(self, attributes: str, stanza: str = "") -> None:
        if time.monotonic() > self._until:
            raise TimeoutError(f"not done within {SECONDS:.0f} s")
        self._rid += 1
        session = f"sid={quoteattr(self._sid)}" if self._sid else ""
        body = (
            "<body xmlns='http://jabber.org/protocol/httpbind' xmlns:xmpp='urn:xmpp:xbosh'"
            f" rid='{self._rid}' {session} {attributes}>{stanza}</body>"
        )
        headers = {"Content-Type": "text/xml; charset=utf-8"}
        self._connection.request("POST", "/bosh", body.encode(), headers)
        answer = self._connection.getresponse()
        content = answer.read()
        if answer.status != 200:
            raise OSError(f"BOSH answered {answer.status}")
        document = ElementTree.fromstring(content)
        self._sid = document.get("sid", self._sid)
        self._arrived += document
        if document.get("type") == "terminate" and "terminate" not in attributes:
            raise OSError(f"BOSH ended the session: {document.get('condition')}")
