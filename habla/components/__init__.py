"""Pulumi component resources, the building blocks of a user's program."""

from habla.components.balancer import LoadBalancerPair, LoadBalancerPairArgs
from habla.components.host import ExistingHost, Host, HostArgs, Lab, LabArgs, LabHost
from habla.components.monitor import MonitoringNode, MonitoringNodeArgs
from habla.components.node import Node
from habla.components.nodes import (
    CacheDbNode,
    CacheDbNodeArgs,
    ServiceNode,
    ServiceNodeArgs,
    StableServiceNode,
    StableServiceNodeArgs,
    VolatileServiceNode,
    WebNode,
)
from habla.components.subnet import InternalSubnet, InternalSubnetArgs, Member
from habla.components.watch_node import HostWatch, HostWatchArgs
from habla.components.whole_fleet import Fleet, FleetArgs

__all__ = [
    "CacheDbNode",
    "CacheDbNodeArgs",
    "ExistingHost",
    "Fleet",
    "FleetArgs",
    "Host",
    "HostArgs",
    "HostWatch",
    "HostWatchArgs",
    "InternalSubnet",
    "InternalSubnetArgs",
    "Lab",
    "LabArgs",
    "LabHost",
    "LoadBalancerPair",
    "LoadBalancerPairArgs",
    "Member",
    "MonitoringNode",
    "MonitoringNodeArgs",
    "Node",
    "ServiceNode",
    "ServiceNodeArgs",
    "StableServiceNode",
    "StableServiceNodeArgs",
    "VolatileServiceNode",
    "WebNode",
]
