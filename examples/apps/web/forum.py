"""The forum's people, sessions, threads and posts, in MySQL."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import threading
from dataclasses import dataclass
from typing import Any

import pymysql
from database import Database

SESSION_SECONDS = 14 * 24 * 3600
MAX_NAME, MAX_TITLE, MAX_TEXT, MIN_PASSWORD = 40, 120, 10_000, 8
PAGE = 50

# 16 MiB and some 50 ms for each; so many at a time that the program stays within its memory.
SCRYPT = {"n": 2**14, "r": 8, "p": 1}
_hashing = threading.BoundedSemaphore(4)

database = Database(
    f"CREATE TABLE IF NOT EXISTS forum_users (name VARCHAR({MAX_NAME}) PRIMARY KEY,"
    " salt BINARY(16) NOT NULL, password BINARY(64) NOT NULL)",
    "CREATE TABLE IF NOT EXISTS forum_sessions (token BINARY(32) PRIMARY KEY,"
    f" name VARCHAR({MAX_NAME}) NOT NULL, csrf CHAR(32) NOT NULL, expires BIGINT NOT NULL, INDEX (expires))",
    "CREATE TABLE IF NOT EXISTS forum_threads (id BIGINT AUTO_INCREMENT PRIMARY KEY,"
    f" title VARCHAR({MAX_TITLE}) NOT NULL, posts INT NOT NULL DEFAULT 0,"
    " changed TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP, INDEX (changed))",
    "CREATE TABLE IF NOT EXISTS forum_posts (id BIGINT AUTO_INCREMENT PRIMARY KEY, thread BIGINT NOT NULL,"
    f" name VARCHAR({MAX_NAME}) NOT NULL, text TEXT NOT NULL,"
    " sent TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP, INDEX (thread, id))",
)


@dataclass(frozen=True)
class Session:
    """A login. csrf: the token that each of this person's forms must carry."""

    name: str
    csrf: str
    token: str


def register(name: str, password: str) -> bool:
    """Make an account; False when the name is taken."""
    salt = secrets.token_bytes(16)
    hashed = _hash(password, salt)
    with database.transaction() as cursor:
        cursor.execute(
            "INSERT IGNORE INTO forum_users (name, salt, password) VALUES (%s, %s, %s)",
            (name, pymysql.Binary(salt), pymysql.Binary(hashed)),
        )
        return cursor.rowcount == 1


def log_in(name: str, password: str) -> Session | None:
    """A new session; None when the name or the password is wrong."""
    with database.transaction() as cursor:
        cursor.execute("SELECT name, salt, password FROM forum_users WHERE name = %s", (name,))
        row = cursor.fetchone()
    # Somebody who is not there takes as long as a wrong password, so that nobody can ask who is there.
    known, salt, wanted = row or ("", bytes(16), bytes(64))
    if not hmac.compare_digest(_hash(password, salt), wanted):
        return None
    session = Session(known, secrets.token_hex(16), secrets.token_urlsafe(32))
    with database.transaction() as cursor:
        cursor.execute("DELETE FROM forum_sessions WHERE expires < UNIX_TIMESTAMP()")
        cursor.execute(
            "INSERT INTO forum_sessions (token, name, csrf, expires)"
            " VALUES (%s, %s, %s, UNIX_TIMESTAMP() + %s)",
            (_token_hash(session.token), session.name, session.csrf, SESSION_SECONDS),
        )
    return session


def session_of(tokens: list[str]) -> Session | None:
    """The session of the first of these cookies that is one.

    A browser may send several of one name, set for other domains in earlier times; no stale one among them
    locks its owner out.
    """
    with database.transaction() as cursor:
        for token in tokens[:10]:
            cursor.execute(
                "SELECT name, csrf FROM forum_sessions WHERE token = %s AND expires > UNIX_TIMESTAMP()",
                (_token_hash(token),),
            )
            row = cursor.fetchone()
            if row:
                return Session(row[0], row[1], token)
    return None


def log_out(session: Session) -> None:
    """End a session."""
    with database.transaction() as cursor:
        cursor.execute("DELETE FROM forum_sessions WHERE token = %s", (_token_hash(session.token),))


def threads() -> list[dict[str, Any]]:
    """The threads with the newest posts: {id, title, posts, changed}."""
    with database.transaction() as cursor:
        cursor.execute(
            f"SELECT id, title, posts, changed FROM forum_threads ORDER BY changed DESC, id DESC LIMIT {PAGE}"
        )
        names = ("id", "title", "posts", "changed")
        return [dict(zip(names, row)) for row in cursor.fetchall()]  # noqa: B905 (Python 3.9)


def thread(number: int) -> tuple[str, list[dict[str, Any]]] | None:
    """Title and posts, {name, text, sent}, oldest first; None when there is no such thread."""
    with database.transaction() as cursor:
        cursor.execute("SELECT title FROM forum_threads WHERE id = %s", (number,))
        row = cursor.fetchone()
        if row is None:
            return None
        cursor.execute(
            "SELECT name, text, sent FROM (SELECT id, name, text, sent FROM forum_posts WHERE thread = %s"
            f" ORDER BY id DESC LIMIT {PAGE}) newest ORDER BY id",
            (number,),
        )
        names = ("name", "text", "sent")
        return row[0], [dict(zip(names, post)) for post in cursor.fetchall()]  # noqa: B905 (Python 3.9)


def start_thread(name: str, title: str, text: str) -> int:
    """A new thread with its first post; its number."""
    with database.transaction() as cursor:
        cursor.execute("INSERT INTO forum_threads (title, posts) VALUES (%s, 1)", (title,))
        number = int(cursor.lastrowid)
        cursor.execute(
            "INSERT INTO forum_posts (thread, name, text) VALUES (%s, %s, %s)", (number, name, text)
        )
        return number


def reply(name: str, number: int, text: str) -> bool:
    """A post in a thread; False when there is no such thread."""
    with database.transaction() as cursor:
        cursor.execute("UPDATE forum_threads SET posts = posts + 1 WHERE id = %s", (number,))
        if cursor.rowcount == 0:
            return False
        cursor.execute(
            "INSERT INTO forum_posts (thread, name, text) VALUES (%s, %s, %s)", (number, name, text)
        )
        return True


def _hash(password: str, salt: bytes) -> bytes:
    with _hashing:
        return hashlib.scrypt(password.encode(), salt=salt, dklen=64, **SCRYPT)


def _token_hash(token: str) -> Any:
    """The digest of a token for the database, so that the table contains no token."""
    return pymysql.Binary(hashlib.sha256(token.encode()).digest())
