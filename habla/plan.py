"""Settings -> everything a stack will be: addresses, placement, and the state of every host. Pure.

``habla render`` prints it and ``fleet`` deploys it, so what a reviewer reads is what a host gets.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address

from habla.addressing import AddressPlan, AddressRange, HostRequest, plan_addresses, role_ranges
from habla.errors import Fault, Faults, PlacementError, SettingsError, collected, raise_faults
from habla.model.roles import APP, DEFAULT_ROLES, Role
from habla.model.service import Endpoint, Endpoints, Service, Site
from habla.model.specs import ArchiveSpec
from habla.model.state import Archive, HostState
from habla.placement import placement_faults
from habla.services.app import App
from habla.services.compose import compose
from habla.services.haproxy import Haproxy, built
from habla.services.jabber import Jabber
from habla.services.keepalived import FRONT, vrrp_faults
from habla.services.memcached import Memcached
from habla.services.memqd import Memqd
from habla.services.mysql import Mysql
from habla.services.network import COMPONENT as NETWORK
from habla.services.network import network_state
from habla.services.static import Static
from habla.settings.models import Settings

__all__ = [
    "BALANCER",
    "CACHE_DB",
    "FleetPlan",
    "HostPlan",
    "make_plan",
    "missing_secrets",
    "plan_stack_addresses",
    "stack_ranges",
    "stack_roles",
]

ArchiveReader = Callable[[ArchiveSpec], Archive]
CACHE_DB = "cachedb"
BALANCER = "balancer"
# What is not here belongs to the component of its host's role.
_COMPONENT_OF_KIND = {"haproxy": BALANCER, "memcached": CACHE_DB, "memqd": CACHE_DB, "mysql": CACHE_DB}


@dataclass(frozen=True)
class HostPlan:
    """One host. services: component -> what stands in it. states: component -> what it makes of the host.

    The order of ``states`` is the order in which the components are deployed.
    """

    name: str
    role: Role
    site: Site
    services: Mapping[str, tuple[Service, ...]]
    states: Mapping[str, HostState]

    @property
    def packages(self) -> tuple[str, ...]:
        """All packages of its components, sorted."""
        return tuple(sorted({package for state in self.states.values() for package in state.packages}))

    @property
    def secrets(self) -> tuple[str, ...]:
        """The secrets that its files ask for, sorted."""
        return tuple(sorted({name for state in self.states.values() for name in state.secrets}))


@dataclass(frozen=True)
class FleetPlan:
    """A whole stack. notes: what is allowed, but worth saying."""

    settings: Settings
    addresses: AddressPlan
    hosts: Mapping[str, HostPlan]
    endpoints: Endpoints = Endpoints()
    notes: tuple[str, ...] = ()


def make_plan(settings: Settings, held: Mapping[str, IPv4Address], read_archive: ArchiveReader) -> FleetPlan:
    """Plan a stack. Raises Faults with every fault of addresses, placement and services.

    held: the addresses that hosts have by the last plan. read_archive: gives the digest of an archive; the
    one thing that looks at files beside the stack.
    """
    roles = stack_roles(settings)
    faults: list[Fault] = []
    archives = _archives(settings, read_archive, faults)
    placed = {name: _services(settings, name, roles, archives) for name in settings.hosts}
    faults += placement_faults({name: (roles[settings.hosts[name].role], placed[name]) for name in placed})
    try:
        addresses = plan_stack_addresses(settings, held)
    except Faults as error:
        raise_faults(SettingsError, [*faults, *error.faults])
        raise
    endpoints = Endpoints.of(
        Endpoint(offer, name, addresses.hosts[name])
        for name, services in placed.items()
        for service in services
        for offer in service.offers()
    )
    faults += _vrrp_faults(settings, endpoints)
    hosts = {}
    for name, services in sorted(placed.items()):
        site = Site(
            name,
            addresses.hosts[name],
            settings.network.cidr,
            settings.domain,
            endpoints,
            settings.hosts[name].outside_address,
            settings.hosts[name].drained,
            settings.network.interface,
        )
        with collected(faults):
            hosts[name] = _host_plan(settings, addresses, roles[settings.hosts[name].role], site, services)
    raise_faults(PlacementError, faults)
    return FleetPlan(settings, addresses, hosts, endpoints, tuple(_notes(settings, endpoints)))


def stack_roles(settings: Settings) -> dict[str, Role]:
    """The default roles with the stack's changes, by name."""
    roles = dict(DEFAULT_ROLES)
    for name, change in settings.roles.items():
        base = roles.get(name, Role(name, (), ()))
        roles[name] = Role(
            name,
            base.offsets,
            base.kinds if change.services is None else change.services,
            base.defaults if change.defaults is None else change.defaults,
            base.volatile if change.volatile is None else change.volatile,
        )
    return roles


def plan_stack_addresses(settings: Settings, held: Mapping[str, IPv4Address]) -> AddressPlan:
    """The address plan of a stack. Raises AddressError."""
    requests = {name: HostRequest(host.role, host.address) for name, host in settings.hosts.items()}
    network = settings.network
    return plan_addresses(network.cidr, stack_ranges(settings), requests, held, network.reserved)


