#!/usr/bin/python3
"""Tells HAProxy whether this host is drained, and whether its services are well.

On one port, by the first line that HAProxy sends:
  GET /SERVICE HTTP/1.0   200 when the service is well, 503 when not, 404 when the host is drained: a 1.3 that
                          may `disable-on-404` then sends it nothing new
  anything else           an agent-check: `ready` or `drain`

Usage: drain-responder CONFIG. CONFIG is JSON:
  {"address": A, "port": P, "flags": [PATH, ...], "services": {NAME: CHECK}}
  CHECK: {"kind": "tcp", "port": N}, {"kind": "http", "port": N, "path": P, "host": H, "expect": STATUS} or
  {"kind": "xmpp", "port": N, "domain": D, "namespace": NS}
A host is drained while one of the flags is there.

Written to each host that HAProxy sends requests to; Python 3.9 and its standard library only.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import sys
from pathlib import Path
from typing import Any, Dict

# Seconds. 1.3 asks twice a second at most, and gives an answer as long.
ASKING = 2.0
ANSWERING = 0.35
CHECKING = 1.0
LARGEST = 8192


class Responder:
    """Answers for the services of one host."""

    def __init__(self, config: Dict[str, Any]) -> None:
        self.config = config
        # Name of a service -> the check that runs, and the result of the last one: empty if it was well.
        self.checks: Dict[str, "asyncio.Task[None]"] = {}
        self.found: Dict[str, str] = {}

    def drained(self) -> bool:
        return any(Path(flag).exists() for flag in self.config["flags"])

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One question, one answer."""
        try:
            line = (await asyncio.wait_for(reader.readline(), ASKING)).decode("latin-1")
            if line.startswith("GET /"):
                status, words = await self.status(line.split()[1].lstrip("/"))
                writer.write(f"HTTP/1.0 {status} {words}\r\nConnection: close\r\n\r\n".encode())
            elif line:
                writer.write(b"drain\n" if self.drained() else b"ready\n")
            await asyncio.wait_for(writer.drain(), ASKING)
        except (OSError, ValueError, asyncio.TimeoutError):
            # A client that hangs up or asks nonsense; HAProxy asks again.
            pass
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def status(self, name: str) -> "tuple[int, str]":
        """The answer to a question about a service."""
        if name not in self.config["services"]:
            return 503, "No such service"
        if name not in self.checks:
            self.checks[name] = asyncio.create_task(self.look(name))
        # A busy service is as it was at the last check, until it takes too long.
        await asyncio.wait([self.checks[name]], timeout=ANSWERING if name in self.found else None)
        if self.found[name]:
            return 503, "Not well: " + self.found[name]
        return (404, "Drained") if self.drained() else (200, "OK")

    async def look(self, name: str) -> None:
        """Check a service, and keep the result."""
        try:
            await asyncio.wait_for(self.check(self.config["services"][name]), CHECKING)
            self.found[name] = ""
        except (OSError, ValueError, asyncio.TimeoutError, asyncio.IncompleteReadError) as error:
            self.found[name] = (str(error).splitlines() or [type(error).__name__])[0][:80] or "no answer"
        finally:
            del self.checks[name]

    async def check(self, check: Dict[str, Any]) -> None:
        """Ask the service itself. Raises when it is not well."""
        reader, writer = await asyncio.open_connection(self.config["address"], check["port"])
        try:
            if check["kind"] == "http":
                host = check["host"] or self.config["address"]
                words = f"GET {check['path']} HTTP/1.0\r\nHost: {host}\r\nConnection: close\r\n\r\n"
                writer.write(words.encode())
                line = (await reader.readline()).split()
                if len(line) < 2 or line[1] != str(check["expect"]).encode():
                    raise ValueError("it answers " + b" ".join(line[:2]).decode("latin-1"))
            elif check["kind"] == "xmpp":
                stream = (
                    f"<stream:stream to='{check['domain']}' xmlns='{check['namespace']}'"
                    " xmlns:stream='http://etherx.jabber.org/streams' version='1.0'>"
                )
                writer.write(stream.encode())
                await reader.readuntil(b"</stream:features>")
                writer.write(b"</stream:stream>")
        finally:
            writer.close()


async def run(path: str) -> None:
    config = json.loads(Path(path).read_text("utf-8"))
    responder = Responder(config)
    server = await asyncio.start_server(
        responder.serve, config["address"], config["port"], limit=LARGEST, backlog=256
    )
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with server:
        await stop.wait()


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    asyncio.run(run(sys.argv[1]))
