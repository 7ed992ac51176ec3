"""MySQL for one program: its tables made when first needed, one connection per transaction.

A connection takes a millisecond or two on the internal network, and one that is never kept is never stale:
a restart of MySQL needs no care. Each program that uses MySQL is deployed with
this file.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import pymysql
from http_app import BackendError
from pymysql.cursors import Cursor

# Seconds; a health check has to answer within HAProxy's two.
CONNECT, ANSWER = 1, 10


class Database:
    """The database that the environment names (MYSQL_HOST, _PORT, _USER, _PASSWORD, _DATABASE)."""

    def __init__(self, *tables: str) -> None:
        """tables: CREATE TABLE IF NOT EXISTS statements, which several hosts may run at a time."""
        self._tables = tables

    @contextmanager
    def transaction(self) -> Iterator[Cursor]:
        """A cursor that makes all its changes at the end, or none of them. Raises BackendError."""
        try:
            connection = pymysql.connect(
                host=os.environ["MYSQL_HOST"],
                port=int(os.environ["MYSQL_PORT"]),
                user=os.environ["MYSQL_USER"],
                password=os.environ["MYSQL_PASSWORD"],
                database=os.environ["MYSQL_DATABASE"],
                charset="utf8mb4",
                connect_timeout=CONNECT,
                read_timeout=ANSWER,
                write_timeout=ANSWER,
            )
            # close() rolls back what was not committed.
            with connection, connection.cursor() as cursor:
                if self._tables:
                    for statement in self._tables:
                        cursor.execute(statement)
                    self._tables = ()
                yield cursor
                connection.commit()
        except (pymysql.MySQLError, OSError) as error:
            raise BackendError(f"MySQL: {error.args[-1] if error.args else error}") from error

    def check(self) -> None:
        """Raises BackendError unless a statement gets its answer."""
        with self.transaction() as cursor:
            cursor.execute("SELECT 1")
