"""The Hab.la live-chat fleet as a Pulumi library.

    from habla import CacheDbNode, InternalSubnet, LoadBalancerPair, StableServiceNode

The names below are the library. They are loaded when they are first asked for, since parts of this package
(the lab's requirements, for one) must run before anything is installed.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from habla.components import (
        CacheDbNode,
        CacheDbNodeArgs,
        ExistingHost,
        Host,
        HostArgs,
        InternalSubnet,
        InternalSubnetArgs,
        Lab,
        LabArgs,
        LabHost,
        LoadBalancerPair,
        LoadBalancerPairArgs,
        Member,
        ServiceNode,
        ServiceNodeArgs,
        StableServiceNode,
        StableServiceNodeArgs,
        VolatileServiceNode,
        WebNode,
    )
    from habla.model.specs import (
        AppSpec,
        ArchiveSpec,
        HaproxySpec,
        HealthSpec,
        JabberSpec,
        MemcachedSpec,
        MemqdSpec,
        MysqlSpec,
        RouteSpec,
        StaticSpec,
    )

__all__ = [
    "AppSpec",
    "ArchiveSpec",
    "CacheDbNode",
    "CacheDbNodeArgs",
    "ExistingHost",
    "HaproxySpec",
    "HealthSpec",
    "Host",
    "HostArgs",
    "InternalSubnet",
    "InternalSubnetArgs",
    "JabberSpec",
    "Lab",
    "LabArgs",
    "LabHost",
    "LoadBalancerPair",
    "LoadBalancerPairArgs",
    "Member",
    "MemcachedSpec",
    "MemqdSpec",
    "MysqlSpec",
    "RouteSpec",
    "ServiceNode",
    "ServiceNodeArgs",
    "StableServiceNode",
    "StableServiceNodeArgs",
    "StaticSpec",
    "VolatileServiceNode",
    "WebNode",
]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    home = "habla.model.specs" if name.endswith("Spec") else "habla.components"
    return getattr(importlib.import_module(home), name)
