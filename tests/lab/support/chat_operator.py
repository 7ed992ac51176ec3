"""An operator of the chat as a program: a Jabber client of today, told what to do on stdin.

It logs in over TCP, comes back by itself when its connection ends, and joins each room that it is invited to.
Every few seconds it asks the room whether it is still in it, and it fetches what it missed from the archive.
Run it in the lab's outside network. One line of JSON is one command, one line of JSON is one event:

    {"do": "login", "user": "ada", "password": "…", "address": "203.0.113.10", "rooms": []}
    {"do": "say", "room": "…", "body": "hello"}
    {"do": "upload", "service": "upload.hab.la", "name": "a.png", "size": 70, "type": "image/png"}
    {"do": "share", "room": "…", "url": "http://…"}
    {"do": "logout"}
    {"event": "online"}
    {"event": "offline"}
    {"event": "invited", "room": "…"}
    {"event": "joined", "room": "…"}
    {"event": "heard", "room": "…", "nick": "Visitor", "body": "hello", "url": ""}
    {"event": "slot", "put": "http://…", "get": "http://…", "headers": {…}}
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl
import sys
from typing import Any

import slixmpp
from events import fail, say
from slixmpp.exceptions import IqError, IqTimeout
from xmpp_streams import DOMAIN

C2S_PORT = 5222
# Seconds: between two questions to the room, for an answer, and between two attempts to log in.
ASK, ANSWER, AGAIN = 3.0, 3.0, 0.5
# What answers a ping to oneself in a room one is in, besides a result (XEP-0410).
THERE = ("service-unavailable", "feature-not-implemented", "item-not-found")


class Operator(slixmpp.ClientXMPP):
    """One connection. rooms and last outlive it: the rooms, and the last message of each archive."""

    def __init__(self, command: dict[str, str], rooms: set[str], last: dict[str, str]) -> None:
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        super().__init__(f"{command['user']}@{DOMAIN}", command["password"], ssl_context=context)
        self.enable_direct_tls = False
        self.nick, self.rooms, self.last = command["user"], rooms, last
        self.ended, self.is_in = asyncio.Event(), False
        self._entering = asyncio.Lock()
        self._waiting: dict[str, list[tuple[str, slixmpp.Message]]] = {}
        for plugin in ("xep_0045", "xep_0199", "xep_0249", "xep_0280", "xep_0313", "xep_0359", "xep_0363"):
            self.register_plugin(plugin)
        self.register_plugin("xep_0066")
        self.add_event_handler("session_start", self._started)
        self.add_event_handler("disconnected", lambda _: self.ended.set())
        self.add_event_handler("failed_all_auth", lambda _: self.ended.set())
        self.add_event_handler("groupchat_direct_invite", self._invited)
        self.add_event_handler("groupchat_message", self._heard)

    async def stay(self) -> None:
        """In all rooms, until the connection ends."""
        while not self.ended.is_set():
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self.ended.wait(), ASK)
            for room in sorted(self.rooms) if self.is_in else ():
                try:
                    await self.plugin["xep_0199"].send_ping(f"{room}/{self.nick}", timeout=ANSWER)
                except IqError as error:
                    if error.condition not in THERE:
                        await self.enter(room)
                except IqTimeout:
                    # As a client does that can no longer trust its connection.
                    self.abort()
                    return

    async def enter(self, room: str) -> None:
        """Join, then tell of each message that is new, in the order of the archive. One room at a time."""
        async with self._entering:
            await self._enter(room)

    async def _enter(self, room: str) -> None:
        self._waiting[room] = []
        with contextlib.suppress(IqTimeout, IqError, asyncio.TimeoutError, slixmpp.exceptions.PresenceError):
            await self.plugin["xep_0045"].join_muc_wait(
                slixmpp.JID(room), self.nick, maxstanzas=0, timeout=ANSWER
            )
            rsm = {"max": 50, **({"after": self.last[room]} if room in self.last else {})}
            async for result in self.plugin["xep_0313"].iterate(jid=slixmpp.JID(room), rsm=rsm):
                self._tell(room, result["mam_result"]["id"], result["mam_result"]["forwarded"]["stanza"])
            say(event="joined", room=room)
        for archived, message in self._waiting.pop(room):
            self._tell(room, archived, message)

    async def _started(self, _: Any) -> None:
        say(event="online")
        self.send_presence()
        await self.plugin["xep_0280"].enable()
        for room in sorted(self.rooms):
            await self.enter(room)
        self.is_in = True

    async def _invited(self, message: slixmpp.Message) -> None:
        room = str(message["groupchat_invite"]["jid"])
        say(event="invited", room=room)
        self.rooms.add(room)
        await self.enter(room)

    def _heard(self, message: slixmpp.Message) -> None:
        room, archived = message["from"].bare, message["stanza_id"]["id"]
        if room in self._waiting:
            self._waiting[room].append((archived, message))
        else:
            self._tell(room, archived, message)

    def _tell(self, room: str, archived: str, message: slixmpp.Message) -> None:
        # ejabberd counts the messages of its archive by time.
        if not message["body"] or int(archived) <= int(self.last.get(room, "0")):
            return
        self.last[room] = archived
        say(
            event="heard",
            room=room,
            nick=message["from"].resource,
            body=message["body"],
            url=message["oob"]["url"],
        )


class Desk:
    """The operator, whatever happens to connections."""

    def __init__(self) -> None:
        self._rooms: set[str] = set()
        self._last: dict[str, str] = {}
        self._client: Operator | None = None
        self._task: asyncio.Task[None] | None = None

    def do(self, command: dict[str, Any]) -> asyncio.Task[None] | None:
        """One command. A task when it takes time."""
        match command["do"]:
            case "login":
                self._rooms |= set(command.get("rooms", []))
                self._task = asyncio.create_task(self._stay_in(command))
            case "say":
                assert self._client is not None
                self._client.send_message(mto=command["room"], mbody=command["body"], mtype="groupchat")
            case "share":
                assert self._client is not None
                message = self._client.make_message(command["room"], command["url"], mtype="groupchat")
                message["oob"]["url"] = command["url"]
                message.send()
            case "logout":
                return asyncio.create_task(self._log_out())
            case "upload":
                return asyncio.create_task(self._upload(command))
        return None

    async def _stay_in(self, command: dict[str, str]) -> None:
        while True:
            client = self._client = Operator(command, self._rooms, self._last)
            client.connect(command["address"], C2S_PORT)
            await client.stay()
            client.cancel_connection_attempt()
            say(event="offline")
            await asyncio.sleep(AGAIN)

    async def _log_out(self) -> None:
        assert self._task is not None and self._client is not None
        self._task.cancel()
        await self._client.disconnect(wait=1.0)
        say(event="offline")

    async def _upload(self, command: dict[str, Any]) -> None:
        """Ask for a slot, which the test fills (XEP-0363)."""
        assert self._client is not None
        answer = await self._client.plugin["xep_0363"].request_slot(
            slixmpp.JID(command["service"]), command["name"], command["size"], command["type"]
        )
        slot = answer["http_upload_slot"]
        headers = {header["name"]: header["value"] for header in slot["put"]["headers"]}
        say(event="slot", put=slot["put"]["url"], get=slot["get"]["url"], headers=headers)


def complain(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """slixmpp leaves tasks behind at every connection that ends."""
    if "Task was destroyed" in context["message"]:
        return
    if isinstance(context.get("exception"), IqTimeout | IqError | ConnectionError):
        return
    loop.default_exception_handler(context)


async def main() -> None:
    """Commands until the end of stdin."""
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(complain)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    desk, tasks = Desk(), set()
    while line := await reader.readline():
        try:
            tasks.add(desk.do(json.loads(line)))
        except AssertionError as error:
            fail(error)


if __name__ == "__main__":
    asyncio.run(main())
