"""A mail server for tests: takes mail on loopback, or refuses it, as it is told."""

from __future__ import annotations

import base64
import socketserver
import ssl
import threading
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any, cast


class Sink(socketserver.ThreadingTCPServer):
    """Keeps what it takes in ``letters``. refuse: an answer to recipients, in place of taking them.

    context: TLS for STARTTLS. logins: (user, password) pairs that were given.
    """

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self, context: ssl.SSLContext | None = None, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), _Session)
        self.letters: list[EmailMessage] = []
        self.logins: list[tuple[str, str]] = []
        self.refuse: dict[str, str] = {}
        self.context = context

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self.server_address[1])

    def __enter__(self) -> Sink:
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self.server_close()


class _Session(socketserver.StreamRequestHandler):
    """One connection."""

    def handle(self) -> None:
        sink = cast(Sink, self.server)
        self.say("220 sink")
        secure = False
        while line := self.rfile.readline().decode("latin-1").strip():
            word, _, rest = line.partition(" ")
            match word.upper():
                case "EHLO":
                    more = [] if sink.context is None or secure else ["STARTTLS"]
                    lines = ["sink", *more, *(["AUTH PLAIN"] if secure else [])]
                    for number, text in enumerate(lines):
                        self.say(f"250{' ' if number == len(lines) - 1 else '-'}{text}")
                case "STARTTLS" if sink.context is not None:
                    self.say("220 go on")
                    self.secure(sink.context)
                    secure = True
                case "AUTH":
                    _, user, password = base64.b64decode(rest.split()[1]).decode().split("\0")
                    sink.logins.append((user, password))
                    self.say("235 hello")
                case "RCPT" if rest.split(":")[1].strip("<>") in sink.refuse:
                    self.say(sink.refuse[rest.split(":")[1].strip("<>")])
                case "DATA":
                    self.say("354 go on")
                    self.take(sink)
                    self.say("250 taken")
                case "QUIT":
                    self.say("221 bye")
                    return
                case _:
                    self.say("250 ok")

    def say(self, line: str) -> None:
        self.wfile.write(f"{line}\r\n".encode())

    def take(self, sink: Sink) -> None:
        lines = []
        while (line := self.rfile.readline()) != b".\r\n":
            lines.append(line[1:] if line.startswith(b".") else line)
        letter: Any = message_from_bytes(b"".join(lines), policy=policy.default)
        sink.letters.append(letter)

    def secure(self, context: ssl.SSLContext) -> None:
        connection = context.wrap_socket(self.connection, server_side=True)
        self.connection = connection
        self.rfile, self.wfile = connection.makefile("rb"), connection.makefile("wb", buffering=0)
