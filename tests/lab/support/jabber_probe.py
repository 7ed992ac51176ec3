"""Asks the fleet's Jabber as a client does, and prints what it finds as one JSON document.

    jabber-probe.py ADDRESS ACCOUNT PASSWORD

Run in the lab's outside network. The document:
    {"features": {"server" | "account" | "rooms" | "upload" | "stream": [namespace, ...]},
     "direct_tls": {"subject": …}, "links": {relation: URL},
     "visitor": {"jid": …, "items": [...], "room": ERROR or null, "other_server": ERROR or null},
     "room": {"name": …, "archive": [body, ...]}, "history": [body, ...],
     "upload": {"url": …, "path": …, "put": STATUS, "again": STATUS, "forged": STATUS, "got": BODY}}
"""

from __future__ import annotations

import asyncio
import http.client
import json
import socket
import ssl
import sys
import time
from typing import Any
from urllib.parse import urlsplit
from xml.etree import ElementTree

import slixmpp
from slixmpp.exceptions import IqError, IqTimeout
from slixmpp.xmlstream.handler import Callback
from slixmpp.xmlstream.matcher import MatchXPath

DOMAIN, VISITORS = "hab.la", "visitors.hab.la"
STREAM = "{http://etherx.jabber.org/streams}"
PLUGINS = ("xep_0030", "xep_0045", "xep_0163", "xep_0199", "xep_0313", "xep_0363")
# Seconds for one answer.
ASKING = 8


def context() -> ssl.SSLContext:
    """The certificate is the host's own, which nobody can verify."""
    found = ssl.create_default_context()
    found.check_hostname = False
    found.verify_mode = ssl.CERT_NONE
    return found


class Client(slixmpp.ClientXMPP):
    """A client that remembers what the stream offered last."""

    def __init__(self, jid: str, password: str) -> None:
        super().__init__(jid, password, ssl_context=context())
        self.enable_direct_tls = False
        for plugin in PLUGINS:
            self.register_plugin(plugin)
        self.offered: set[str] = set()
        self.register_handler(Callback("offered", MatchXPath(f"{STREAM}features"), self._features))
        self.started = asyncio.get_running_loop().create_future()
        self.add_event_handler("session_start", self._start)
        self.add_event_handler("failed_all_auth", self._refused)

    def _features(self, stanza: Any) -> None:
        self.offered = {element.tag[1:].partition("}")[0] for element in stanza.xml}

    def _start(self, event: Any) -> None:
        self.send_presence()
        if not self.started.done():
            self.started.set_result(None)

    def _refused(self, event: Any) -> None:
        if not self.started.done():
            self.started.set_exception(ConnectionError("no SASL mechanism let it in"))

    async def log_in(self, address: str) -> None:
        self.connect(address, 5222)
        await asyncio.wait_for(self.started, ASKING)

    async def disco(self, jid: str) -> list[str]:
        answer = await self.plugin["xep_0030"].get_info(jid=jid, timeout=ASKING)
        return sorted(answer["disco_info"]["features"])


async def refusal(request: Any) -> str | None:
    """The condition of the error that a request ends in; None when it works."""
    try:
        await asyncio.wait_for(request, ASKING)
    except IqError as error:
        return str(error.condition)
    except (IqTimeout, TimeoutError):
        return "timeout"
    except slixmpp.exceptions.XMPPError as error:
        return str(error.condition)
    return None


async def join(client: Client, room: str) -> None:
    await client.plugin["xep_0045"].join_muc_wait(room, client.boundjid.user[:8], timeout=ASKING)


async def archive(client: Client, jid: str) -> list[str]:
    """The bodies of an archive, the newest last."""
    found = []
    async for message in client.plugin["xep_0313"].iterate(jid=jid, rsm={"max": 50}, reverse=False, total=50):
        body = message["mam_result"]["forwarded"]["stanza"]["body"]
        if body:
            found.append(body)
    return found


