"""Components that put services on a host, by what it is for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pulumi

from habla.components.host import Host
from habla.components.node import Node
from habla.components.subnet import InternalSubnet
from habla.model.service import Endpoint, Endpoints, Service
from habla.model.spec import ArchiveSpec
from habla.onhost.document import Archive
from habla.plan import CACHE_DB
from habla.plan.archive_files import read_archive
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
]


@dataclass(frozen=True)
class CacheDbNodeArgs:
    """A daemon whose settings are None is left out."""

    host: Host
    subnet: InternalSubnet
    memcached: MemcachedSpec | None = MemcachedSpec()
    memqd: MemqdSpec | None = MemqdSpec()
    mysql: MysqlSpec | None = MysqlSpec()


class CacheDbNode(Node):
    """memcached, memqd and MySQL on the internal address of a front host."""

    def __init__(self, name: str, args: CacheDbNodeArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        services: list[Service] = []
        if args.memcached:
            services.append(Memcached(args.memcached))
        if args.memqd:
            services.append(Memqd(args.memqd))
        if args.mysql:
            services.append(Mysql(args.mysql))
        super().__init__(
            "habla:index:CacheDbNode",
            name,
            CACHE_DB,
            args.host,
            args.subnet,
            services,
            Endpoints(),
            {},
            opts,
        )


@dataclass(frozen=True)
class ServiceNodeArgs:
    """apps: name -> program. static: the static image server, if it runs here. uses: what programs may name.

    root: what archive paths are relative to.
    """

    host: Host
    subnet: InternalSubnet
    apps: Mapping[str, AppSpec] = field(default_factory=dict)
    static: StaticSpec | None = None
    uses: Endpoints = Endpoints()
    root: Path = Path()


@dataclass(frozen=True)
class StableServiceNodeArgs(ServiceNodeArgs):
    """jabber: ejabberd, if it runs here. peers: the hosts of its cluster; by default all of its role."""

    jabber: JabberSpec | None = None
    peers: Sequence[str] | None = None


class ServiceNode(Node):
    """The user's own programs, and static images, on a host of any role that may carry them."""

    TOKEN = "habla:index:ServiceNode"
    # Its name on the host; empty: its role's.
    COMPONENT = ""

    def __init__(
        self,
        name: str,
        args: ServiceNodeArgs,
        opts: pulumi.ResourceOptions | None = None,
        more: Sequence[Service] = (),
        known: Endpoints = Endpoints(),
    ) -> None:
        contents: dict[str, bytes] = {}

        def archive(spec: ArchiveSpec | None) -> Archive | None:
            if spec is None:
                return None
            found, content = read_archive(args.root, spec)
            if content is not None:
                contents[found.sha256] = content
            return found

        services: list[Service] = [
            App(app, spec, archive(spec.archive)) for app, spec in sorted(args.apps.items())
        ]
        if args.static:
            services.append(Static(args.static, archive(args.static.content)))
        super().__init__(
            self.TOKEN,
            name,
            self.COMPONENT or args.subnet.role(args.host).name,
            args.host,
            args.subnet,
            [*services, *more],
            args.uses + known,
            contents,
            opts,
        )


class WebNode(ServiceNode):
    """The website and forum."""

    TOKEN = "habla:index:WebNode"


class VolatileServiceNode(ServiceNode):
    """Programs that can run away, such as the multi-protocol gateway, on machines of their own."""

    TOKEN = "habla:index:VolatileServiceNode"


class StableServiceNode(ServiceNode):
    """Any of Jabber (clustered with its peers), static images, RPC, status; nothing that can run away."""

    TOKEN = "habla:index:StableServiceNode"

    def __init__(
        self, name: str, args: StableServiceNodeArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        more: list[Service] = []
        known = Endpoints()
        if args.jabber:
            jabber = Jabber(args.jabber)
            more.append(jabber)
            peers = args.peers
            if peers is None:
                peers = list(args.subnet.plan.of_role(args.subnet.role(args.host).name))
            known = Endpoints.of(
                Endpoint(offer, peer, args.subnet.plan.hosts[peer])
                for peer in peers
                for offer in jabber.offers()
            )
        super().__init__(name, args, opts, more, known)
