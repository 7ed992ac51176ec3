"""The few commands of the beanstalk protocol that rpc needs from memqd, the queue."""

from __future__ import annotations

import os
import socket

from http_app import BackendError

SECONDS = 1.0
PRIORITY = 1024
# Seconds a worker has for a job before another gets it.
TIME_TO_RUN = 60


class Memqd:
    """One tube of the server at MEMQD_HOST:MEMQD_PORT; one connection per call. May raise BackendError."""

    def __init__(self, tube: str) -> None:
        self._tube = tube

    def put(self, job: bytes) -> int:
        """Queue a job; its number. The server has written it to disk when it answers."""
        put = f"put {PRIORITY} 0 {TIME_TO_RUN} {len(job)}\r\n".encode() + job + b"\r\n"
        with _Connection() as server:
            server.ask(f"use {self._tube}\r\n".encode(), b"USING")
            return int(server.ask(put, b"INSERTED")[0])

    def take(self) -> bytes | None:
        """The oldest job, which is removed; None when there is none."""
        with _Connection() as server:
            server.ask(f"watch {self._tube}\r\n".encode(), b"WATCHING")
            server.ask(b"ignore default\r\n", b"WATCHING")
            answer = server.ask(b"reserve-with-timeout 0\r\n", b"RESERVED", b"TIMED_OUT")
            if not answer:
                return None
            job = server.read(int(answer[1]))
            server.ask(b"delete " + answer[0] + b"\r\n", b"DELETED")
            return job

    def stats(self) -> dict[str, int]:
        """The tube's counters, such as current-jobs-ready; empty before its first job."""
        with _Connection() as server:
            answer = server.ask(f"stats-tube {self._tube}\r\n".encode(), b"OK", b"NOT_FOUND")
            text = server.read(int(answer[0])).decode() if answer else ""
        pairs = (line.split(": ", 1) for line in text.splitlines() if ": " in line)
        return {name: int(value) for name, value in pairs if value.isdecimal()}

    def check(self) -> None:
        """Raises BackendError unless the server answers."""
        with _Connection() as server:
            server.ask(b"list-tube-used\r\n", b"USING")


class _Connection:
    def __enter__(self) -> _Connection:
        try:
            address = os.environ["MEMQD_HOST"], int(os.environ["MEMQD_PORT"])
            self._socket = socket.create_connection(address, SECONDS)
        except OSError as error:
            raise BackendError(f"memqd: {error}") from error
        self._reader = self._socket.makefile("rb")
        return self

    def __exit__(self, *error: object) -> None:
        self._reader.close()
        self._socket.close()

    def ask(self, command: bytes, *answers: bytes) -> list[bytes]:
        """Sends a command; the words after the first one of its answer, which is one of these."""
        try:
            self._socket.sendall(command)
            words = self._reader.readline().split()
        except OSError as error:
            raise BackendError(f"memqd: {error}") from error
        if not words or words[0] not in answers:
            raise BackendError(f"memqd: unexpected answer {b' '.join(words)[:80]!r}")
        return words[1:]

    def read(self, length: int) -> bytes:
        """The body that an answer announced."""
        try:
            return self._reader.read(length + 2)[:length]
        except OSError as error:
            raise BackendError(f"memqd: {error}") from error
