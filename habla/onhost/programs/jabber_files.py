#!/usr/bin/python3
"""Takes and serves the files of users of Jabber (XEP-0363), and tells clients where Jabber is (XEP-0156).

Each host of Jabber runs it, and each has every file: a file that was taken is on all hosts that were up
before the sender gets his answer. A host that was down asks the others for a file that it lacks.

Usage: jabber-files ADDRESS PORT CONFIG. CONFIG is JSON, and is read again at SIGHUP:
  {"pages": {PATH: {"type": T, "text": TEXT}}, "upload": UPLOAD or null}
  UPLOAD: {"path": "/upload", "directory": D, "secret": S, "peers": ["ADDRESS:PORT", ...], "largest": BYTES,
           "bytes": BYTES, "days": DAYS}

A file is at PATH/DOMAIN/NAME. ejabberd signs each slot: ?v= is HMAC-SHA256(secret, "NAME SIZE"), as in
Prosody's mod_http_upload_external. Hosts sign their questions to each other in the same way. Python
3.9 and its standard library only.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import http.client
import json
import mimetypes
import os
import re
import shutil
import signal
import sys
import tempfile
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BufferedIOBase
from pathlib import Path
from typing import Any, Dict, Iterator, Optional, Tuple
from urllib.parse import parse_qs, unquote, urlsplit

# Seconds: for a host that does not answer, and between two looks for old files.
ASKING = 5.0
EXPIRING = 3600.0
COPY = "X-Habla-Copy"
_WORD = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*")
# A browser may show these kinds and only saves others, because a page of a user would be one of the website.
_SHOWN = ("image/png", "image/jpeg", "image/gif", "image/webp", "video/mp4", "audio/mpeg", "audio/ogg")


class Store:
    """The files in one directory, within their bounds."""

    def __init__(self, upload: Dict[str, Any]) -> None:
        self.upload = upload
        self.root = Path(upload["directory"])
        self.coming = self.root / ".coming"
        self.lock = threading.Lock()
        self.used = sum(size for _, size, _ in self.files())

    def files(self) -> Iterator[Tuple[Path, int, float]]:
        """Path, size and time of each file."""
        for directory, names, found in os.walk(self.root):
            if ".coming" in names:
                names.remove(".coming")
            for name in found:
                path = Path(directory, name)
                with contextlib.suppress(FileNotFoundError):
                    status = path.stat()
                    yield path, status.st_size, status.st_mtime

    def signed(self, words: str) -> str:
        return hmac.new(self.upload["secret"].encode(), words.encode(), hashlib.sha256).hexdigest()

    def slot(self, name: str, size: int) -> str:
        """The signature that ejabberd gives to a slot. It knows nothing of the domain before it."""
        return self.signed("{} {}".format(name.partition("/")[2], size))

    def path(self, name: str) -> Optional[Path]:
        """The place of a file; None for a name that ejabberd gives to none."""
        words = name.split("/")
        if len(words) != 4 or not all(_WORD.fullmatch(word) for word in words):
            return None
        return self.root.joinpath(*words)

    def keep(self, name: str, source: BufferedIOBase, *, size: int) -> Path:
        """Store ``size`` bytes as a file. Raises OSError for fewer bytes, and ValueError without space."""
        path = self.path(name)
        if path is None:
            raise ValueError("there is no such place")
        with self.lock:
            if self.used + size > self.upload["bytes"]:
                raise ValueError("there is no space left for files")
            self.used += size
        handle, temporary = tempfile.mkstemp(dir=self.coming)
        try:
            with os.fdopen(handle, "wb") as target:
                left = size
                while left:
                    data = source.read(min(left, 65536))
                    if not data:
                        raise OSError("the sender closed the connection early")
                    target.write(data)
                    left -= len(data)
            path.parent.mkdir(parents=True, exist_ok=True)
            if path.exists():  # Two requests brought the same file.
                with self.lock:
                    self.used -= path.stat().st_size
            Path(temporary).replace(path)
        except BaseException:
            with self.lock:
                self.used -= size
            with contextlib.suppress(FileNotFoundError):
                Path(temporary).unlink()
            raise
        return path

    def expire(self) -> None:
        """Delete the files that are too old, and the directories that they leave empty."""
        oldest = time.time() - self.upload["days"] * 86400
        for path, size, changed in list(self.files()):
            if changed < oldest:
                path.unlink()
                with self.lock:
                    self.used -= size
                with contextlib.suppress(OSError):
                    for parent in list(path.parents)[:3]:
                        parent.rmdir()

    def copy_to(self, peer: str, name: str) -> bool:
        """Copy a file to another host. False if that host does not answer; it asks for the file later."""
        place = self.root / name
        with contextlib.suppress(OSError, http.client.HTTPException), place.open("rb") as source:
            size = os.fstat(source.fileno()).st_size
            headers = {"Content-Length": str(size), COPY: self.signed(f"copy {name} {size}")}
            connection = http.client.HTTPConnection(peer, timeout=ASKING)
            with contextlib.closing(connection):
                connection.request("PUT", "{}/{}".format(self.upload["path"], name), source, headers)
                return connection.getresponse().status in (201, 409)
        return False

    def fetch(self, name: str) -> Optional[Path]:
        """Get a file that this host lacks from another host, or None if no host has it."""
        for peer in self.upload["peers"]:
            with contextlib.suppress(OSError, ValueError, http.client.HTTPException):
                connection = http.client.HTTPConnection(peer, timeout=ASKING)
                with contextlib.closing(connection):
                    headers = {COPY: self.signed("ask {}".format(name))}
                    connection.request("GET", "{}/{}".format(self.upload["path"], name), headers=headers)
                    answer = connection.getresponse()
                    if answer.status == 200:
                        return self.keep(name, answer, size=int(answer.headers["Content-Length"]))
        return None


class Handler(BaseHTTPRequestHandler):
    """One request."""

    protocol_version = "HTTP/1.1"
    timeout = 60
    keeper: "Keeper"

    def parse_request(self) -> bool:
        """The config of the moment at which a request begins is valid until the end of the request."""
        self.config, self.store = self.keeper.config, self.keeper.store
        return super().parse_request()

    def do_GET(self) -> None:
        path = unquote(urlsplit(self.path).path)
        page = self.config["pages"].get(path)
        if page is not None:
            self.answer(200, page["text"].encode(), kind=page["type"])
            return
        name = self.name_of(path)
        if self.store is None or name is None:
            self.answer(404)
            return
        place = self.store.path(name)
        if place is not None and not place.is_file():
            asked = hmac.compare_digest(self.headers.get(COPY, ""), self.store.signed("ask {}".format(name)))
            place = None if asked else self.store.fetch(name)
        self.answer(404) if place is None else self.send(place)

    do_HEAD = do_GET  # noqa: N815

    def do_OPTIONS(self) -> None:
        self.answer(204)

    def do_PUT(self) -> None:
        parts = urlsplit(self.path)
        name, store = self.name_of(unquote(parts.path)), self.store
        length = self.headers.get("Content-Length", "")
        if store is None or name is None or not length.isdigit():
            self.answer(411 if store and name else 404)
            return
        size, given = int(length), (parse_qs(parts.query).get("v") or [""])[0]
        is_copy = hmac.compare_digest(self.headers.get(COPY, ""), store.signed(f"copy {name} {size}"))
        if not is_copy and not hmac.compare_digest(given, store.slot(name, size)):
            self.answer(403)
        elif size > store.upload["largest"]:
            self.answer(413)
        elif (place := store.path(name)) is None or place.exists():
            self.answer(404 if place is None else 409)
        else:
            try:
                store.keep(name, self.rfile, size=size)
            except (OSError, ValueError) as error:
                print(f"{name}: {error}", flush=True)
                self.answer(507 if isinstance(error, ValueError) else 500)
                return
            for peer in [] if is_copy else store.upload["peers"]:
                if not store.copy_to(peer, name):
                    print("{} is not on {} yet".format(name, peer), flush=True)
            self.answer(201)

    def name_of(self, path: str) -> Optional[str]:
        """The name of a file, from the path of its URL."""
        prefix = "{}/".format(self.config["upload"]["path"]) if self.config["upload"] else ""
        return path[len(prefix) :] if prefix and path.startswith(prefix) else None

    def answer(self, status: int, body: bytes = b"", *, kind: str = "text/plain") -> None:
        # The body of a request that is refused may be there still, so the connection cannot go on.
        self.close_connection |= self.command == "PUT" and status != 201
        self.send_response(status)
        self.general_headers(kind, len(body))
        if self.command != "HEAD":
            self.wfile.write(body)

    def general_headers(self, kind: str, size: int) -> None:
        if self.close_connection:
            self.send_header("Connection", "close")
        if size or kind != "text/plain":
            self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(size))
        # Clients in a browser are pages of other websites too.
        self.send_header("Access-Control-Allow-Origin", "*")
        self.send_header("Access-Control-Allow-Methods", "GET, HEAD, PUT, OPTIONS")
        self.send_header("Access-Control-Allow-Headers", "Content-Type")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.end_headers()

    def send(self, place: Path) -> None:
        kind = mimetypes.guess_type(place.name)[0] or "application/octet-stream"
        with place.open("rb") as source:
            self.send_response(200)
            if kind not in _SHOWN:
                self.send_header("Content-Disposition", "attachment")
            self.send_header("Content-Security-Policy", "default-src 'none'")
            self.send_header("Cache-Control", "public, max-age=86400, immutable")
            self.general_headers(kind, os.fstat(source.fileno()).st_size)
            if self.command != "HEAD":
                shutil.copyfileobj(source, self.wfile)

    def log_message(self, format: str, *arguments: Any) -> None:
        """Requests are in HAProxy's log."""


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up is no fault. A health check does so when it has seen enough."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)


class Keeper:
    """The config and the files, as they are now."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.read()
        if self.store is not None:
            shutil.rmtree(self.store.coming, ignore_errors=True)
            self.store.coming.mkdir()
        threading.Thread(target=self.expire_for_ever, daemon=True).start()

    def read(self) -> None:
        self.config = json.loads(self.path.read_text("utf-8"))
        self.store = Store(self.config["upload"]) if self.config["upload"] else None

    def expire_for_ever(self) -> None:
        while True:
            if self.store is not None:
                self.store.expire()
            time.sleep(EXPIRING)


def main(words: "list[str]") -> int:
    if len(words) != 3:
        sys.exit(__doc__)
    keeper = Keeper(Path(words[2]))
    server = Server((words[0], int(words[1])), type("Bound", (Handler,), {"keeper": keeper}))
    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
    signal.signal(signal.SIGHUP, lambda *_: keeper.read())
    server.serve_forever()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
