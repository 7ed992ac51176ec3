"""Loopback ports of this machine that lead into the lab.

A socket stays in the network namespace in which it was made. So one process can listen in the machine's
namespace and connect from the lab's, although the two have no address in common.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from habla.errors import LabError
from habla.lab import namespaces

__all__ = ["FIRST_PORT", "Forward", "Network", "Target", "connect", "listen"]

#: A network namespace: its file descriptor, or a function that returns it and raises OSError if there is
#: none.
Network = int | Callable[[], int]

#: The lowest port that is chosen. All are below the range from which the kernel takes outgoing ports.
FIRST_PORT = 20000
_LAST_PORT = 29999
_CHUNK = 65536
_MOST_CONNECTIONS = 1000
_CONNECT_SECONDS = 5.0


@dataclass(frozen=True)
class Target:
    """The end of a forward: a TCP port in a network namespace."""

    network: Network
    address: str
    port: int


def listen(network: int, wanted: int, *, start: int, taken: set[int]) -> socket.socket:
    """A listening loopback socket in a namespace.

    wanted: the port, or 0 for a free port that is not in taken; the search begins at the offset start.
    Raises LabError if the port, or every port, is in use.
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
        raise LabError(f"port {wanted} of 127.0.0.1 belongs to the lab, but another program uses it")
    raise LabError(f"127.0.0.1 has no free port between {FIRST_PORT} and {_LAST_PORT}")


async def connect(target: Target, seconds: float) -> socket.socket:
    """A TCP connection from the namespace of the target. Raises OSError, or TimeoutError after seconds."""
    with namespaces.entered(target.network() if callable(target.network) else target.network):
        client = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    client.setblocking(False)
    # A host without power sends nothing to close the connection. Give up after 30 s without an answer.
    client.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in ((socket.TCP_KEEPIDLE, 15), (socket.TCP_KEEPINTVL, 5), (socket.TCP_KEEPCNT, 3)):
        client.setsockopt(socket.IPPROTO_TCP, option, value)
    try:
        async with asyncio.timeout(seconds):
            await asyncio.get_running_loop().sock_connect(client, (target.address, target.port))
    except BaseException:
        client.close()
        raise
    return client


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Copy one direction up to its end and pass the end on. The other direction may go on."""
    while chunk := await reader.read(_CHUNK):
        writer.write(chunk)
        await writer.drain()
    with suppress(OSError):
        writer.write_eof()


class Forward:
    """One loopback port that leads into the lab.

    listen: the port on 127.0.0.1. target: the port that it leads to.
    """

    def __init__(self, server: socket.socket, target: Target) -> None:
        self.listen: int = server.getsockname()[1]
        self.target = target
        self._socket = server
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Begin to accept connections."""
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
            client = await connect(self.target, _CONNECT_SECONDS)
            far_reader, far = await asyncio.open_connection(sock=client)
            async with asyncio.TaskGroup() as group:
                group.create_task(_copy(reader, far))
                group.create_task(_copy(far_reader, writer))
        except (OSError, TimeoutError, ExceptionGroup):
            # A reset on one side becomes a reset on the other, because data was lost.
            writer.transport.abort()
            if far is not None:
                far.transport.abort()
        finally:
            self._tasks.discard(task)
            writer.close()
            if far is not None:
                far.close()
