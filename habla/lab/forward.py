"""Loopback ports of this machine that lead into the lab.

A socket belongs to the network namespace in which it was made, for ever: so one process listens in the
machine's namespace and connects from the lab's, with no address in common between the two.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from contextlib import suppress

from habla.errors import LabError
from habla.lab import namespaces

__all__ = ["FIRST_PORT", "Forward", "Network", "connect", "listen"]

#: A network namespace: its file descriptor, or who knows it at the time (OSError: there is none).
Network = int | Callable[[], int]

#: Ports are chosen from here up, below the range from which the kernel takes outgoing ports by itself.
FIRST_PORT = 20000
_LAST_PORT = 29999
_CHUNK = 65536
_MOST_CONNECTIONS = 1000
_CONNECT_SECONDS = 5.0


def listen(network: int, wanted: int, start: int, taken: set[int]) -> socket.socket:
    """A listening loopback socket in a namespace.

    wanted: the port, or 0 for the first free one from start on that is not taken.
    Raises LabError when the port, or every port, is in use.
    """
    span = _LAST_PORT - FIRST_PORT + 1
    candidates = [wanted] if wanted else [FIRST_PORT + (start + step) % span for step in range(span)]
    for port in candidates:
        if port in taken and not wanted:
            continue
        with namespaces.entered(network):
            server = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            server.bind(("127.0.0.1", port))
            server.listen(256)
        except OSError:
            server.close()
            continue
        server.setblocking(False)
        return server
    if wanted:
        raise LabError(f"port {wanted} of 127.0.0.1 belongs to the lab and is in use by another program")
    raise LabError(f"no free port between {FIRST_PORT} and {_LAST_PORT} on 127.0.0.1")


async def connect(network: Network, address: str, port: int, seconds: float) -> socket.socket:
    """A TCP connection made from within a namespace. Raises OSError or TimeoutError."""
    with namespaces.entered(network() if callable(network) else network):
        client = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    client.setblocking(False)
    # A host that lost its power says nothing any more: without a sign of life give up after 30 s.
    client.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in ((socket.TCP_KEEPIDLE, 15), (socket.TCP_KEEPINTVL, 5), (socket.TCP_KEEPCNT, 3)):
        client.setsockopt(socket.IPPROTO_TCP, option, value)
    try:
        async with asyncio.timeout(seconds):
            await asyncio.get_running_loop().sock_connect(client, (address, port))
    except BaseException:
        client.close()
        raise
    return client


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """One direction, until its end; the end is passed on while the other direction may live on."""
    while chunk := await reader.read(_CHUNK):
        writer.write(chunk)
        await writer.drain()
    with suppress(OSError):
        writer.write_eof()


class Forward:
    """One loopback port that leads into the lab.

    listen: the port on 127.0.0.1. target: the namespace, address and port that it leads to.
    """

    def __init__(self, server: socket.socket, network: Network, address: str, port: int) -> None:
        self.listen: int = server.getsockname()[1]
        self._socket = server
        self.target = (network, address, port)
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Begin to accept."""
        self._server = await asyncio.start_server(self._serve, sock=self._socket)

    async def stop(self) -> None:
        """Close the port and all its connections."""
        if self._server is not None:
            self._server.close()
        self._socket.close()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is None or len(self._tasks) >= _MOST_CONNECTIONS:
            writer.transport.abort()
            return
        self._tasks.add(task)
        far: asyncio.StreamWriter | None = None
        try:
            client = await connect(*self.target, seconds=_CONNECT_SECONDS)
            far_reader, far = await asyncio.open_connection(sock=client)
            async with asyncio.TaskGroup() as group:
                group.create_task(_copy(reader, far))
                group.create_task(_copy(far_reader, writer))
        except (OSError, TimeoutError, ExceptionGroup):
            # A reset on one side is a reset on the other: what was still to come is lost on both.
            writer.transport.abort()
            if far is not None:
                far.transport.abort()
        finally:
            self._tasks.discard(task)
            writer.close()
            if far is not None:
                far.close()
