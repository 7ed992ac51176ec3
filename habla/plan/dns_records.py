"""A plan -> the records that the fleet needs in the DNS, as lines of a zone file. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Address

from habla.model.public_names import PublicName
from habla.plan.fleet_plan import FleetPlan

__all__ = ["dns_lines", "public_addresses"]

_TTL = 3600


def dns_lines(plan: FleetPlan) -> list[str]:
    """The lines of a zone file, with whole names, so that it can be included in any zone."""
    names = _names(plan)
    addresses = public_addresses(plan)
    if not names or not addresses:
        return ["; no HAProxy has a public address: nothing of this fleet is in the DNS"]
    target = next((item.name for item in names if item.addressed), "")
    lines = [f"$TTL {_TTL}"]
    for item in names:
        lines += ["", f"; {item.name}"]
        lines += [f"; {url}" for url in item.web]
        if item.addressed:
            lines += [f"{item.name}. IN A {address}" for address in addresses]
        lines += [
            f"{record.service}._tcp.{item.name}. IN SRV 0 5 {record.port} {target}."
            for record in item.services
        ]
    return lines


def public_addresses(plan: FleetPlan) -> list[IPv4Address]:
    """Where HAProxy is reached: the address that its hosts share, or that of each of them."""
    found = set()
    for host in plan.hosts.values():
        for service in host.services:
            if service.balances:
                shared = service.shared_address()
                address = IPv4Address(shared) if shared else host.site.outside
                found |= {address} if address is not None else set()
    return sorted(found)


def _names(plan: FleetPlan) -> list[PublicName]:
    """Each name once, with the records of all services; names with an address come first."""
    merged: dict[str, PublicName] = {}
    for item in _all_names(plan):
        before = merged.get(item.name, PublicName(item.name, addressed=False))
        merged[item.name] = PublicName(
            item.name,
            services=tuple(sorted({*before.services, *item.services})),
            addressed=before.addressed or item.addressed,
            web=tuple(dict.fromkeys([*before.web, *item.web])),
        )
    return list(merged.values())


def _all_names(plan: FleetPlan) -> Iterator[PublicName]:
    """The records of each service once. HAProxy's come first, and the first of these is the website."""
    services = {service.name: service for host in plan.hosts.values() for service in host.services}
    for service in sorted(services.values(), key=lambda service: (not service.balances, service.name)):
        yield from service.public_names(plan.fleet)
