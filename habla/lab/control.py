"""Starts the supervisor of a lab and sends requests to it."""

from __future__ import annotations

import json
import os
import socket
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import habla
from habla.errors import LabError
from habla.lab import cgroups
from habla.lab.paths import LabPaths, locked
from habla.lab.progress import say

__all__ = ["connect", "ensure_supervisor", "request", "supervisor_pid"]

#: Seconds. No operation of the supervisor may take longer.
_SECONDS = 300.0


def connect(paths: LabPaths) -> socket.socket | None:
    """A connection to the supervisor, or None if it does not run."""
    client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    client.settimeout(_SECONDS)
    try:
        directory = os.open(paths.root, os.O_PATH | os.O_DIRECTORY)
    except FileNotFoundError:
        client.close()
        return None
    try:
        # Through /proc, because the path may be longer than a socket address can hold.
        client.connect(f"/proc/self/fd/{directory}/{paths.socket.name}")
    except (FileNotFoundError, ConnectionRefusedError):
        client.close()
        return None
    finally:
        os.close(directory)
    return client


def supervisor_pid(client: socket.socket) -> int:
    """The process id of the supervisor, from the kernel."""
    credentials = client.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    pid: int = struct.unpack("3i", credentials)[0]
    return pid


def request(client: socket.socket, message: dict[str, Any]) -> Any:
    """Send one request and return its result. Progress goes to stderr.

    Raises LabError with the supervisor's error, or if the supervisor ends or does not answer in time.
    """
    try:
        with client, client.makefile("rw", encoding="utf-8") as stream:
            stream.write(json.dumps(message) + "\n")
            stream.flush()
            for line in stream:
                answer = json.loads(line)
                if "progress" in answer:
                    say(answer["progress"])
                elif "error" in answer:
                    raise LabError(answer["error"])
                else:
                    return answer["result"]
    except TimeoutError as error:
        raise LabError(f"the lab's supervisor did not answer within {_SECONDS:.0f} s") from error
    except OSError as error:
        raise LabError(f"the lab's supervisor is gone ({error}); the next call starts it again") from error
    raise LabError("the lab's supervisor ended before it answered; the next call starts it again")


def ensure_supervisor(paths: LabPaths) -> socket.socket:
    """A connection to the lab's supervisor, which is started if it does not run."""
    client = connect(paths)
    if client is not None:
        return client
    with locked(paths.lock):
        client = connect(paths)
        if client is None:
            _launch(paths)
            client = connect(paths)
    if client is None:
        raise LabError(f"the lab's supervisor ended right after its start; read {paths.log}")
    return client


def _launch(paths: LabPaths) -> None:
    # No answer, so the supervisor is gone or its socket was deleted. Its remaining processes must end.
    cgroups.sweep(paths.identity)
    package_root = str(Path(habla.__file__).resolve().parent.parent)
    search = os.pathsep.join(filter(None, [package_root, os.environ.get("PYTHONPATH")]))
    reader, writer = os.pipe()
    arguments = ["supervise", "--dir", str(paths.root), "--ready", str(writer)]
    with paths.log.open("a") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "habla.lab", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd="/",
            env={**os.environ, "PYTHONPATH": search},
            pass_fds=[writer],
            start_new_session=True,
        )
    os.close(writer)
    with os.fdopen(reader) as stream:
        # The text ends when the supervisor is ready, or when every process that could become it has ended.
        answer = stream.read()
    process.wait()
    if answer != "ready":
        raise LabError(f"the lab's supervisor did not start: {answer or 'no reason given'} (see {paths.log})")
