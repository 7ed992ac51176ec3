"""Tells an apply whether the cluster serves, or waits for a host that is still to be deployed.

Hosts are deployed one after the other. When all nodes were off, the first of them may have to wait for the
data of one that is deployed later. That is no failure of the first host: its apply ends well and names the
host that the node waits for. The apply of the last host proves that every node that runs also serves. When
that host is never deployed, the rule of ``starting`` makes the first one serve.
"""

from __future__ import annotations

import socket
import subprocess
import time

from . import merging
from .cluster import reachable
from .contact import Contact
from .erlang import Erlang
from .own_node import HEAL, OwnNode, node_of
from .starting import NotServing, Start, unit_failed

# Seconds for the whole. Only a merge of a large copy may go on after it.
_DEADLINE = 90.0
_PAUSE = 0.5


def settle(node: OwnNode, peers: list[str]) -> str:
    """Wait until this node and every peer that runs serve together, or this node waits for a later host.

    Returns one of the two in words. Raises NotServing.
    """
    # Not "start": that would wait for a run that began before this apply, and so for a node that had another
    # name, peers or cookie. Such a run may be ended at any point, as the next one goes on where it was.
    healing = subprocess.Popen(
        ["systemctl", "restart", HEAL], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    deadline = time.monotonic() + _DEADLINE
    with Erlang(node) as erlang:
        start = Start(erlang, node)
        while True:
            if healing.poll():
                assert healing.stdout is not None
                raise NotServing(healing.stdout.read().strip())
            state, wait = start.look()
            if state.phase == "waits" and Contact.REFUSES in wait.contacts.values():
                return f"{node.name} {wait.words}"
            late = [
                peer for peer in peers if reachable(peer, node.port) and _is_late(erlang, peer, node=node)
            ]
            is_over = time.monotonic() > deadline
            is_healed = healing.poll() == 0 or (is_over and merging.due())
            if is_healed and state.phase == "serves" and not late:
                others = ", ".join(sorted(state.running - {node.name}))
                return f"{node.name} serves with {others or 'no other node'}"
            if is_over:
                words = f"{node.name} {wait.words}" if wait.contacts else f"{node.name}: {state.phase}"
                if state.phase == "serves":
                    words = f"{node.name} serves, but not together with {', '.join(late) or 'its peers'}"
                raise NotServing(f"after {_DEADLINE:.0f} s {words}")
            time.sleep(_PAUSE)


def _is_late(erlang: Erlang, peer: str, *, node: OwnNode) -> bool:
    """Whether the node of a peer runs, but does not serve with this one.

    While a host gets another name, the node of its old name answers at its address. Its own apply ends that.
    """
    state = erlang.state(node_of(peer))
    return state.phase != "down" and not (state.phase == "serves" and node.name in state.running)


def be_well(node: OwnNode, *, address: str, c2s_port: int) -> None:
    """Return if a client can connect or the node waits for a host that is up. Raises NotServing otherwise."""
    try:
        socket.create_connection((address, c2s_port), timeout=2).close()
        return
    except OSError as error:
        fault = f"{address}:{c2s_port}: {error}"
    if not unit_failed():
        with Erlang(node) as erlang:
            _, wait = Start(erlang, node).look()
        if Contact.REFUSES in wait.contacts.values():
            return
        fault += f"; {node.name} {wait.words}" if wait.contacts else ""
    raise NotServing(fault)
