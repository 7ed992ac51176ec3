"""The Hab.la live-chat fleet as a Pulumi library.

    from habla import CacheDbNode, InternalSubnet, LoadBalancerPair, StableServiceNode

The names below are the library. A name is loaded at its first use, because parts of this package
(the lab's requirements, for one) must run before anything is installed.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from habla.components import (
        CacheDbNode,
        CacheDbNodeArgs,
        ExistingHost,
        Fleet,
        FleetArgs,
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
        Node,
        ServiceNode,
        ServiceNodeArgs,
        StableServiceNode,
        StableServiceNodeArgs,
        VolatileServiceNode,
        WebNode,
    )
    from habla.model.disk import AlertsSpec, LogRuleSpec, LogsSpec, PartitionSpec, SmtpSpec
    from habla.model.offer import Balancer, HttpCheck, Offer, OfferedValue, Route, XmppCheck
    from habla.model.public_names import PublicName, ServiceRecord
    from habla.model.roles import Role
    from habla.model.service import DataBound, Log, Port, Service, ServiceState
    from habla.model.site import Database, Device, Endpoint, Endpoints, Site
    from habla.model.snmp import SnmpSpec
    from habla.model.spec import ArchiveSpec, LogSpec, Spec
    from habla.onhost.document import Action, Archive, Check, Directory, File, Health, HostState, Unit, User
    from habla.onhost.made_secrets import made_secret, made_value
    from habla.services.app_spec import AppSpec, HealthSpec, LimitsSpec, RouteSpec
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
    from habla.services.jabber import (
        ApiClientSpec,
        ArchiveBoundSpec,
        ComponentSpec,
        DomainSpec,
        JabberLimitsSpec,
        JabberSpec,
        ProgramSpec,
        RoomsSpec,
        UploadSpec,
    )
    from habla.services.memcached import MemcachedSpec
    from habla.services.memqd import MemqdSpec
    from habla.services.mysql import MysqlSpec
    from habla.services.static import StaticSpec

    __version__: str

__all__ = [
    "Action",
    "AlertsSpec",
    "ApiClientSpec",
    "AppSpec",
    "Archive",
    "ArchiveBoundSpec",
    "ArchiveSpec",
    "Balancer",
    "CacheDbNode",
    "CacheDbNodeArgs",
    "CactiSpec",
    "Check",
    "ComponentSpec",
    "CookiesSpec",
    "DataBound",
    "Database",
    "Device",
    "Directory",
    "DomainSpec",
    "Endpoint",
    "Endpoints",
    "ExistingHost",
    "File",
    "Fleet",
    "FleetArgs",
    "HaproxyInstanceSpec",
    "HaproxySpec",
    "Health",
    "HealthSpec",
    "Host",
    "HostArgs",
    "HostState",
    "HostWatch",
    "HostWatchArgs",
    "HttpCheck",
    "InternalSubnet",
    "InternalSubnetArgs",
    "JabberLimitsSpec",
    "JabberSpec",
    "Lab",
    "LabArgs",
    "LabHost",
    "LimitsSpec",
    "LoadBalancerPair",
    "LoadBalancerPairArgs",
    "Log",
    "LogRuleSpec",
    "LogSpec",
    "LogsSpec",
    "Member",
    "MemcachedSpec",
    "MemqdSpec",
    "MonitoringNode",
    "MonitoringNodeArgs",
    "MysqlSpec",
    "Node",
    "Offer",
    "OfferedValue",
    "PartitionSpec",
    "Port",
    "ProgramSpec",
    "PublicName",
    "ReleaseSpec",
    "Role",
    "RoomsSpec",
    "Route",
    "RouteSpec",
    "Service",
    "ServiceNode",
    "ServiceNodeArgs",
    "ServiceRecord",
    "ServiceState",
    "Site",
    "SmtpSpec",
    "SnmpSpec",
    "Spec",
    "StableServiceNode",
    "StableServiceNodeArgs",
    "StaticSpec",
    "TimeoutsSpec",
    "TlsSpec",
    "Unit",
    "UploadSpec",
    "User",
    "VolatileServiceNode",
    "VrrpSpec",
    "WebNode",
    "XmppCheck",
    "__version__",
    "made_secret",
    "made_value",
]


# Where the names are, in the order in which they are looked for; those that need no Pulumi first.
_HOMES = (
    "habla.model.spec",
    "habla.model.disk",
    "habla.onhost.made_secrets",
    "habla.model.offer",
    "habla.model.public_names",
    "habla.model.roles",
    "habla.model.service",
    "habla.model.site",
    "habla.model.snmp",
    "habla.onhost.document",
    "habla.services.app_spec",
    "habla.services.cacti",
    "habla.services.haproxy",
    "habla.services.jabber",
    "habla.services.memcached",
    "habla.services.memqd",
    "habla.services.mysql",
    "habla.services.static",
    "habla.components",
)


def __getattr__(name: str) -> Any:
    if name == "__version__":
        # Loaded here, because it takes longer to load than the rest of a command.
        from importlib.metadata import version

        return version("habla")
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    modules = map(import_module, _HOMES)
    return next(getattr(module, name) for module in modules if name in module.__all__)
