"""Components that put services on a host, by the purpose of the host."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from pathlib import Path

import pulumi

from habla.components.component_schema import in_schema
from habla.components.door import name_faults
from habla.components.host import Host
from habla.components.node import Node, PlannedNode, after, offered_by, planned_node
from habla.components.subnet import InternalSubnet
from habla.errors import SettingsError, raise_faults
from habla.model.names import CACHE_DB
from habla.model.service import Service
from habla.model.site import Endpoint, Endpoints
from habla.services.app import App
from habla.services.app_spec import AppSpec
from habla.services.jabber import Jabber, JabberSpec
from habla.services.memcached import Memcached, MemcachedSpec
from habla.services.memqd import Memqd, MemqdSpec
from habla.services.mysql import Mysql, MysqlSpec
from habla.services.static import Static, StaticSpec

__all__ = [
    "CacheDbNode",
    "CacheDbNodeArgs",
    "ServiceNode",
    "ServiceNodeArgs",
    "StableServiceNode",
    "StableServiceNodeArgs",
    "VolatileServiceNode",
    "WebNode",
    "own_services",
]


@in_schema
@dataclass(frozen=True)
class CacheDbNodeArgs:
    """The daemons of a front host. habla leaves out a daemon whose settings are None."""

    on: Host | Sequence[Host]
    """The host, or several hosts in the order in which they are changed."""
    subnet: InternalSubnet
    """The internal network of the host."""
    _: KW_ONLY
    memcached: MemcachedSpec | None = MemcachedSpec()
    """The cache."""
    memqd: MemqdSpec | None = MemqdSpec()
    """The queue daemon."""
    mysql: MysqlSpec | None = MysqlSpec()
    """The database. The host needs the secret that ``password`` names."""


class CacheDbNode(Node):
    """memcached, memqd and MySQL on a front host. They bind to the internal address."""

    COMPONENT = CACHE_DB

    def __init__(
        self, name: str, args: CacheDbNodeArgs | PlannedNode, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        planned = args if isinstance(args, PlannedNode) else _planned_cache(args)
        super().__init__("habla:index:CacheDbNode", name, planned=planned, opts=opts)


def _planned_cache(args: CacheDbNodeArgs) -> PlannedNode:
    services: list[Service] = []
    if args.memcached:
        services.append(Memcached(args.memcached))
    if args.memqd:
        services.append(Memqd(args.memqd))
    if args.mysql:
        services.append(Mysql(args.mysql))
    return planned_node(CACHE_DB, args.on, subnet=args.subnet, services=services)


@in_schema
@dataclass(frozen=True)
class ServiceNodeArgs:
    """Programs of your own, and static images."""

    on: Host | Sequence[Host]
    """The host, or several hosts of one role in the order in which they are changed."""
    subnet: InternalSubnet
    """The internal network of the host."""
    _: KW_ONLY
    apps: Mapping[str, AppSpec] = field(default_factory=dict)
    """Name -> program."""
    static: StaticSpec | None = None
    """The static image server, if it runs here."""
    uses: Sequence[Node] = ()
    """Nodes whose services the programs may name, as in ``${mysql.address}``; they are deployed first."""
    root: Path = Path()
    """Paths of archives are relative to it."""


@in_schema
@dataclass(frozen=True)
class StableServiceNodeArgs(ServiceNodeArgs):
    """Jabber, programs of your own, and static images."""

    _: KW_ONLY
    jabber: JabberSpec | None = None
    """ejabberd, if it runs here. The host needs the secrets that ``cookie`` and ``certificate`` name."""
    peers: Sequence[str] | None = None
    """The names of the hosts of its cluster; by default all hosts of the role."""


class ServiceNode(Node):
    """Programs of your own, and static images, on a host of any role that allows them."""

    TOKEN = "habla:index:ServiceNode"
    # The role whose hosts it is for; empty: any.
    ROLE = ""

    def __init__(
        self, name: str, args: ServiceNodeArgs | PlannedNode, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        if isinstance(args, ServiceNodeArgs):
            opts = after(opts, args.uses)
        planned = args if isinstance(args, PlannedNode) else _planned_services(args)
        super().__init__(self.TOKEN, name, planned=planned, opts=opts)


def _planned_services(args: ServiceNodeArgs) -> PlannedNode:
    return planned_node(
        args.subnet.common_role(args.on).name,
        args.on,
        subnet=args.subnet,
        services=own_services(args),
        known=offered_by(args.uses),
        root=args.root,
    )


def own_services(args: ServiceNodeArgs) -> list[Service]:
    """The programs and static images of a node."""
    raise_faults(
        SettingsError,
        [fault for name in args.apps for fault in name_faults(f"apps.{name}", name, service=True)],
    )
    services: list[Service] = [App(name, spec) for name, spec in sorted(args.apps.items())]
    if args.static:
        services.append(Static(args.static))
    return services


class WebNode(ServiceNode):
    """The website and forum."""

    TOKEN = "habla:index:WebNode"
    ROLE = "web"


class VolatileServiceNode(ServiceNode):
    """Programs that may use up their machine, such as a gateway. No other service runs on these hosts."""

    TOKEN = "habla:index:VolatileServiceNode"
    ROLE = "volatile"


class StableServiceNode(ServiceNode):
    """Jabber, static images and programs that must not fail. The hosts of Jabber form one cluster."""

    TOKEN = "habla:index:StableServiceNode"
    ROLE = "stable"

    def __init__(
        self,
        name: str,
        args: StableServiceNodeArgs | PlannedNode,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        if isinstance(args, StableServiceNodeArgs):
            opts = after(opts, args.uses)
        super().__init__(name, args if isinstance(args, PlannedNode) else _planned_stable(args), opts)


def _planned_stable(args: StableServiceNodeArgs) -> PlannedNode:
    subnet, role = args.subnet, args.subnet.common_role(args.on).name
    services, known = own_services(args), offered_by(args.uses)
    if args.jabber:
        jabber = Jabber(args.jabber)
        services.append(jabber)
        peers = list(subnet.plan.of_role(role)) if args.peers is None else args.peers
        known += Endpoints.of(
            Endpoint(offer, peer, address=subnet.plan.hosts[peer])
            for peer in peers
            for offer in jabber.offers()
        )
    return planned_node(role, args.on, subnet=subnet, services=services, known=known, root=args.root)
