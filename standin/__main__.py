"""The program `pulumi-resource-command ENGINE_ADDRESS`. It prints the port on which it serves the engine."""

from __future__ import annotations

import asyncio
import os
import signal
import sys

import grpc.aio
from pulumi.runtime.proto import provider_pb2_grpc

from standin.servicer import CommandServicer, EngineLog

VERSION = "1.2.1"

_PARENT_SECONDS = 1.0
_OPTIONS = [
    ("grpc.max_receive_message_length", 400 * 1024 * 1024),
    ("grpc.max_send_message_length", 400 * 1024 * 1024),
]


async def serve(engine_address: str | None) -> None:
    """Serve on a free loopback port until a signal arrives or the engine ends."""
    engine = grpc.aio.insecure_channel(engine_address, options=_OPTIONS) if engine_address else None
    server = grpc.aio.server(options=_OPTIONS)
    servicer = CommandServicer(VERSION, EngineLog(engine))
    provider_pb2_grpc.add_ResourceProviderServicer_to_server(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    sys.stdout.write(f"{port}\n")
    sys.stdout.flush()
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    watch = asyncio.create_task(_end_with_engine(ended))
    await ended.wait()
    watch.cancel()
    await server.stop(grace=None)


async def _end_with_engine(ended: asyncio.Event) -> None:
    """Set `ended` when the engine has ended.

    A killed engine sends no signal, but this process then gets a new parent.
    """
    parent = os.getppid()
    while os.getppid() == parent:
        await asyncio.sleep(_PARENT_SECONDS)
    ended.set()


def main(arguments: list[str]) -> None:
    """Run the provider. The engine's address is the last argument that is not an option."""
    addresses = [argument for argument in arguments if not argument.startswith("-")]
    asyncio.run(serve(addresses[-1] if addresses else None))


if __name__ == "__main__":
    main(sys.argv[1:])
