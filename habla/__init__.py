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
    from habla.model.disk import AlertsSpec, LogRuleSpec, LogsSpec, PartitionSpec, SmtpSpec
    from habla.model.snmp import SnmpSpec
    from habla.model.spec import ArchiveSpec
    from habla.services.app_spec import AppSpec, HealthSpec, RouteSpec
    from habla.services.cacti.cacti import CactiSpec
    from habla.services.haproxy.haproxy_spec import (
        CookiesSpec,
        HaproxyInstanceSpec,
        HaproxySpec,
        ReleaseSpec,
        TimeoutsSpec,
        TlsSpec,
        VrrpSpec,
    )
    from habla.services.jabber import JabberSpec
    from habla.services.memcached import MemcachedSpec
    from habla.services.memqd import MemqdSpec
    from habla.services.mysql import MysqlSpec
    from habla.services.static import StaticSpec

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


_SPEC_HOMES = (
    "habla.model.spec",
    "habla.model.disk",
    "habla.model.snmp",
    "habla.services.app_spec",
    "habla.services.cacti",
    "habla.services.haproxy",
    "habla.services.jabber",
    "habla.services.memcached",
    "habla.services.memqd",
    "habla.services.mysql",
    "habla.services.static",
)


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    homes = _SPEC_HOMES if name.endswith("Spec") else ("habla.components",)
    modules = map(importlib.import_module, homes)
    return next(getattr(module, name) for module in modules if hasattr(module, name))
