"""The node of this host: its name, its data, and the marks that the programs leave beside that."""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Iterable

DATA = Path("/var/lib/ejabberd")
CONTROL = Path("/etc/default/ejabberd")
EJABBERD, HEAL = "ejabberd.service", "habla-jabber-cluster.service"
# Which node the database here belongs to, and whether that node has ever been part of the fleet's cluster.
NODE_MARK = DATA / ".habla-node"
CLUSTER_MARK = DATA / ".habla-clustered"
# The nodes without which this node's tables were forced, until these nodes have joined again.
FORCED_MARK = DATA / ".habla-forced"
# The copies of the database from before the node joined others, until their records are merged.
MERGE_MARK = DATA / ".habla-merge"


@dataclass(frozen=True)
class OwnNode:
    """The node of this host. name: ``ejabberd@HOST``. port: where all nodes of the cluster meet."""

    name: str
    port: int

    @property
    def host(self) -> str:
        """The host, as the fleet names it."""
        return host_of(self.name)


def own_node() -> OwnNode:
    """The node that ejabberd's settings name."""
    name, port = control_setting(r"^ERLANG_NODE=(\S+)$"), control_setting(r"^ERL_DIST_PORT=(\d+)$")
    if not name or not port:
        sys.exit(f"{CONTROL} lacks ERLANG_NODE or ERL_DIST_PORT")
    return OwnNode(name, int(port))


def control_setting(pattern: str) -> str:
    """The first group of a pattern in ejabberd's settings, or an empty string without a match."""
    found = re.search(pattern, CONTROL.read_text(), re.MULTILINE)
    return found[1] if found else ""


def host_of(node: str) -> str:
    """The host of a node."""
    return node.partition("@")[2]


def node_of(host: str) -> str:
    """The node of a host."""
    return f"ejabberd@{host}"


def mark_words(mark: Path) -> list[str]:
    """The words in a mark, in their order. Empty if there is no mark."""
    try:
        return mark.read_text().split()
    except FileNotFoundError:
        return []


def write_mark(mark: Path, words: Iterable[str]) -> None:
    """Write these words into a mark, or remove it if there are none."""
    text = "".join(f"{word}\n" for word in words)
    if text:
        mark.write_text(text)
    else:
        mark.unlink(missing_ok=True)