def send(address: str, url: str, body: bytes | None = None) -> tuple[int, bytes]:
    """Through HAProxy, as a browser that knows the address."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(address, 80, timeout=ASKING)
    try:
        target = parts.path + (f"?{parts.query}" if parts.query else "")
        connection.request("GET" if body is None else "PUT", target, body, {"Host": str(parts.hostname)})
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def direct_tls(address: str) -> dict[str, str]:
    """The first stanza of a stream that begins with TLS, and what protocol was chosen."""
    wanted = context()
    wanted.set_alpn_protocols(["xmpp-client"])
    with socket.create_connection((address, 5223), ASKING) as plain, wanted.wrap_socket(plain) as stream:
        head = "<stream:stream to='hab.la' xmlns='jabber:client' version='1.0'"
        stream.sendall(f"{head} xmlns:stream='http://etherx.jabber.org/streams'>".encode())
        answer = b""
        while b"</stream:features>" not in answer:
            answer += stream.recv(4096) or b"</stream:features>"
        return {"mechanisms": str(b"SCRAM-SHA-1" in answer), "version": str(stream.version())}


def links(address: str) -> dict[str, str]:
    status, body = send(address, "http://www.hab.la/.well-known/host-meta.json")
    assert status == 200, body
    status, text = send(address, "http://www.hab.la/.well-known/host-meta")
    xml = {link.get("rel"): link.get("href") for link in ElementTree.fromstring(text)}
    found = {link["rel"]: link["href"] for link in json.loads(body)["links"]}
    assert found == xml, (found, xml)
    return found


async def upload(client: Client, address: str) -> dict[str, Any]:
    content = f"content {time.time()}".encode()
    slot = (await client.plugin["xep_0363"].request_slot(f"upload.{DOMAIN}", "a b.png", len(content)))[
        "http_upload_slot"
    ]
    put, get = slot["put"]["url"], slot["get"]["url"]
    forged = send(address, put[:-4] + "0000", content)[0]
    status = send(address, put, content)[0]
    again = send(address, put, content)[0]
    got = send(address, get)
    return {
        "url": get,
        "path": urlsplit(get).path,
        "forged": forged,
        "put": status,
        "again": again,
        "got": got[1].decode(),
        "sent": content.decode(),
    }


async def probe(address: str, account: str, password: str) -> dict[str, Any]:
    operator = Client(f"{account}@{DOMAIN}", password)
    await operator.log_in(address)
    features = {
        "server": await operator.disco(DOMAIN),
        "account": await operator.disco(operator.boundjid.bare),
        "rooms": await operator.disco(f"conference.{DOMAIN}"),
        "upload": await operator.disco(f"upload.{DOMAIN}"),
        "stream": sorted(operator.offered),
    }
    visitor = Client(VISITORS, "")
    await visitor.log_in(address)
    items = await visitor.plugin["xep_0030"].get_items(jid=VISITORS, timeout=ASKING)
    room = f"probe-{time.time_ns()}@conference.{DOMAIN}"
    not_theirs = await refusal(join(visitor, f"v-{room}"))
    elsewhere = await refusal(visitor.plugin["xep_0199"].send_ping("example.org", timeout=ASKING))
    await join(operator, room)
    # A new room is open to others once its owner has taken it as the server makes it.
    form = operator.plugin["xep_0004"].make_form(ftype="submit")
    await operator.plugin["xep_0045"].set_room_config(room, form, timeout=ASKING)
    await join(visitor, room)
    visitor.send_message(mto=room, mbody="from the visitor", mtype="groupchat")
    operator.send_message(mto=room, mbody="from the operator", mtype="groupchat")
    operator.send_message(mto=operator.boundjid.bare, mbody="note to self", mtype="chat")
    await asyncio.sleep(1.5)
    found = {
        "features": features,
        "direct_tls": direct_tls(address),
        "links": links(address),
        "visitor": {
            "jid": visitor.boundjid.bare,
            "items": sorted(item[0] for item in items["disco_items"]["items"]),
            "room": not_theirs,
            "other_server": elsewhere,
        },
        "room": {"name": room, "archive": await archive(visitor, room)},
        "history": await archive(operator, operator.boundjid.bare),
        "upload": await upload(visitor, address),
    }
    await operator.disconnect(wait=1)
    await visitor.disconnect(wait=1)
    return found


if __name__ == "__main__":
    print(json.dumps(asyncio.run(probe(*sys.argv[1:4]))))
