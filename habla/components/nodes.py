"""Components that put services on a host. Each renders one host state and hands it over in one command."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pulumi
from pulumi_command import remote

from habla.archives import read_archive
from habla.components.archives import deliver_archives
from habla.components.command import agent_command, agent_undo, host_command
from habla.components.host import Host
from habla.components.subnet import InternalSubnet
from habla.errors import Fault, PlacementError, collected, raise_faults
from habla.model.service import Endpoint, Endpoints, Service
from habla.model.specs import (
    AppSpec,
    ArchiveSpec,
    JabberSpec,
    MemcachedSpec,
    MemqdSpec,
    MysqlSpec,
    StaticSpec,
)
from habla.model.state import Archive, HostState
from habla.placement import placement_faults
from habla.plan import CACHE_DB
from habla.services.app import App
from habla.services.compose import compose
from habla.services.jabber import Jabber
from habla.services.memcached import Memcached
from habla.services.memqd import Memqd
from habla.services.mysql import Mysql
from habla.services.static import Static

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


class Node(pulumi.ComponentResource):
    """Services on one host, as one component of it; or the same services on several.

    endpoints: what it offers to others; plain values, known at preview. state: what it makes of the host.
    report: what the last apply changed, as JSON. states, reports: the same of each host, where there are
    several; then ``state`` and ``report`` are the first one's. ahead: components that it stands on, by host.
    """

    endpoints: Endpoints
    state: HostState
    states: Mapping[str, HostState]
    report: pulumi.Output[str]
    reports: pulumi.Output[dict[str, str]]

    def __init__(
        self,
        token: str,
        name: str,
        component: str,
        host: Host | Sequence[Host],
        subnet: InternalSubnet,
        services: Sequence[Service],
        known: Endpoints,
        archives: Mapping[str, bytes],
        opts: pulumi.ResourceOptions | None,
        ahead: Callable[[str], Sequence[HostState]] = lambda host: (),
    ) -> None:
        hosts = [host] if isinstance(host, Host) else list(host)
        if not hosts:
            rule = "a component stands on a host"
            raise PlacementError([Fault(name, "no host", "", rule, "give at least one host")])
        placement = {item.name: (subnet.role(item), services) for item in hosts}
        raise_faults(PlacementError, placement_faults(placement))
        self.endpoints = Endpoints.of(
            Endpoint(offer, item.name, subnet.plan.hosts[item.name])
            for item in hosts
            for service in services
            for offer in service.offers()
        )
        known += self.endpoints
        faults: list[Fault] = []
        self.states = {}
        for item in hosts:
            with collected(faults):
                self.states[item.name] = compose(component, subnet.site(item, known), services)
        raise_faults(PlacementError, faults)
        super().__init__(token, name, None, opts)
        reports: dict[str, pulumi.Output[str]] = {}
        last: list[pulumi.Resource] = []
        for item in hosts:
            child, former = _child_names(name, item, host)
            own = pulumi.ResourceOptions(parent=self)
            # One host after the other, so that a change never takes all of them down.
            before = [subnet.joined(item), *last]
            if archives:
                before.append(deliver_archives(f"{child}-archives", item, archives, own, before))
            # When one of these is no longer asked for, Pulumi removes it after this component has left it.
            before += [
                _applied((child, *former), state.component, item, state, own, list(before))
                for state in ahead(item.name)
            ]
            command = _applied((child, *former), "state", item, self.states[item.name], own, before)
            last = [command]
            reports[item.name] = command.stdout
        self.state, self.report = self.states[hosts[0].name], reports[hosts[0].name]
        self.reports = pulumi.Output.all(**reports)
        self.register_outputs({"report": self.report, "reports": self.reports})


def _child_names(name: str, host: Host, hosts: Host | Sequence[Host]) -> tuple[str, list[str]]:
    """The name of a component's part on ``host``, and what it was called when there was one host, or several.

    Without the latter a second host would make the part on the first one a new resource, and the end of the
    old one would undo it.
    """
    single, one_of_several = name, f"{name}-{host.name}"
    if isinstance(hosts, Host):
        return single, [one_of_several]
    return one_of_several, [single] if host is hosts[0] else []


def _applied(
    names: Sequence[str],
    suffix: str,
    host: Host,
    state: HostState,
    opts: pulumi.ResourceOptions,
    depends_on: Sequence[pulumi.Resource],
) -> remote.Command:
    """A host state as a resource: handed over, and undone when the resource goes.

    names: of the component's part on this host, the first as it is now, the others as it has been called.
    """
    name, *aliases = [f"{each}-{suffix}" for each in names]
    return host_command(
        name,
        host.connection,
        agent_command("apply"),
        state.canonical(),
        agent_undo("delete", state.component),
        pulumi.ResourceOptions.merge(
            opts,
            pulumi.ResourceOptions(aliases=[pulumi.Alias(name=each) for each in aliases]),
        ),
        depends_on,
    )


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
            args.subnet.role(args.host).name,
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
