"""A small chat service from habla's components: one front machine, one Jabber machine.

The machines can come from anywhere: every field of ``ExistingHost`` but the user may be an output of another
resource (an instance at a cloud provider, a Proxmox guest).
"""

from __future__ import annotations

from dataclasses import dataclass

import pulumi

from habla import (
    AlertsSpec,
    CacheDbNode,
    CacheDbNodeArgs,
    ExistingHost,
    HaproxySpec,
    Host,
    HostArgs,
    HostWatch,
    HostWatchArgs,
    InternalSubnet,
    InternalSubnetArgs,
    JabberSpec,
    LabHost,
    LoadBalancerPair,
    LoadBalancerPairArgs,
    Member,
    MemcachedSpec,
    StableServiceNode,
    StableServiceNodeArgs,
)

_NOBODY = AlertsSpec()


@dataclass(frozen=True)
class Chat:
    """The components of the service."""

    subnet: InternalSubnet
    cache: CacheDbNode
    jabber: StableServiceNode
    balancer: LoadBalancerPair
    watch: HostWatch


def chat(
    front: ExistingHost | LabHost,
    stable: ExistingHost | LabHost,
    outside_address: str,
    cookie: pulumi.Input[str],
    alerts: AlertsSpec = _NOBODY,
) -> Chat:
    """Declare the service.

    cookie: a secret of the Jabber cluster, any long random text. alerts: who gets a mail before a disk fills.
    """
    front_host = Host("front1", HostArgs(front, outside_address))
    stable_host = Host("stable1", HostArgs(stable, secrets={"jabber/cookie": cookie}))
    subnet = InternalSubnet(
        "internal",
        InternalSubnetArgs(members=[Member(front_host, "front"), Member(stable_host, "stable")]),
    )
    # This service needs no database, so it leaves MySQL out.
    cache = CacheDbNode(
        "cache", CacheDbNodeArgs(front_host, subnet, memcached=MemcachedSpec(memory_mb=32), mysql=None)
    )
    jabber = StableServiceNode("jabber", StableServiceNodeArgs(stable_host, subnet, jabber=JabberSpec()))
    balancer = LoadBalancerPair(
        "balancer",
        LoadBalancerPairArgs(front_host, subnet, uses=[jabber], haproxy=HaproxySpec(dialect="2.x")),
    )
    watch = HostWatch(
        "watch",
        HostWatchArgs([front_host, stable_host], subnet, uses=[cache, jabber, balancer], alerts=alerts),
    )
    return Chat(subnet, cache, jabber, balancer, watch)
