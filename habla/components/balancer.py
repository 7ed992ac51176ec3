"""The pair of HAProxy instances, www and jabber."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from pathlib import Path

import pulumi

from habla.components.host import Host
from habla.components.node import Node, PlannedNode, planned_node
from habla.components.subnet import InternalSubnet
from habla.model.names import BALANCER
from habla.model.site import Endpoints
from habla.services.haproxy import Haproxy, HaproxySpec

__all__ = ["LoadBalancerPair", "LoadBalancerPairArgs"]


@dataclass(frozen=True)
class LoadBalancerPairArgs:
    """host: a front host with an outside address, or several, which then share one (``haproxy.vrrp``).

    backends: the nodes whose services it fronts. endpoints: what else it is to know of the fleet; also other
    front hosts, where each is a component of its own. root: what paths of ``haproxy.releases`` are relative
    to.
    """

    host: Host | Sequence[Host]
    subnet: InternalSubnet
    _: KW_ONLY
    backends: Sequence[Node] = ()
    haproxy: HaproxySpec = HaproxySpec()
    endpoints: Endpoints = Endpoints()
    root: Path = Path()


class LoadBalancerPair(Node):
    """Two HAProxy services with a config each: nothing done to one touches a connection of the other.

    On several hosts each has the pair, they are changed one after the other, and where they share an address,
    one of them has it at a time.
    """

    COMPONENT = BALANCER

    def __init__(
        self,
        name: str,
        args: LoadBalancerPairArgs | PlannedNode,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        if isinstance(args, LoadBalancerPairArgs):
            # HAProxy names the servers of these nodes, so they run before it sends them requests.
            after = pulumi.ResourceOptions(depends_on=list(args.backends))
            opts = pulumi.ResourceOptions.merge(opts, after)
        planned = args if isinstance(args, PlannedNode) else _planned(args)
        super().__init__("habla:index:LoadBalancerPair", name, planned=planned, opts=opts)


def _planned(args: LoadBalancerPairArgs) -> PlannedNode:
    return planned_node(
        BALANCER,
        args.host,
        subnet=args.subnet,
        services=[Haproxy(args.haproxy)],
        known=sum((node.endpoints for node in args.backends), args.endpoints),
        root=args.root,
    )
