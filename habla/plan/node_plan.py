"""The plan of one component on the hosts that a program of a user's own gives it. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from habla.errors import Fault, PlacementError, collected, raise_faults
from habla.model.roles import Role
from habla.model.service import Service
from habla.model.site import Endpoint, Endpoints, FleetFacts, Site
from habla.plan.component import ComponentPlan, plan_component
from habla.plan.placement import placement_faults

__all__ = ["NodePlan", "offered", "plan_node"]


@dataclass(frozen=True)
class NodePlan:
    """One component of one or more hosts. parts: host -> plan. endpoints: its offers to other components."""

    component: str
    parts: Mapping[str, ComponentPlan]
    endpoints: Endpoints = Endpoints()


def offered(sites: Mapping[str, Site], services: Mapping[str, Sequence[Service]]) -> Endpoints:
    """The offers of services on their hosts. services: host -> its services."""
    return Endpoints.of(
        Endpoint(offer, host, address=sites[host].address)
        for host, placed in services.items()
        for service in placed
        for offer in service.offers()
    )


def plan_node(
    component: str,
    hosts: Sequence[str],
    *,
    sites: Mapping[str, Site],
    roles: Mapping[str, Role],
    services: Sequence[Service],
    fleet: FleetFacts,
) -> NodePlan:
    """Plan the same services on each host.

    sites, roles: of all hosts of the fleet. fleet: their shared facts, and the endpoints of others.
    Raises Faults with every fault of placement and services.
    """
    raise_faults(PlacementError, placement_faults({host: (roles[host], services) for host in hosts}))
    endpoints = offered(sites, dict.fromkeys(hosts, services))
    known = replace(fleet, endpoints=fleet.endpoints + endpoints)
    everywhere = {host: replace(site, fleet=known) for host, site in sites.items()}
    faults: list[Fault] = [fault for service in services for fault in service.fleet_faults(everywhere)]
    raise_faults(PlacementError, faults)
    parts = {}
    for host in hosts:
        with collected(faults):
            parts[host] = plan_component(component, everywhere[host], services=services)
    raise_faults(PlacementError, faults)
    return NodePlan(component, parts, endpoints)
