"""Brings the node of this host together with its peers.

It joins, mends a split, and drops nodes that left the fleet.
"""

from __future__ import annotations

import re
import subprocess
import sys
import time

from .contact import Contact, contact
from .erlang import NodeState
from .own_node import CLUSTER_MARK, EJABBERD, FORCED_MARK, OwnNode, mark_words, node_of, write_mark

STATUS_DEADLINE = 60.0
# How long the first node waits for a new peer to join it before it takes the peer for an older cluster.
JOINING = 15.0


def gather(node: OwnNode, peers: list[str]) -> bool:
    """Bring this node together with every peer that can be reached; True if that restarted ejabberd."""
    running, stopped = nodes()
    known = {node_of(peer) for peer in peers}
    for gone in sorted(stopped - known - {node.name}):
        print(f"{gone} is no longer part of the fleet: it leaves the cluster", flush=True)
        # Another node may still see it run, while it is being removed. The timer tries again.
        done = subprocess.run(
            ["ejabberdctl", "leave_cluster", gone], capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            print(f"{gone} has not left yet: {first_line(done)}", flush=True)
    restarted = False
    missing = [peer for peer in peers if node_of(peer) not in running and reachable(peer, node.port)]
    if not CLUSTER_MARK.exists() and missing:
        join(node.host, missing)
    else:
        split = [peer for peer in missing if node_of(peer) in stopped and peer < node.host]
        if split:
            restarted = mend(split, node.port)
    # Alone counts too: a cluster of one is where the next node joins.
    CLUSTER_MARK.touch()
    return restarted


def join(host: str, reachable_peers: list[str]) -> None:
    """A node that never was in a cluster joins; between new nodes the later name joins the earlier."""
    first = reachable_peers[0]
    if host < first:
        deadline = time.monotonic() + JOINING
        while time.monotonic() < deadline:
            if node_of(first) in nodes()[0]:
                return
            time.sleep(1)
    print(f"joining ejabberd@{first}")
    control("join_cluster", node_of(first))
    deadline = time.monotonic() + STATUS_DEADLINE
    while time.monotonic() < deadline:
        if node_of(first) in nodes()[0]:
            return
        time.sleep(0.5)
    sys.exit(f"joined ejabberd@{first}, but it does not show in the cluster after {STATUS_DEADLINE:.0f} s")


def mend(split: list[str], port: int) -> bool:
    """Both sides of a split live on and stay apart; the later name starts anew and takes the other's data.

    Its start copies its own data aside first, and ``merging`` brings back what only it had.
    """
    time.sleep(5)
    running, _ = nodes()
    still = [peer for peer in split if node_of(peer) not in running and reachable(peer, port)]
    if still:
        print(f"split from {', '.join(still)}: restarting ejabberd here", flush=True)
        subprocess.run(["systemctl", "restart", EJABBERD], check=True)
    return bool(still)


def forget_forced(state: NodeState) -> None:
    """Nodes without which the tables here were forced are no longer apart once they have joined, or left."""
    write_mark(FORCED_MARK, sorted(state.known.intersection(mark_words(FORCED_MARK)) - state.running))


def nodes() -> tuple[set[str], set[str]]:
    """The database's nodes: those that run, and those that are known but do not."""
    return parse_nodes(control("mnesia_info"))


def parse_nodes(text: str) -> tuple[set[str], set[str]]:
    """The running and the stopped nodes in the words of ``ejabberdctl mnesia_info``. Pure."""
    running = node_set("running_db_nodes", text)
    return running, node_set("db_nodes", text) - running


def node_set(key: str, text: str) -> set[str]:
    """The nodes of one line of Erlang terms: ``{KEY,[ejabberd@stable1,'ejabberd@stable-2']}``."""
    found = re.search(rf"\{{{key},\s*\[([^\]]*)\]\}}", text)
    if found is None:
        sys.exit(f"ejabberdctl mnesia_info says nothing of {key}")
    return {name.strip().strip("'") for name in found[1].split(",") if name.strip()}


def control(*words: str) -> str:
    """The output of ``ejabberdctl WORDS``, which must succeed."""
    result = subprocess.run(["ejabberdctl", *words], capture_output=True, text=True, check=False)
    if result.returncode != 0:
        sys.exit(f"ejabberdctl {' '.join(words)}: {first_line(result)}")
    return result.stdout


def first_line(result: subprocess.CompletedProcess[str]) -> str:
    """The first line of a failed command, without the help that follows it."""
    lines = [line for line in (result.stdout + result.stderr).splitlines() if line.strip()]
    return lines[0] if lines else f"exit status {result.returncode}"


def reachable(host: str, port: int) -> bool:
    """Whether the ejabberd of a host answers."""
    return contact(host, port) is Contact.ANSWERS
