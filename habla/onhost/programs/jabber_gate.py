#!/usr/bin/python3
"""Lets only the hosts of the fleet's components connect to ejabberd as a component.

ejabberd cannot refuse components by their address. So ejabberd listens on the loopback address, and this
program listens on the internal one and forwards the connections that it allows.

Usage: jabber-gate ADDRESS PORT PEER [PEER ...]
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
from typing import List

LARGEST = 65536


async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Everything from one side to the other, until it ends."""
    try:
        while data := await reader.read(LARGEST):
            writer.write(data)
            await writer.drain()
    except OSError:
        pass
    finally:
        with contextlib.suppress(OSError):
            writer.close()


async def run(address: str, port: int, peers: List[str]) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer = writer.get_extra_info("peername")[0]
        if peer not in peers:
            print(f"refused {peer}: no component runs there", flush=True)
            writer.close()
            return
        try:
            inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            writer.close()
            return
        await asyncio.gather(copy(reader, inner_writer), copy(inner_reader, writer))

    server = await asyncio.start_server(serve, address, port, backlog=64)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    asyncio.run(run(sys.argv[1], int(sys.argv[2]), sys.argv[3:]))
