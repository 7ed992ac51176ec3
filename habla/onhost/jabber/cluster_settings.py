"""The settings of the fleet that concern this host's node. A change of their file restarts nothing."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

SETTINGS = Path("/etc/habla/jabber-cluster.json")


@dataclass(frozen=True)
class ClusterSettings:
    """peers: the other hosts of the cluster, sorted. domains: those that the host signs a certificate for."""

    peers: "tuple[str, ...]" = ()
    certificate: str = ""
    domains: "tuple[str, ...]" = ()


def cluster_settings() -> ClusterSettings:
    """The settings on this host."""
    raw = json.loads(SETTINGS.read_text("utf-8"))
    return ClusterSettings(tuple(sorted(raw["peers"])), raw["certificate"], tuple(raw["domains"]))
