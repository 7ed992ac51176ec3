"""The pair of HAProxy instances, www and jabber."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pulumi

from habla.archives import read_archive
from habla.components.host import Host
from habla.components.nodes import Node
from habla.components.subnet import InternalSubnet
from habla.model.haproxy_specs import HaproxySpec
from habla.model.service import Endpoints
from habla.plan import BALANCER
from habla.services.haproxy import Haproxy, built

__all__ = ["LoadBalancerPair", "LoadBalancerPairArgs"]


@dataclass(frozen=True)
class LoadBalancerPairArgs:
    """host: a front host with an outside address. backends: the nodes whose services it fronts.

    proxy_protocol: as in the settings of Jabber. root: what paths of ``haproxy.releases`` are relative to.
    """

    host: Host
    subnet: InternalSubnet
    backends: Sequence[Node] = ()
    haproxy: HaproxySpec = HaproxySpec()
    proxy_protocol: bool = True
    endpoints: Endpoints = Endpoints()
    root: Path = Path()


class LoadBalancerPair(Node):
    """Two HAProxy services with a config each: nothing done to one touches a connection of the other."""

    def __init__(
        self, name: str, args: LoadBalancerPairArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        known = args.endpoints
        for node in args.backends:
            known += node.endpoints
        releases = {version: read_archive(args.root, spec) for version, spec in built(args.haproxy).items()}
        archives = {version: archive for version, (archive, _) in releases.items()}
        haproxy = Haproxy(args.haproxy, args.proxy_protocol, archives)
        super().__init__(
            "habla:index:LoadBalancerPair",
            name,
            BALANCER,
            args.host,
            args.subnet,
            [haproxy],
            known,
            {archive.sha256: content for archive, content in releases.values() if content is not None},
            opts,
            haproxy.releases(args.host.name),
        )
