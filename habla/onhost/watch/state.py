"""The watcher's memory from run to run, and its sign of life.

In memory (/run), so that a full disk does not stop it, with a copy on disk for the time after a boot.
"""

from __future__ import annotations

import contextlib
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import events

FORMAT = 1
# How often the copy on disk is renewed when nothing but numbers changed.
_COPY_SECONDS = 300.0


def empty() -> dict[str, Any]:
    """The state of a watcher that never ran."""
    return {
        "format": FORMAT,
        "events": {},
        "histories": {},
        "looks": [],
        "logs": {},
        "peers": {},
        "untold": "",
        "copied": 0,
    }


def clock_back(state: dict[str, Any], now: float) -> float:
    """The seconds by which the clock was set back since the last look, or 0.

    The events, logs and peers of ``state`` move with the clock, so that nothing began in the future and every
    duration stays true (by the time between two looks). The rest heals by itself.
    """
    logs, peers = state["logs"], state["peers"]
    seconds: float = max(logs.get("checked", now), peers.get("asked", now)) - now
    if seconds <= 0:
        return 0.0
    state["events"] = events.shifted(state["events"], -seconds)
    logs["first"] = {item: at - seconds for item, at in logs.get("first", {}).items()}
    for seen in peers.get("seen", {}).values():
        seen.update(changed=seen["changed"] - seconds, asked=seen["asked"] - seconds)
    return seconds


@dataclass(frozen=True)
class Places:
    """The directories of the state: in memory and on disk."""

    memory: Path = Path("/run/habla-watch")
    disk: Path = Path("/var/lib/habla-watch")

    def load(self) -> tuple[dict[str, Any], str]:
        """The state, and why it could not be read. It is then an empty one."""
        fault = ""
        for place in (self.memory, self.disk):
            path = place / "state.json"
            try:
                raw = json.loads(path.read_text("utf-8"))
            except FileNotFoundError:
                continue
            except (OSError, ValueError) as error:
                fault = f"{path}: {error}"
                continue
            if isinstance(raw, dict) and raw.get("format") == FORMAT and raw.keys() == empty().keys():
                return raw, fault
            fault = f"{path}: not a state of format {FORMAT}"
        return empty(), f"{fault}: starting anew" if fault else ""

    def forget(self) -> None:
        """Drop the state, because it is unusable."""
        for place in (self.memory, self.disk):
            with contextlib.suppress(OSError):
                (place / "state.json").unlink()

    def save(self, state: dict[str, Any], now: float, urgent: bool) -> str:
        """Keep the state. It goes to disk at once for a new event, else seldom. Returns the error, if any."""
        on_disk = urgent or not 0 <= now - state["copied"] < _COPY_SECONDS
        if on_disk:
            state["copied"] = now
        text = json.dumps(state, separators=(",", ":"))
        faults = [_write(self.memory / "state.json", text, 0o600)]
        if on_disk or faults[0]:
            faults.append(_write(self.disk / "state.json", text, 0o600))
        if faults[0] and not faults[-1]:
            # An older one in memory would be taken for the newer.
            with contextlib.suppress(OSError):
                (self.memory / "state.json").unlink()
        # One of the two is enough, because this program must also work while a partition is full.
        return "" if "" in faults else "; ".join(faults)

    def alive(self, now: float) -> str:
        """Show that a run has finished, to snmpd, too, which is not root. Returns the error, if any."""
        return _write(self.memory / "alive", f"{now:.3f}\n", 0o644)


def _write(path: Path, text: str, mode: int) -> str:
    """Replace a file in one step. Returns the fault in words, or an empty text."""
    new = path.with_name(f"{path.name}.new")
    try:
        descriptor = os.open(str(new), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
        with open(descriptor, "w", encoding="utf-8") as file:
            os.fchmod(descriptor, mode)
            file.write(text)
        new.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            new.unlink()
        return f"{path}: {error.strerror}"
    return ""
