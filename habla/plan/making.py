"""Settings -> a plan."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from ipaddress import IPv4Address

from habla.errors import Fault, PlacementError, SettingsError, collected, raise_faults
from habla.hosts.watch_settings import watched
from habla.model.names import BALANCER, CACHE_DB, NETWORK, WATCH
from habla.model.roles import Role
from habla.model.service import Owner, Service
from habla.model.site import Device, FleetFacts, Site
from habla.model.spec import ArchiveSpec
from habla.onhost.document import Archive
from habla.plan.addressing import AddressPlan
from habla.plan.data_places import DataPlace, data_faults, data_places
from habla.plan.fleet_plan import FleetPlan
from habla.plan.host_plan import HostPlan, plan_host
from habla.plan.node_plan import offered
from habla.plan.placement import placement_faults
from habla.plan.plan_faults import (
    fleet_notes,
    lab_faults,
    outside_faults,
    repeated_faults,
    rule_faults,
    unserved_faults,
)
from habla.plan.registry import Claim, clashes
from habla.plan.resources import common_resource_claims, resource_claims
from habla.plan.stack_addresses import plan_stack_addresses, stack_roles
from habla.services.app import App
from habla.services.catalog import daemons
from habla.settings.models import HostSettings, Settings

__all__ = ["ArchiveReader", "make_plan"]

ArchiveReader = Callable[[ArchiveSpec], Archive]


def make_plan(
    settings: Settings,
    held: Mapping[str, IPv4Address],
    *,
    read_archive: ArchiveReader,
    data: Mapping[str, DataPlace] | None = None,
) -> FleetPlan:
    """Plan a stack. Raises Faults with every fault of addresses, placement, services and names.

    held: the addresses that hosts have by the last plan. read_archive: gives the digest of an archive;
    nothing else looks at files beside the stack. data: where the data of services was last.
    """
    roles = stack_roles(settings)
    faults: list[Fault] = []
    kinds, apps = _services(settings)
    services = (*kinds.values(), *apps.values())
    archives = _archives(services, read_archive, faults=faults)
    addresses = None
    with collected(faults):
        addresses = plan_stack_addresses(settings, held)
    placed = {
        name: _placed(host, roles[host.role], kinds=kinds, apps=apps) for name, host in settings.hosts.items()
    }
    faults += placement_faults({host: (roles[settings.hosts[host].role], placed[host]) for host in placed})
    if addresses is None:
        raise SettingsError(faults)
    sites = _sites(settings, addresses, placed=placed, archives=archives)
    places = data_places(sites, placed, machines=_machines(settings))
    faults += data_faults(data or {}, places, allowed=settings.start_empty)
    in_use = {service.name: service for chosen in placed.values() for service in chosen}.values()
    faults += [fault for service in in_use for fault in service.fleet_faults(sites)]
    hosts = {
        host: plan_host(roles[settings.hosts[host].role], sites[host], services=chosen, faults=faults)
        for host, chosen in sorted(placed.items())
    }
    fleet_claims = _fleet_claims(settings, services, hosts=hosts)
    faults += clashes([fleet_claims, *(host.claims for host in hosts.values())])
    faults += outside_faults(settings)
    faults += unserved_faults(settings, placed)
    faults += repeated_faults(placed, data or {})
    if not faults:
        # Only then are all rules and ports known.
        faults += rule_faults(settings, hosts)
        faults += lab_faults(settings, hosts)
    raise_faults(PlacementError, faults)
    fleet = next(iter(sites.values())).fleet
    notes = [note for service in in_use for note in service.notes(fleet.endpoints)]
    notes += fleet_notes(settings, placed)
    return FleetPlan(settings, addresses, hosts=hosts, fleet=fleet, data=places, notes=tuple(notes))


def _services(settings: Settings) -> tuple[dict[str, Service], dict[str, App]]:
    """All services that a host could run: kind -> daemon, and name -> app."""
    found = {kind: service.of(settings.services[kind]) for kind, service in daemons().items()}
    return found, {name: App(name, spec) for name, spec in settings.apps.items()}


def _archives(
    services: Iterable[Service], read: ArchiveReader, *, faults: list[Fault]
) -> dict[ArchiveSpec, Archive]:
    archives = {}
    for service in services:
        for path, spec in service.archives().items():
            try:
                archives[spec] = read(spec)
            except OSError as error:
                rule = "a directory or tar archive beside the stack"
                faults.append(
                    Fault(path, "cannot be read", value=str(error), rule=rule, fix="correct the path")
                )
    return archives


def _placed(
    host: HostSettings, role: Role, *, kinds: Mapping[str, Service], apps: Mapping[str, App]
) -> tuple[Service, ...]:
    """The services of a host, by name: those that its settings list, or those of its role."""
    if host.services is None:
        found = [kinds[kind] for kind in role.defaults if kind in kinds]
        found += [app for app in apps.values() if role.name in app.spec.roles]
    else:
        found = [kinds[name] if name in kinds else apps[name] for name in set(host.services)]
    return tuple(sorted(found, key=lambda service: service.name))


def _machines(settings: Settings) -> dict[str, str]:
    """Host -> where SSH reaches it, of the hosts that are no lab's."""
    return {
        name: f"{host.ssh.address}:{host.ssh.port or settings.ssh.port or 22}"
        for name, host in settings.hosts.items()
        if host.ssh is not None
    }


