"""Settings -> a plan."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from ipaddress import IPv4Address

from habla.errors import Fault, PlacementError, SettingsError, collected, raise_faults
from habla.hosts.network import COMPONENT as NETWORK
from habla.hosts.network import network_state
from habla.hosts.watch_settings import Watching, proved_budgets, watched, watchers
from habla.model.roles import APP, Role
from habla.model.service import Endpoint, Endpoints, Service, Site
from habla.model.spec import ArchiveSpec
from habla.onhost.document import Archive, HostState
from habla.plan.addressing import AddressPlan
from habla.plan.component import Standing, composed
from habla.plan.fleet_plan import BALANCER, CACHE_DB, MONITOR, WATCH, FleetPlan, HostPlan
from habla.plan.placement import placement_faults
from habla.plan.plan_faults import notes, rule_faults, vrrp_faults
from habla.plan.stack_addresses import plan_stack_addresses, stack_roles
from habla.services.app import App
from habla.services.cacti import Cacti, Device
from habla.services.haproxy import Haproxy, built
from habla.services.haproxy.haproxy_spec import INSTANCES
from habla.services.jabber import Jabber
from habla.services.memcached import Memcached
from habla.services.memqd import Memqd
from habla.services.mysql import Mysql
from habla.services.static import Static
from habla.settings.models import Settings

__all__ = ["ArchiveReader", "make_plan"]

ArchiveReader = Callable[[ArchiveSpec], Archive]
# What is not here belongs to the component of its host's role.
_COMPONENT_OF_KIND = {
    "cacti": MONITOR,
    "haproxy": BALANCER,
    "memcached": CACHE_DB,
    "memqd": CACHE_DB,
    "mysql": CACHE_DB,
}


def make_plan(settings: Settings, held: Mapping[str, IPv4Address], read_archive: ArchiveReader) -> FleetPlan:
    """Plan a stack. Raises Faults with every fault of addresses, placement and services.

    held: the addresses that hosts have by the last plan. read_archive: gives the digest of an archive; the
    one thing that looks at files beside the stack.
    """
    roles = stack_roles(settings)
    faults: list[Fault] = []
    archives = _archives(settings, read_archive, faults)
    addresses = None
    with collected(faults):
        addresses = plan_stack_addresses(settings, held)
    devices = _devices(settings, roles, addresses)
    placed = {name: _services(settings, name, roles, archives, devices) for name in settings.hosts}
    faults += placement_faults({name: (roles[settings.hosts[name].role], placed[name]) for name in placed})
    if addresses is None:
        raise SettingsError(faults)
    endpoints = Endpoints.of(
        Endpoint(offer, name, addresses.hosts[name])
        for name, services in placed.items()
        for service in services
        for offer in service.offers()
    )
    reachable = {name: addresses.hosts[name] for name, host in settings.hosts.items() if not host.unreachable}
    endpoints += watched(endpoints, reachable)
    faults += vrrp_faults(settings, endpoints)
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
            settings.logs,
        )
        with collected(faults):
            hosts[name] = _host_plan(settings, addresses, roles[settings.hosts[name].role], site, services)
    faults += rule_faults(settings, hosts)
    raise_faults(PlacementError, faults)
    return FleetPlan(settings, addresses, hosts, endpoints, tuple(notes(settings, endpoints)))


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


def _names(settings: Settings, host: str, roles: Mapping[str, Role]) -> tuple[str, ...]:
    """The services of a host, as the user names them."""
    mine, role = settings.hosts[host], roles[settings.hosts[host].role]
    if mine.services is not None:
        return mine.services
    names = tuple(kind for kind in role.defaults if kind != APP)
    return names + tuple(name for name, app in settings.apps.items() if role.name in app.roles)


def _devices(
    settings: Settings, roles: Mapping[str, Role], addresses: AddressPlan | None
) -> tuple[Device, ...]:
    """All hosts, as Cacti is to show them; none where they have no addresses yet."""
    return tuple(
        Device(
            name,
            str(address),
            tuple(settings.partitions_of(name)),
            INSTANCES if "haproxy" in _names(settings, name, roles) else (),
        )
        for name, address in (addresses.hosts if addresses else {}).items()
    )


def _services(
    settings: Settings,
    host: str,
    roles: Mapping[str, Role],
    archives: Mapping[str, Archive],
    devices: tuple[Device, ...],
) -> tuple[Service, ...]:
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
        "cacti": Cacti(settings.services.cacti, settings.services.snmp, devices),
    }
    apps: dict[str, Service] = {
        name: App(name, spec, archives.get(f"apps.{name}.archive")) for name, spec in settings.apps.items()
    }
    return tuple((daemons | apps)[name] for name in sorted(set(_names(settings, host, roles))))


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
    stands = Standing()
    for name in order:
        for service in parts[name]:
            if isinstance(service, Haproxy):
                states |= {state.component: state for state in service.releases(site.host)}
        states[name], kept = composed(name, site, parts[name])
        stands += kept
    how = Watching(
        settings.environment, settings.alerts, settings.services.snmp, settings.partitions_of(site.host)
    )
    parts[WATCH] = watchers(site, stands, how)
    order.append(WATCH)
    states[WATCH], kept = composed(WATCH, site, parts[WATCH])
    found = proved_budgets(site, stands + kept, how)
    packages = tuple(sorted({package for state in states.values() for package in state.packages}))
    network = network_state(
        site.host, addresses.network, settings.network.interface, addresses.hosts, packages, site.logs
    )
    services_of = {name: parts[name] for name in order}
    return HostPlan(site.host, role, site, services_of, {NETWORK: network, **states}, found)
