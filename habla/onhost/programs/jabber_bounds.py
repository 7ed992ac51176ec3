#!/usr/bin/python3
"""Keeps the data that ejabberd stores within its bounds. A timer runs it once an hour.

jabber-bounds STATE DAYS BYTES ROOM_DAYS
    DAYS 0: there is no archive. Once a day: deletes messages from the archive that are older than DAYS, and
    destroys rooms that were unused for ROOM_DAYS. Whenever the messages take more than BYTES (0: they are in
    no file of this host): deletes the oldest of them too, day by day. STATE: the directory of its own
    notes.

Written to each host that runs ejabberd; Python 3.9 and its standard library only.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import List, Tuple

# Seconds for one command; a large archive takes minutes. And between two looks at old messages and rooms.
DEADLINE = 1800
DAILY = 23 * 3600


def main(words: List[str]) -> int:
    if len(words) != 4 or not all(word.isdigit() for word in words[1:]):
        print(__doc__, file=sys.stderr)
        return 2
    place = Path(words[0]) / "state.json"
    days, most, room_days = map(int, words[1:])
    state = json.loads(place.read_text()) if place.exists() else {}
    if time.time() - state.get("looked", 0) >= DAILY:
        if days:
            control("delete_old_mam_messages", "all", str(days))
        control("rooms_unused_destroy", "global", str(room_days))
        state["looked"] = time.time()
    if most:
        state["each"] = shrink(days, most, each=state.get("each", 0.0))
    place.write_text(json.dumps(state))
    return 0


def shrink(days: int, most: int, *, each: float) -> float:
    """Delete messages until the rest fits. Returns the bytes that a message takes. each: the last such size.

    The file never shrinks, so its size does not tell the size of the messages in it. The size of one message
    is that of the time when the file was fullest, which is the smallest value ever measured.
    """
    count, size = archive()
    if count:
        each = min(each or size / count, size / count)
    while count * each > most and days > 1:
        days -= 1
        print(
            f"{count} messages take {count * each:.0f} bytes of {most}: only {days} days are kept", flush=True
        )
        control("delete_old_mam_messages", "all", str(days))
        count, _ = archive()
    return each


def archive() -> Tuple[int, int]:
    """How many messages the archive has, and the size of its file in bytes."""
    return parse_table(control("mnesia_table_info", "archive_msg"))


def parse_table(text: str) -> Tuple[int, int]:
    """``size`` and ``memory`` of a table in Erlang terms."""
    found = dict(re.findall(r"\{(size|memory),(\d+)\}", text))
    return int(found.get("size", 0)), int(found.get("memory", 0))


def control(*words: str) -> str:
    result = subprocess.run(
        ["ejabberdctl", *words], capture_output=True, text=True, check=False, timeout=DEADLINE
    )
    if result.returncode:
        sys.exit(f"ejabberdctl {' '.join(words)}: {(result.stdout + result.stderr).strip()[:400]}")
    return result.stdout


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
