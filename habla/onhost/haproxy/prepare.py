"""Tells HAProxy about the state of its servers before each start and reload.

A new process of HAProxy believes that each server is up until it has checked it. So the hosts are asked
first. A process of 2.x reads the state of its servers from a file. 1.3 has nothing like it: its config leaves
out the servers that are drained or down, and the guard reloads it when they are well again.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any, Dict, List, Mapping

from .instances import LEFT_OUT, OLD, RUNNING, STATE, Instance, flag, write
from .servers import DRAINED, MAINTENANCE, Server, ask, found_in, to_leave_out, without

__all__ = ["prepare", "replaced_processes", "state_text"]

# ``show servers state`` of HAProxy 2.6 to 3.4. Servers are found by the names of backend and server.
_COLUMNS = (
    "be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight srv_iweight "
    "srv_time_since_last_change srv_check_status srv_check_result srv_check_health srv_check_state "
    "srv_agent_state bk_f_forced_id srv_f_forced_id srv_fqdn srv_port srvrecord srv_use_ssl srv_check_port "
    "srv_check_addr srv_agent_addr srv_agent_port"
)
# Operational and administrative state: running but forced to drain, or stopped.
_STATES = {DRAINED: "2 8"}
_STOPPED = "0 0"


def prepare(instance: Instance, replaced: int = 0) -> Dict[Server, str]:
    """Write the config that is to run. Returns the servers that get no request at first, with the reason.

    replaced: the process that the new one replaces; 0: none. Raises OSError.
    """
    config = Path(instance.config).read_text("utf-8")
    servers = found_in(config, instance.responder)
    if flag(instance.name).exists():
        out = dict.fromkeys(servers, MAINTENANCE)
        left = out
    else:
        out = to_leave_out(ask(servers))
        left = out if instance.old else {}
    write(instance.path(LEFT_OUT), json.dumps({server.label: why for server, why in left.items()}) + "\n")
    if not instance.old:
        write(instance.path(STATE), state_text(out))
    elif replaced:
        _remember(instance, replaced)
    write(instance.path(RUNNING), without(config, list(left)))
    return out


def state_text(servers: Mapping[Server, str]) -> str:
    """The state of these servers in the format that 2.x saves and loads. Pure."""
    lines = ["1", f"# {_COLUMNS}"]
    for server, why in servers.items():
        if why != MAINTENANCE:
            states = _STATES.get(why, _STOPPED)
            lines.append(
                f"1 {server.backend} 1 {server.name} {server.address} {states} 1 1 0 1 0 0 6 0 0 0 - "
                f"{server.port} - 0 0 - - 0"
            )
    return "\n".join(lines) + "\n"


def replaced_processes(instance: Instance) -> List[Dict[str, Any]]:
    """The replaced processes that still run: pid, started, replaced (seconds of the monotonic clock)."""
    try:
        known = json.loads(instance.path(OLD).read_text("utf-8"))
    except (OSError, ValueError):
        return []
    return [entry for entry in known if _started(entry["pid"]) == entry["started"]]


def _started(pid: int) -> str:
    """When a process started, in the kernel's ticks since the boot; empty if there is none."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return ""


def _remember(instance: Instance, pid: int) -> None:
    """Note that a process is replaced now, or again if the reload before failed."""
    others = [entry for entry in replaced_processes(instance) if entry["pid"] != pid]
    entry = {"pid": pid, "started": _started(pid), "replaced": time.monotonic()}
    write(instance.path(OLD), json.dumps([*others, entry]) + "\n")
