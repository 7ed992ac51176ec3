"""Waits until the started services answer."""

from __future__ import annotations

import http.client
import socket
import subprocess
import time
from typing import Mapping

from ..document import Health
from ..failure import Failure, readable, visible
from .unit_output import Mark, bounded, last_words

_PAUSE = 0.1
_ATTEMPT = 5.0


def wait_for_all(checks: Mapping[str, Health], marks: Mapping[str, Mark]) -> None:
    """Wait for every check, each until its own deadline, counted from now.

    marks: unit -> from where on its output is of this run. Raises Failure with the reason and the last words
    of the unit.
    """
    started = time.monotonic()
    for name, check in sorted(checks.items()):
        while True:
            left = check.deadline - (time.monotonic() - started)
            reason = probe(check, min(_ATTEMPT, max(left, _PAUSE)))
            if not reason:
                break
            if time.monotonic() - started > check.deadline:
                words = bounded(visible(reason))
                if check.unit:
                    words.append(last_words(check.unit, marks.get(check.unit)))
                subject = "{} of {}".format(name, check.unit) if check.unit else name
                reason = "not healthy after {} s: {}".format(check.deadline, readable("\n".join(words)))
                raise Failure("health", subject, reason=reason)
            time.sleep(_PAUSE)


def probe(check: Health, seconds: float = _ATTEMPT) -> str:
    """Try once, for so many seconds. Returns why the service is not healthy, or an empty string."""
    if check.command:
        try:
            done = subprocess.run(
                list(check.command),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                timeout=seconds,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            return str(error)
        words = readable(done.stdout.decode(errors="replace"))
        return "" if done.returncode == 0 else words or "exit status {}".format(done.returncode)
    where = "{}:{}".format(check.address, check.port)
    try:
        if not check.path:
            socket.create_connection((check.address, check.port), seconds).close()
            return ""
        connection = http.client.HTTPConnection(check.address, check.port, timeout=seconds)
        try:
            headers = {"Host": check.host} if check.host else {}
            connection.request("GET", check.path, headers=headers)
            status = connection.getresponse().status
        finally:
            connection.close()
    except (OSError, http.client.HTTPException) as error:
        return "{}: {}".format(where, error or type(error).__name__)
    if status == check.expect:
        return ""
    return "{}{} answers {}, not {}".format(where, check.path, status, check.expect)
