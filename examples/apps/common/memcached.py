"""The few commands of the memcached text protocol that the programs need, one connection per call.

Each program that uses memcached is deployed with this file.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from typing import BinaryIO, TypeVar

from http_app import BackendError

SECONDS = 1.0
_T = TypeVar("_T")


class Memcached:
    """The server of MEMCACHED_HOST and MEMCACHED_PORT. Every call may raise BackendError.

    Keys are the caller's to keep clean: no blanks, at most 250 bytes.
    """

    def get(self, key: str) -> bytes | None:
        """The value, or None."""
        return self._gets(key)[0]

    def set(self, key: str, value: bytes, seconds: int) -> None:
        """Keep the value for so long, or until the memory is needed."""
        self._store(f"set {key} 0 {seconds} {len(value)}", value)

    def add(self, key: str, value: bytes, seconds: int) -> bool:
        """Keep the value unless there is one; whether it was kept."""
        return self._store(f"add {key} 0 {seconds} {len(value)}", value)

    def delete(self, key: str) -> None:
        """Forget the value."""
        self._ask(f"delete {key}", lambda line, _: _expect(line, b"DELETED", b"NOT_FOUND"))

    def increment(self, key: str) -> None:
        """Add one to a decimal value; nothing happens when there is none."""
        self._ask(f"incr {key} 1", lambda line, _: line.isdigit() or _expect(line, b"NOT_FOUND"))

    def change(self, key: str, function: Callable[[bytes | None], bytes], seconds: int) -> bytes:
        """Replace the value by function(value), however many hosts do so at a time; the new value."""
        for _ in range(50):
            old, version = self._gets(key)
            new = function(old)
            if old is None:
                stored = self.add(key, new, seconds)
            else:
                stored = self._store(f"cas {key} 0 {seconds} {len(new)} {version}", new)
            if stored:
                return new
        raise BackendError(f"memcached: {key} changes all the time")

    def check(self) -> None:
        """Raises BackendError unless the server says its version."""
        self._ask("version", lambda line, _: line.startswith(b"VERSION ") or _expect(line, b"VERSION"))

    def _gets(self, key: str) -> tuple[bytes | None, str]:
        def read(line: bytes, reader: BinaryIO) -> tuple[bytes | None, str]:
            if line == b"END":
                return None, ""
            words = line.split()
            if len(words) != 5 or words[0] != b"VALUE":
                raise BackendError(f"memcached: unexpected answer {line[:80]!r}")
            return reader.read(int(words[3])), words[4].decode()

        return self._ask(f"gets {key}", read)

    def _store(self, command: str, value: bytes) -> bool:
        return self._ask(
            command,
            lambda line, _: _expect(line, b"STORED", b"NOT_STORED", b"EXISTS", b"NOT_FOUND") == b"STORED",
            value + b"\r\n",
        )

    def _ask(self, command: str, read: Callable[[bytes, BinaryIO], _T], data: bytes = b"") -> _T:
        address = os.environ["MEMCACHED_HOST"], int(os.environ["MEMCACHED_PORT"])
        try:
            with (
                socket.create_connection(address, SECONDS) as connection,
                connection.makefile("rb") as reader,
            ):
                connection.sendall(command.encode() + b"\r\n" + data)
                return read(reader.readline().rstrip(b"\r\n"), reader)
        except OSError as error:
            raise BackendError(f"memcached: {error}") from error


def _expect(line: bytes, *answers: bytes) -> bytes:
    if line not in answers:
        raise BackendError(f"memcached: unexpected answer {line[:80]!r}")
    return line
