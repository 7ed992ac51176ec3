"""HTTPS in front of a program that speaks HTTP, on loopback, with a self-signed certificate."""

from __future__ import annotations

import socket
import socketserver
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

__all__ = ["TlsProxy", "tls_proxy"]

_SECONDS = 10


class TlsProxy(socketserver.ThreadingTCPServer):
    """Passes each request to a port of 127.0.0.1. A connection ends after one request.

    upstream: that port. It may change from one request to the next.
    """

    daemon_threads = True

    def __init__(self, context: ssl.SSLContext) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self._context = context
        self.port: int = self.server_address[1]
        self.upstream = 0

    def get_request(self) -> tuple[Any, Any]:
        """A connection. The handshake waits for its thread, because a browser opens some in advance."""
        client, address = super().get_request()
        client.settimeout(_SECONDS)
        wrapped = self._context.wrap_socket(client, server_side=True, do_handshake_on_connect=False)
        return wrapped, address


class _Handler(socketserver.StreamRequestHandler):
    server: TlsProxy

    def handle(self) -> None:
        head, length = [self.rfile.readline()], 0
        if not head[0]:
            return
        while (line := self.rfile.readline()).strip():
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
            if name.lower() != b"connection":
                head.append(line)
        if length:
            # Browsers do not send this by themselves.
            head.append(b"Expect: 100-continue\r\n")
        head.append(b"Connection: close\r\n\r\n")
        with socket.create_connection(("127.0.0.1", self.server.upstream), _SECONDS) as upstream:
            upstream.sendall(b"".join(head) + self.rfile.read(length))
            while part := upstream.recv(65536):
                self.wfile.write(part)


@contextmanager
def tls_proxy(name: str, directory: Path) -> Iterator[TlsProxy]:
    """A proxy for the host of this name, until the end of the block. directory: for its key."""
    key, certificate = directory / "key.pem", directory / "certificate.pem"
    words = f"openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN={name}"
    names = ["-addext", f"subjectAltName=DNS:{name}", "-keyout", str(key), "-out", str(certificate)]
    subprocess.run([*words.split(), *names], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with TlsProxy(context) as proxy:
        thread = threading.Thread(target=proxy.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield proxy
        finally:
            proxy.shutdown()
            thread.join()
