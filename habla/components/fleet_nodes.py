"""One component of one host of a plan."""

from __future__ import annotations

import pulumi

from habla.components.balancer import LoadBalancerPair
from habla.components.host import Host
from habla.components.monitor import MonitoringNode
from habla.components.node import Node, PlannedNode
from habla.components.nodes import CacheDbNode, ServiceNode, StableServiceNode, VolatileServiceNode, WebNode
from habla.components.subnet import InternalSubnet
from habla.components.watch_node import HostWatch
from habla.model.names import node_resource
from habla.plan import HostPlan
from habla.plan.archive_files import ArchiveFiles
from habla.plan.node_plan import NodePlan

__all__ = ["make_node"]

_OF_COMPONENT = {node.COMPONENT: node for node in (CacheDbNode, LoadBalancerPair, MonitoringNode, HostWatch)}
_OF_ROLE = {node.ROLE: node for node in (StableServiceNode, VolatileServiceNode, WebNode)}


def make_node(
    component: str,
    host: HostPlan,
    *,
    machine: Host,
    subnet: InternalSubnet,
    files: ArchiveFiles,
    opts: pulumi.ResourceOptions,
) -> Node:
    """One component of one host."""
    part = host.parts[component]
    planned = PlannedNode(
        machine,
        subnet,
        plan=NodePlan(component, {host.name: part}),
        contents=files.contents(part.services),
    )
    name = node_resource(host.name, component)
    if component in _OF_COMPONENT:
        return _OF_COMPONENT[component](name, planned, opts)
    homes = [host.role.name, *(service.home_role for service in part.services)]
    home = next((_OF_ROLE[role] for role in homes if role in _OF_ROLE), ServiceNode)
    return home(name, planned, opts)