def _sites(
    settings: Settings,
    addresses: AddressPlan,
    *,
    placed: Mapping[str, tuple[Service, ...]],
    archives: Mapping[ArchiveSpec, Archive],
) -> dict[str, Site]:
    """Every host as its services see it."""
    partitions = {name: settings.partitions_of(name) for name in settings.hosts}
    sites = {
        name: Site(
            name,
            addresses.hosts[name],
            outside=host.outside_address,
            drained=host.drained,
            partitions=partitions[name],
        )
        for name, host in settings.hosts.items()
    }
    endpoints = offered(sites, placed)
    reachable = {name: addresses.hosts[name] for name, host in settings.hosts.items() if not host.unreachable}
    fleet = FleetFacts(
        network=settings.network.cidr,
        interface=settings.network.interface,
        domain=settings.domain,
        environment=settings.environment,
        published=settings.lab.ports if settings.lab else {},
        hosts=addresses.hosts,
        endpoints=endpoints + watched(endpoints, reachable),
        devices=tuple(
            Device(
                name,
                str(address),
                partitions=tuple(partitions[name]),
                instances=tuple(page for service in placed[name] for page in service.stats_pages()),
            )
            for name, address in addresses.hosts.items()
        ),
        databases=tuple(
            sorted(
                {item for services in placed.values() for service in services for item in service.databases()}
            )
        ),
        archives=archives,
        logs=settings.logs,
        snmp=settings.snmp,
        alerts=settings.alerts,
    )
    return {name: replace(site, fleet=fleet) for name, site in sites.items()}


def _fleet_claims(
    settings: Settings, services: Iterable[Service], *, hosts: Mapping[str, HostPlan]
) -> Iterator[Claim]:
    """Names that have one owner in the whole fleet: of services, offers, components, hosts and resources."""
    parts = [service for host in hosts.values() for part in host.parts.values() for service in part.all]
    for service in {item.owner: item for item in (*services, *parts)}.values():
        yield Claim("service", service.name, owner=service.owner)
        names = [*service.reserved_names(), *(offer.name for offer in service.offers())]
        yield from (Claim("offer", name, owner=service.owner) for name in names)
    yield Claim("service", App.kind, owner=Owner("the kind of all apps"))
    for component in (NETWORK, CACHE_DB, BALANCER, WATCH):
        yield Claim("component", component, owner=Owner(f"habla's component {component}"))
    used = {host.role for host in settings.hosts.values()}
    for role in sorted({*settings.roles, *used}):
        yield Claim("component", role, owner=Owner(f"the role {role}", f"roles.{role}"))
    for name in ("localhost", "ip6-localhost", "ip6-loopback"):
        yield Claim("host", name, owner=Owner("the loopback address"))
    for name in settings.hosts:
        yield Claim("host", name, owner=Owner(f"the host {name}", f"hosts.{name}"))
    yield from common_resource_claims(settings)
    for host in hosts.values():
        yield from resource_claims(settings, host)
