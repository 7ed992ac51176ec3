"""Brings the node of this host together with its peers.

It joins, mends a split, and drops nodes that left the fleet.
"""

from __future__ import annotations

import subprocess
import sys
import time

from .contact import Contact, contact
from .erlang import Erlang, NodeState
from .own_node import CLUSTER_MARK, EJABBERD, FORCED_MARK, OwnNode, mark_words, node_of, write_mark

STATUS_DEADLINE = 60.0
# How long the first node waits for a new peer to join it before it takes the peer for an older cluster.
JOINING = 15.0


def gather(erlang: Erlang, node: OwnNode, *, peers: list[str]) -> bool:
    """Bring this node together with every peer that can be reached; True if that restarted ejabberd."""
    state = erlang.state(node.name)
    fleet = {node_of(peer) for peer in peers}
    stopped = state.known - state.running
    for gone in sorted(stopped - fleet - {node.name}):
        print(f"{gone} is no longer part of the fleet: it leaves the cluster", flush=True)
        # Another node may still see it run, while it is being removed. The timer tries again.
        done = subprocess.run(
            ["ejabberdctl", "leave_cluster", gone], capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            print(f"{gone} has not left yet: {first_line(done)}", flush=True)
    restarted = False
    missing = [peer for peer in peers if node_of(peer) not in state.running and reachable(peer, node.port)]
    if not CLUSTER_MARK.exists() and missing:
        restarted = join(erlang, node, reachable_peers=missing)
    else:
        split = [peer for peer in missing if node_of(peer) in stopped and peer < node.host]
        if split:
            restarted = mend(erlang, node, split=split)
    # Alone counts too: a cluster of one is where the next node joins.
    CLUSTER_MARK.touch()
    return restarted


def join(erlang: Erlang, node: OwnNode, *, reachable_peers: list[str]) -> bool:
    """Let a node that never was in a cluster join; True if that restarted ejabberd.

    Between new nodes the later name joins the earlier.
    """
    first = reachable_peers[0]
    if node.host < first and _runs_with(erlang, node, peer=first, seconds=JOINING):
        return False
    print(f"joining {node_of(first)}", flush=True)
    done = subprocess.run(
        ["ejabberdctl", "join_cluster", node_of(first)], capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        sys.exit(f"ejabberdctl join_cluster {node_of(first)}: {first_line(done)}")
    # ejabberd 23.01 has joined now. 24.12 joins a second later, and answers no ejabberdctl meanwhile.
    if not _runs_with(erlang, node, peer=first, seconds=STATUS_DEADLINE):
        sys.exit(f"{node_of(first)} does not show in the cluster {STATUS_DEADLINE:.0f} s after the join")
    return True


def _runs_with(erlang: Erlang, node: OwnNode, *, peer: str, seconds: float) -> bool:
    """Whether a peer appears in the cluster of this node within so many seconds."""
    deadline = time.monotonic() + seconds
    while node_of(peer) not in erlang.state(node.name).running:
        if time.monotonic() > deadline:
            return False
        time.sleep(0.5)
    return True


def mend(erlang: Erlang, node: OwnNode, *, split: list[str]) -> bool:
    """Restart the node with the later name after a split, so that it takes the data of the other side.

    Without that both sides live on apart. The start copies the node's own data aside first, and ``merging``
    brings back the records that only this node had.
    """
    time.sleep(5)
    running = erlang.state(node.name).running
    still = [peer for peer in split if node_of(peer) not in running and reachable(peer, node.port)]
    if still:
        print(f"split from {', '.join(still)}: restarting ejabberd here", flush=True)
        subprocess.run(["systemctl", "restart", EJABBERD], check=True)
    return bool(still)


def forget_forced(state: NodeState) -> None:
    """Nodes without which the tables here were forced are no longer apart once they have joined, or left."""
    write_mark(FORCED_MARK, sorted(state.known.intersection(mark_words(FORCED_MARK)) - state.running))


def first_line(result: subprocess.CompletedProcess[str]) -> str:
    """The first line of a failed command, without the help that follows it."""
    lines = [line for line in (result.stdout + result.stderr).splitlines() if line.strip()]
    return lines[0] if lines else f"exit status {result.returncode}"


def reachable(host: str, port: int) -> bool:
    """Whether the ejabberd of a host answers."""
    return contact(host, port) is Contact.ANSWERS
