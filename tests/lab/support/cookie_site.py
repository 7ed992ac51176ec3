"""The site that sets the cookies of a case: a web server behind HAProxy with the cookie rules."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from cookie_cases import EARLIER, PAGE, POLICY, Case
from hosts import free_port, wait_for

from habla.services.haproxy.cookies import cookie_rules
from habla.services.haproxy.model import Dialect

__all__ = ["Origin", "haproxy", "web_server"]

_NOT_FOUND = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
_OLD = os.environ.get("HABLA_HAPROXY_1_3_BINARY", "")


@dataclass
class Origin:
    """A web server that answers with the bytes of a case."""

    port: int
    case: Case = EARLIER

    def answer(self) -> bytes:
        """Header and body."""
        case, body = self.case, b"hello"
        head = [
            f"HTTP/{case.version} 200 OK",
            *case.before,
            *(f"{case.header}: {text}" for text in case.cookies),
        ]
        if case.chunked:
            body = b"5\r\nhello\r\n0\r\n\r\n"
            head.append("Transfer-Encoding: chunked")
        else:
            head.append("Content-Length: 5")
        return "\r\n".join([*head, *case.after, "", ""]).encode() + body

    def serve(self, server: socket.socket) -> None:
        """Answer one request on each connection, until the server is closed."""
        while True:
            try:
                client, _ = server.accept()
            except OSError:
                return
            with client, client.makefile("rb") as stream:
                asked = stream.readline().split()
                length, expects = 0, False
                while (line := stream.readline().strip().lower()) != b"":
                    if line.startswith(b"content-length:"):
                        length = int(line.split(b":")[1])
                    expects |= line.startswith(b"expect:")
                if expects:
                    client.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
                stream.read(length)
                # A browser may ask for an icon at any time.
                client.sendall(self.answer() if asked[1:2] == [PAGE.encode()] else _NOT_FOUND)


@contextmanager
def web_server() -> Iterator[Origin]:
    """The server, until the end of the block."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        origin = Origin(server.getsockname()[1])
        thread = threading.Thread(target=origin.serve, args=(server,))
        thread.start()
        try:
            yield origin
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join()


@contextmanager
def haproxy(dialect: Dialect, origin: Origin, *, directory: Path) -> Iterator[int]:
    """The port of a real HAProxy with the cookie rules, in front of the server.

    The test is skipped on a machine without a HAProxy of the dialect.
    """
    binary = shutil.which("haproxy") if dialect is Dialect.V2 else _OLD
    if not binary:
        cure = "apt-get install haproxy" if dialect is Dialect.V2 else "set HABLA_HAPROXY_1_3_BINARY"
        pytest.skip(f"no HAProxy of the dialect {dialect.value}: {cure}")
    port = free_port()
    mode = "option httpclose" if dialect is Dialect.V1_3_14 else "option http-server-close"
    config = directory / "haproxy.cfg"
    lines = [
        *("global", " maxconn 100"),
        *("defaults", " mode http", " timeout client 5s", " timeout server 5s", " timeout connect 5s"),
        *("frontend www", f" bind 127.0.0.1:{port}", f" {mode}", " default_backend origin"),
        *(f" {line}" for line in cookie_rules(POLICY, dialect)),
        *("backend origin", " balance roundrobin", f" server origin 127.0.0.1:{origin.port}"),
    ]
    config.write_text("\n".join(lines) + "\n")
    with subprocess.Popen([binary, "-db", "-f", str(config)], stderr=subprocess.PIPE, text=True) as process:
        try:
            wait_for(lambda: process.poll() is not None or _listens(port), 5, f"HAProxy on {port}")
            if process.poll() is not None:
                assert process.stderr is not None
                raise AssertionError(process.stderr.read())
            yield port
        finally:
            process.kill()


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except ConnectionRefusedError:
        return False
    return True
