"""How the agent puts itself on a host and leaves it again."""

from __future__ import annotations

import contextlib
import hashlib
import shutil
import sys
from pathlib import Path
from typing import Any, Dict

from ..failure import Failure
from . import ownership, places, system

__all__ = ["install", "uninstall"]

# Where the agent's file arrives, in the home directory of the user who logs in.
SENT = ".habla-agent.pyz"
_UNIT_TEXT = """\
[Unit]
Description=habla: put the old state back after a deployment that a power cut ended
DefaultDependencies=no
After=local-fs.target systemd-tmpfiles-setup.service
Before=network-pre.target sysinit.target
ConditionPathExists={journal}

[Service]
Type=oneshot
TimeoutStartSec=120
ExecStart=/usr/bin/python3 {agent} recover --boot

[Install]
WantedBy=sysinit.target
"""


def install(manifest: Any, to: str, *, owner: str = "", new: bool = False, host: str = "") -> Dict[str, Any]:
    """Put the running agent at ``to``, and let systemd recover at boot. Raises Failure.

    manifest: has the sha256 that the agent's file must have. owner, new: as for an apply, because the agent
    belongs to a resource too. host: the name of this host in the stack, which errors name from now on.
    """
    _place(str(manifest.get("sha256")), Path(to))
    record = places.read_json(places.OWNER) or {}
    known = record.get("host", "")
    claim = ownership.claimed(record, owner, new=new)
    if host or known:
        claim["host"] = host or known
    if claim:
        places.make_state()
        places.write_json(places.OWNER, claim)
    text = _UNIT_TEXT.format(journal=places.JOURNAL, agent=to).encode()
    if not places.RECOVER_UNIT.exists() or places.RECOVER_UNIT.read_bytes() != text:
        places.write(places.RECOVER_UNIT, text, mode=0o644)
        system.systemctl("install", "daemon-reload", units=[])
    if not system.unit_states([places.RECOVER_UNIT.name])[places.RECOVER_UNIT.name].enabled:
        system.systemctl("install", "enable", units=[places.RECOVER_UNIT.name])
    return {"agent": to, "python": sys.version.split()[0]}


def _place(wanted: str, to: Path) -> None:
    """Put the agent that was sent at ``to`` in one step, unless it is there already."""
    sent = Path(SENT)
    source = next((place for place in (sent, to) if place.is_file() and _digest(place) == wanted), None)
    if source is None:
        reason = (
            "this file is missing or is not the agent that was sent: send the agent again with "
            "pulumi up --replace 'URN of the CopyToRemote of this host'"
        )
        raise Failure("install", "~/{}".format(SENT), reason=reason)
    if source == sent:
        places.write(to, sent.read_bytes(), mode=0o644)


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def uninstall(owner: str = "") -> Dict[str, Any]:
    """Remove the agent and all that it kept. Refuses while a component is still there.

    owner: the resource that is deleted. Nothing happens when the agent belongs to another one by now.
    """
    record = places.read_json(places.OWNER) or {}
    reason = ownership.refusal(record, owner)
    if reason:
        places.write_json(places.OWNER, ownership.without_undo(record, owner))
        return {"uninstalled": False, "reason": reason}
    heir = ownership.heir(record)
    if heir:
        places.write_json(places.OWNER, {key: heir[key] for key in ("owner", "host") if key in heir})
        return {"uninstalled": False, "reason": "the agent belongs to {} again".format(heir["owner"])}
    left = sorted(places.records())
    if left:
        raise Failure(
            "uninstall", ", ".join(left), reason="this host still has these components: delete them first"
        )
    if places.RECOVER_UNIT.exists():
        system.systemctl("uninstall", "disable", units=[places.RECOVER_UNIT.name])
        places.RECOVER_UNIT.unlink()
        system.systemctl("uninstall", "daemon-reload", units=[])
    places.SECRETS.unlink(missing_ok=True)
    shutil.rmtree(str(places.STATE), ignore_errors=True)
    Path(SENT).unlink(missing_ok=True)
    program = Path(sys.argv[0])
    if program.suffix == ".pyz":
        program.unlink(missing_ok=True)
    for directory in (places.SECRETS.parent, program.parent):
        with contextlib.suppress(OSError):
            directory.rmdir()
    return {"uninstalled": True}
