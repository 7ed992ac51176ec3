"""The servers in a config of HAProxy, and the answers of their hosts about them."""

from __future__ import annotations

import socket
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Dict, List, Mapping, Sequence

__all__ = ["DOWN", "DRAINED", "MAINTENANCE", "WELL", "Server", "ask", "found_in", "to_leave_out", "without"]

#: The answers of a host about a service, and the operator's word for all of them.
WELL, DRAINED, DOWN, MAINTENANCE = "well", "drained", "down", "maintenance"
_ANSWERS = {b"200": WELL, b"404": DRAINED}
# Seconds for an answer. The host gives its service one.
_SECONDS = 1.2
_MOST_AT_ONCE = 32


@dataclass(frozen=True)
class Server:
    """A server line. line: its number in the config, from 0. port: 0 where the line has none.

    responder: the port where its host tells whether the service is well; 0 without one. limited: whether
    requests wait for it in a queue.
    """

    line: int
    backend: str
    name: str
    address: str
    port: int
    responder: int = 0
    limited: bool = False

    @property
    def label(self) -> str:
        """How operators name it."""
        return f"{self.backend}/{self.name}"


def found_in(config: str, responder: str) -> List[Server]:
    """The servers of all backends. responder: the word in front of the responder's port. Pure."""
    servers = []
    section: List[str] = []
    for number, line in enumerate(config.splitlines()):
        words = line.split()
        if words and not line[0].isspace():
            section = words
        elif words[:1] == ["server"] and section[:1] == ["backend"] and len(words) > 2:
            address, _, number_of_port = words[2].rpartition(":")
            if not number_of_port.isdigit():
                # A line of the operator's own, with the port of the client's connection, or a socket's path.
                address, number_of_port = words[2], "0"
            asked = words[words.index(responder) + 1] if responder in words[:-1] else "0"
            limited = "maxconn" in words
            servers.append(
                Server(number, section[1], words[1], address, int(number_of_port), int(asked), limited)
            )
    return servers


def ask(servers: Sequence[Server]) -> Dict[Server, str]:
    """Ask the hosts of all servers that have a responder, at once. It takes a second or so at most."""
    asked = [server for server in servers if server.responder]
    if not asked:
        return {}
    with ThreadPoolExecutor(min(len(asked), _MOST_AT_ONCE)) as pool:
        return dict(zip(asked, pool.map(_ask, asked)))


def _ask(server: Server) -> str:
    try:
        where = (server.address, server.responder)
        with socket.create_connection(where, timeout=_SECONDS) as connection:
            connection.sendall(f"GET /{server.backend} HTTP/1.0\r\n\r\n".encode())
            words = connection.makefile("rb").readline(200).split()
    except OSError:
        return DOWN
    return _ANSWERS.get(words[1], DOWN) if len(words) > 1 else DOWN


def to_leave_out(answers: Mapping[Server, str]) -> Dict[Server, str]:
    """The servers that should get no request at first, with the reason. Pure.

    A drained server never gets one. A server that is down gets none while its backend has one that is well;
    if all are down, the fault may be this host's, and HAProxy finds out by itself.
    """
    served = {server.backend for server, answer in answers.items() if answer == WELL}
    return {
        server: answer
        for server, answer in answers.items()
        if answer == DRAINED or (answer == DOWN and server.backend in served)
    }


def without(config: str, servers: Sequence[Server]) -> str:
    """The config with comments in place of these servers, so that other lines keep their numbers. Pure."""
    lines = config.splitlines()
    for server in servers:
        lines[server.line] = f"    # left out: server {server.name}"
    return "\n".join(lines) + "\n"
