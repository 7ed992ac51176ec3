"""Whether other programs work. Each writes a sign of life, a text that changes with every good run.

Clocks of hosts differ, so the text is never read as a time. The watcher measures by its own clock how long
ago the text changed.
"""

from __future__ import annotations

import http.client
import os
import subprocess
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Mapping, Sequence
from urllib.parse import urlsplit

from .events import Condition
from .settings import Peer

# An asker that did not ask for so long (it was down, or its clock was set) knows nothing of the time between.
GAP_SECONDS = 120.0
ASK_SECONDS = 25.0
_HTTP_SECONDS = 3.0
_LARGEST = 200
# NET-SNMP-EXTEND-MIB::nsExtendOutput1Line."habla-watch": the first line of /run/habla-watch/alive.
_EXTEND = ".1.3.6.1.4.1.8072.1.3.2.3.1.1"
_NAME = "habla-watch"
OID = ".".join([_EXTEND, str(len(_NAME)), *(str(ord(letter)) for letter in _NAME)])

Answer = tuple[str, str]


def ask(peers: Sequence[Peer], snmp: str) -> dict[str, Answer]:
    """name -> (sign of life, why there is none). All at once: twenty dead hosts take seconds, not minutes."""
    if not peers:
        return {}
    with ThreadPoolExecutor(min(len(peers), 32)) as pool:
        answers = list(pool.map(lambda peer: _page(peer) if peer.url else _snmpget(peer, snmp), peers))
    return {peer.name: answer for peer, answer in zip(peers, answers)}


def _page(peer: Peer) -> Answer:
    where = urlsplit(peer.url)
    connection = http.client.HTTPConnection(where.hostname or "", where.port or 80, timeout=_HTTP_SECONDS)
    try:
        connection.request("GET", where.path or "/", headers={"Connection": "close"})
        response = connection.getresponse()
        body = response.read(_LARGEST).decode("latin-1").strip()
    except (OSError, http.client.HTTPException) as error:
        return "", str(error) or type(error).__name__
    finally:
        connection.close()
    if response.status != 200:
        return "", f"it answers {response.status} {response.reason}"
    return body, "" if body else "an empty page"


def _snmpget(peer: Peer, snmp: str) -> Answer:
    """The credentials are in snmp.conf of the directory ``snmp``: a command line is for everybody to read."""
    where = f"udp:{peer.address}:{peer.port}"
    command = ["snmpget", "-m", "", "-t", "1", "-r", "2", "-Oqv", where, OID]
    # snmpget wants to keep a file of its own, which is not needed.
    own = {"SNMPCONFPATH": snmp, "SNMP_PERSISTENT_DIR": "/run/habla-watch/snmp", "LC_ALL": "C"}
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=8,
            env={**os.environ, **own},
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return "", str(error)
    words = done.stdout.decode(errors="replace").strip()
    if done.returncode != 0:
        # It may say first that it made a directory.
        return "", words.splitlines()[-1] if words else f"snmpget ends with {done.returncode}"
    value = words.splitlines()[-1].strip('"') if words else ""
    # For snmpget, an object that is not there is no error.
    if not value or value.startswith("No Such"):
        return "", "its snmpd answers, but knows no habla-watch"
    return value, ""


def advance(
    before: Mapping[str, Any], answers: Mapping[str, Answer], now: float
) -> dict[str, dict[str, Any]]:
    """name -> value, changed (when it last did), asked, why (there is no answer). Pure."""
    after = {}
    for name, (value, why) in answers.items():
        old = before.get(name, {"value": value, "changed": now, "asked": now})
        if not 0 <= now - old["asked"] <= GAP_SECONDS:
            # The silence until then counts, so one that was dead is not taken for well; the gap does not.
            old = {"value": old["value"], "changed": now - (old["asked"] - old["changed"])}
        changed = now if value and value != old["value"] else old["changed"]
        after[name] = {"value": value or old["value"], "changed": changed, "asked": now, "why": why}
    return after


def conditions(peers: Sequence[Peer], seen: Mapping[str, Any]) -> dict[str, Condition]:
    """One per peer. Pure."""
    found = {}
    for peer in peers:
        if peer.name not in seen:
            continue
        known = seen[peer.name]
        silent = known["asked"] - known["changed"] >= peer.silent_seconds
        headline = f"{peer.name} is well"
        if silent and peer.url:
            headline = f"the monitor {peer.name} is dead"
        elif silent:
            host = known["why"] and not known["why"].startswith("its snmpd answers")
            headline = f"host {peer.name} does not answer" if host else f"watcher on {peer.name} is silent"
        items = (known["why"],) if silent and known["why"] else ()
        found[f"peer {peer.name}"] = Condition(
            "critical" if silent else "",
            headline,
            "monitor" if peer.url else "peer",
            items=items,
            since=known["changed"] if silent else 0.0,
        )
    return found
