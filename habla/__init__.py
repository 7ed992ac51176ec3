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
        HostWatch,
        HostWatchArgs,
        InternalSubnet,
        InternalSubnetArgs,
        Lab,
        LabArgs,
        LabHost,
        LoadBalancerPair,
        LoadBalancerPairArgs,
        Member,
        MonitoringNode,
        MonitoringNodeArgs,
        ServiceNode,
        ServiceNodeArgs,
        StableServiceNode,
        StableServiceNodeArgs,
        VolatileServiceNode,
        WebNode,
    )
    from habla.model.disk import (
        AlertsSpec,
        CactiSpec,
        LogRuleSpec,
        LogsSpec,
        PartitionSpec,
        SmtpSpec,
        SnmpSpec,
    )
    from habla.model.spec import (
        AppSpec,
        ArchiveSpec,
        HealthSpec,
        JabberSpec,
        MemcachedSpec,
        MemqdSpec,
        MysqlSpec,
        RouteSpec,
        StaticSpec,
    )
    from habla.services.haproxy.haproxy_spec import (
        CookiesSpec,
        HaproxyInstanceSpec,
        HaproxySpec,
        ReleaseSpec,
        TimeoutsSpec,
        TlsSpec,
        VrrpSpec,
    )

__all__ = [
    "AlertsSpec",
    "AppSpec",
    "ArchiveSpec",
    "CacheDbNode",
    "CacheDbNodeArgs",
    "CactiSpec",
    "CookiesSpec",
    "ExistingHost",
    "HaproxyInstanceSpec",
    "HaproxySpec",
    "HealthSpec",
    "Host",
    "HostArgs",
    "HostWatch",
    "HostWatchArgs",
    "InternalSubnet",
    "InternalSubnetArgs",
    "JabberSpec",
    "Lab",
    "LabArgs",
    "LabHost",
    "LoadBalancerPair",
    "LoadBalancerPairArgs",
    "LogRuleSpec",
    "LogsSpec",
    "Member",
    "MemcachedSpec",
    "MemqdSpec",
    "MonitoringNode",
    "MonitoringNodeArgs",
    "MysqlSpec",
    "PartitionSpec",
    "ReleaseSpec",
    "RouteSpec",
    "ServiceNode",
    "ServiceNodeArgs",
    "SmtpSpec",
    "SnmpSpec",
    "StableServiceNode",
    "StableServiceNodeArgs",
    "StaticSpec",
    "TimeoutsSpec",
    "TlsSpec",
    "VolatileServiceNode",
    "VrrpSpec",
    "WebNode",
]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    homes: tuple[str, ...] = ("habla.components",)
    if name.endswith("Spec"):
        homes = ("habla.model.spec", "habla.model.disk", "habla.services.haproxy.haproxy_spec")
    modules = map(importlib.import_module, homes)
    return next(getattr(module, name) for module in modules if hasattr(module, name))