def stack_ranges(settings: Settings) -> dict[str, tuple[AddressRange, ...]]:
    """Which addresses each role of a stack owns. Raises AddressError."""
    given = {name: change.ranges for name, change in settings.roles.items() if change.ranges is not None}
    return role_ranges(settings.network.cidr, stack_roles(settings), given)


def _archives(settings: Settings, read: ArchiveReader, faults: list[Fault]) -> dict[str, Archive]:
    wanted = {f"apps.{name}.archive": app.archive for name, app in settings.apps.items() if app.archive}
    if settings.services.static.content:
        wanted["services.static.content"] = settings.services.static.content
    wanted |= {_release_path(version): spec for version, spec in built(settings.load_balancer).items()}
    archives = {}
    for path, spec in wanted.items():
        try:
            archives[path] = read(spec)
        except OSError as error:
            rule = "a directory or tar archive beside the stack"
            faults.append(Fault(path, "cannot be read", str(error), rule, "correct the path"))
    return archives


def _release_path(version: str) -> str:
    return f"load_balancer.releases.{version}.path"


def _services(
    settings: Settings, host: str, roles: Mapping[str, Role], archives: Mapping[str, Archive]
) -> tuple[Service, ...]:
    mine = settings.hosts[host]
    role = roles[mine.role]
    releases = {
        version: archives[path]
        for version in built(settings.load_balancer)
        if (path := _release_path(version)) in archives
    }
    daemons: dict[str, Service] = {
        "haproxy": Haproxy(settings.load_balancer, settings.services.jabber.proxy_protocol, releases),
        "memcached": Memcached(settings.services.memcached),
        "memqd": Memqd(settings.services.memqd),
        "mysql": Mysql(settings.services.mysql),
        "jabber": Jabber(settings.services.jabber),
        "static": Static(settings.services.static, archives.get("services.static.content")),
    }
    apps: dict[str, Service] = {
        name: App(name, spec, archives.get(f"apps.{name}.archive")) for name, spec in settings.apps.items()
    }
    names: tuple[str, ...] = mine.services or ()
    if mine.services is None:
        names = tuple(kind for kind in role.defaults if kind != APP)
        names += tuple(name for name, app in settings.apps.items() if role.name in app.roles)
    return tuple((daemons | apps)[name] for name in sorted(set(names)))


def _host_plan(
    settings: Settings, addresses: AddressPlan, role: Role, site: Site, services: tuple[Service, ...]
) -> HostPlan:
    parts: dict[str, tuple[Service, ...]] = {}
    for service in services:
        component = _COMPONENT_OF_KIND.get(service.kind, role.name)
        parts[component] = (*parts.get(component, ()), service)
    # What clients reach comes last: first the things it hands requests to.
    order = sorted(parts, key=lambda name: (name == BALANCER, name))
    states: dict[str, HostState] = {}
    for name in order:
        for service in parts[name]:
            if isinstance(service, Haproxy):
                states |= {state.component: state for state in service.releases(site.host)}
        states[name] = compose(name, site, parts[name])
    packages = tuple(sorted({package for state in states.values() for package in state.packages}))
    network = network_state(
        site.host, addresses.network, settings.network.interface, addresses.hosts, packages
    )
    return HostPlan(
        site.host, role, site, {name: parts[name] for name in order}, {NETWORK: network, **states}
    )


def _vrrp_faults(settings: Settings, endpoints: Endpoints) -> Iterable[Fault]:
    spec = settings.load_balancer.vrrp
    if spec is None:
        return ()
    fronts = {end.host for end in endpoints.named(FRONT)}
    outside = {name: host.outside_address for name, host in settings.hosts.items()}
    return vrrp_faults(spec, settings.network.cidr, settings.network.interface, fronts, outside)


def missing_secrets(plan: FleetPlan) -> list[Fault]:
    """The secrets that a deployment needs and that are not set. Rendering needs none."""
    settings = plan.settings
    needed: dict[str, set[str]] = {}
    for host in plan.hosts.values():
        for name in host.secrets:
            needed.setdefault(name, set()).add(host.name)
    if settings.lab is None:
        for name, host_settings in settings.hosts.items():
            key = (host_settings.ssh and host_settings.ssh.private_key) or settings.ssh.private_key
            if key:
                needed.setdefault(key, set()).add(name)
    return [
        Fault(
            f"secrets.{name}",
            "the secret is not set",
            "",
            f"needed on {', '.join(sorted(users))}",
            f"pulumi config set --secret --path 'habla:secrets[\"{name}\"]' -s {settings.environment}",
        )
        for name, users in sorted(needed.items())
        if name not in settings.secrets
    ]


def _notes(settings: Settings, endpoints: Endpoints) -> Iterator[str]:
    nodes = endpoints.named("c2s")
    if len(nodes) == 1:
        yield f"the Jabber cluster has one node, {nodes[0].host}: nobody can log in while it is down"
    vrrp, fronts = settings.load_balancer.vrrp, endpoints.named(FRONT)
    if vrrp is not None and len(fronts) == 1:
        yield f"one host, {fronts[0].host}, has the shared address {vrrp.address.ip}: nobody takes it over"
