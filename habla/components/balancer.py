"""The pair of HAProxy instances, www and jabber."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from pathlib import Path

import pulumi

from habla.components.component_schema import in_schema
from habla.components.host import Host
from habla.components.node import Node, PlannedNode, after, offered_by, planned_node
from habla.components.subnet import InternalSubnet
from habla.model.names import BALANCER
from habla.services.haproxy import Haproxy, HaproxySpec

__all__ = ["LoadBalancerPair", "LoadBalancerPairArgs"]


@in_schema
@dataclass(frozen=True)
class LoadBalancerPairArgs:
    """The settings of the two HAProxy instances."""

    on: Host | Sequence[Host]
    """A front host with an outside address, or several, which then share one (``haproxy.vrrp``)."""
    subnet: InternalSubnet
    """The internal network of the host."""
    _: KW_ONLY
    uses: Sequence[Node] = ()
    """The nodes whose services it fronts, and those of other front hosts; they are deployed first."""
    haproxy: HaproxySpec = HaproxySpec()
    """The settings of both instances."""
    root: Path = Path()
    """Paths of ``haproxy.releases`` are relative to it."""


class LoadBalancerPair(Node):
    """Two HAProxy instances with a config each. A change of one never touches a connection of the other.

    Each of several hosts runs the pair. habla changes the hosts one after the other. If the hosts share an
    address, one of them has it at a time.
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
            opts = after(opts, args.uses)
        planned = args if isinstance(args, PlannedNode) else _planned(args)
        super().__init__("habla:index:LoadBalancerPair", name, planned=planned, opts=opts)


def _planned(args: LoadBalancerPairArgs) -> PlannedNode:
    return planned_node(
        BALANCER,
        args.on,
        subnet=args.subnet,
        services=[Haproxy(args.haproxy)],
        known=offered_by(args.uses),
        root=args.root,
    )
