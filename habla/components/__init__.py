"""Pulumi component resources: what a user's program is made of."""

from habla.components.balancer import LoadBalancerPair, LoadBalancerPairArgs
from habla.components.host import ExistingHost, Host, HostArgs, Lab, LabArgs, LabHost
from habla.components.monitor import MonitoringNode, MonitoringNodeArgs
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

__all__ = [
    "CacheDbNode",
    "CacheDbNodeArgs",
    "ExistingHost",
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
    "ServiceNode",
    "ServiceNodeArgs",
    "StableServiceNode",
    "StableServiceNodeArgs",
    "VolatileServiceNode",
    "WebNode",
]
