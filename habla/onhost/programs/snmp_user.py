#!/usr/bin/python3
"""Gives snmpd its one user, before each start.

Usage: snmp-user WANTED STATE OWNER. WANTED is JSON: {} or {"user": NAME, "auth": TEXT, "privacy": TEXT}.
STATE is the file in which snmpd keeps its engine's id, the number of its starts and its users. A user in it
keeps the old passphrases, and snmpd ignores those in the config. So all users are removed, and the wanted one
is made anew.

Written to each host that runs snmpd; Python 3.9 and its standard library only.
"""

from __future__ import annotations

import json
import re
import shutil
import sys
from pathlib import Path

AUTH, PRIVACY = "SHA-512", "AES"
# snmpd takes no shorter ones; Cacti has no room for a longer one to authenticate with.
SHORTEST, LONGEST = 8, 50
_USERS = re.compile(r"^\s*(usmUser|createUser)\s")


def faults(wanted: dict[str, str]) -> list[str]:
    """The passphrases that snmpd refuses. It would only log that, and its user could do nothing."""
    return [
        f"the SNMP passphrase {name!r} must have {SHORTEST} to {LONGEST} bytes, in one line"
        for name in ("auth", "privacy")
        if wanted and not _usable(wanted[name])
    ]


def _usable(value: str) -> bool:
    return SHORTEST <= len(value.encode()) <= LONGEST and not re.search(r"[\n\r\0]", value)


def renewed(state: str, wanted: dict[str, str]) -> str:
    """The state with the wanted user alone."""
    lines = [line for line in state.splitlines() if not _USERS.match(line)]
    if wanted:
        auth, privacy = (re.sub(r'(["\\])', r"\\\1", wanted[name]) for name in ("auth", "privacy"))
        lines.append(f'createUser {wanted["user"]} {AUTH} "{auth}" {PRIVACY} "{privacy}"')
    return "".join(line + "\n" for line in lines)


def main(wanted_file: str, state_file: str, owner: str) -> None:
    wanted = json.loads(Path(wanted_file).read_text("utf-8"))
    found = faults(wanted)
    if found:
        sys.exit("\n".join(found))
    state = Path(state_file)
    old = state.read_text("utf-8", "surrogateescape") if state.exists() else ""
    new = state.with_name(state.name + ".habla-new")
    new.unlink(missing_ok=True)
    # Only root may open it until it has its owner: it holds passphrases until snmpd has read it.
    new.touch(mode=0o600)
    new.write_text(renewed(old, wanted), "utf-8", "surrogateescape")
    shutil.chown(new, owner, owner)
    new.replace(state)


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    main(*sys.argv[1:])
