"""The reference apps as processes on loopback, with the daemons that they need."""

from __future__ import annotations

import http.client
import json
import os
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from hosts import wait_for

APPS = Path(__file__).parents[2] / "examples" / "apps"
# The machine's own Python, for which Debian packages PyMySQL; as on the hosts.
PYTHON = "/usr/bin/python3"
PASSWORD = "s3'cr\"et$"


def free_port() -> int:
    """A port of 127.0.0.1 that nothing listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def listens(port: int) -> bool:
    """Whether something accepts connections there."""
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


@contextmanager
def process(
    port: int, *command: str, output: IO[bytes] | None = None, **environment: str
) -> Iterator[subprocess.Popen[bytes]]:
    """A program that listens on the port, until the end of the block."""
    # On a host what the apps share lies beside them.
    shared = {"PYTHONPATH": str(APPS / "common")}
    started = subprocess.Popen(
        command, env=os.environ | shared | environment, stdin=subprocess.DEVNULL, stderr=output
    )
    try:
        wait_for(lambda: started.poll() is not None or listens(port), 20, f"{command[0]} on {port}")
        assert started.poll() is None, f"{command[0]} ended at once"
        yield started
    finally:
        started.terminate()
        try:
            started.wait(10)
        except subprocess.TimeoutExpired:
            started.kill()
            started.wait(10)


def memcached(port: int) -> Any:
    """A memcached there."""
    return process(port, "memcached", "-u", "root", "-l", "127.0.0.1", "-p", str(port), "-U", "0")


@dataclass
class App:
    """A running app. host: what it says in X-Served-By."""

    host: str
    port: int

    def ask(
        self, method: str, path: str, body: str | bytes = "", headers: dict[str, str] | None = None
    ) -> tuple[int, str, http.client.HTTPMessage]:
        """Status, text and headers of an answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=15)
        try:
            connection.request(method, path, body or None, headers or {})
            answer = connection.getresponse()
            return answer.status, answer.read().decode(), answer.headers
        finally:
            connection.close()

    def call(self, method: str, **params: Any) -> Any:
        """The result of an RPC."""
        request = {"jsonrpc": "2.0", "id": 7, "method": method, "params": params}
        status, text, headers = self.ask("POST", "/rpc", json.dumps(request))
        document = json.loads(text)
        assert status == 200 and headers["X-Served-By"] == self.host and document["id"] == 7
        assert "error" not in document, document
        return document["result"]


@dataclass
class Backends:
    """The environment with which apps find the three daemons, and what runs apps."""

    environment: dict[str, str]

    @contextmanager
    def app(self, name: str, host: str = "stable1", **changes: str) -> Iterator[App]:
        """One of the apps as if on that host."""
        port = free_port()
        own = {"HABLA_HOST": host, "HABLA_ADDRESS": "127.0.0.1", "HABLA_PORT": str(port)}
        command = (PYTHON, "-B", str(APPS / name / f"{name}.py"))
        with process(port, *command, **(self.environment | own | changes)):
            yield App(host, port)
