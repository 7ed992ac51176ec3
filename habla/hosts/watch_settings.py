"""The parts that watch a host: bounds on the distribution's logs, snmpd, and the watcher. Pure.

Who asks whom follows from the services of the fleet: the monitors ask every host's watcher for a sign of
life, and one host that is no monitor asks the monitors.
"""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import IPv4Address

from habla.errors import SettingsError, raise_faults
from habla.hosts.budget import Budget, budget_faults, budgets
from habla.hosts.declared_partitions import Partitions
from habla.hosts.rotation import bounds
from habla.hosts.snmpd import Snmp
from habla.hosts.system_logs import SystemLogs
from habla.hosts.watch import Guard, Peer, Watch
from habla.model.service import HostFacts, HostPart
from habla.model.site import Endpoint, Endpoints, Site

__all__ = ["proved_budgets", "watched", "watchers"]


def watched(endpoints: Endpoints, hosts: Mapping[str, IPv4Address]) -> Endpoints:
    """The snmpd of every host, if there is a monitor to ask it. hosts: without the unreachable ones."""
    if not endpoints.monitors:
        return Endpoints()
    offers = Snmp().offers()
    return Endpoints.of(
        Endpoint(offer, host, address=address) for host, address in hosts.items() for offer in offers
    )


def proved_budgets(site: Site, facts: HostFacts) -> tuple[Budget, ...]:
    """How much the logs of a host take of its partitions. facts: of all its services and of its watchers.

    Raises SettingsError where they can fill one.
    """
    found = budgets(
        site.partitions,
        bounds(facts.logs, site.fleet.logs),
        data=facts.bounds,
        warning=site.fleet.alerts.warning,
    )
    raise_faults(SettingsError, budget_faults(site.host, site.partitions, all_of=found))
    return found


def watchers(site: Site, facts: HostFacts) -> tuple[HostPart, ...]:
    """The parts that watch a host. facts: of its services. snmpd runs only where a monitor asks it."""
    fleet = site.fleet
    monitors, silent_seconds = fleet.endpoints.monitors, fleet.alerts.silent_seconds
    is_monitor = site.host in {end.host for end in monitors}
    peers = [
        Peer(end.host, end.address, silent_seconds=silent_seconds)
        for end in (fleet.endpoints.named("snmp") if is_monitor else ())
        if end.host != site.host
    ]
    guards = [
        Guard(
            end.host,
            f"http://{end.address}:{end.offer.port}{end.offer.alive_path}",
            silent_seconds=silent_seconds,
        )
        for end in (monitors if site.host == fleet.guardian else ())
    ]
    watch = Watch(
        fleet.alerts,
        fleet.environment,
        partitions=tuple(site.partitions),
        data=facts.data,
        peers=tuple(peers),
        guards=tuple(guards),
        snmp=fleet.snmp if is_monitor else None,
        old_processes=dict(facts.most_old_processes),
    )
    parts: list[HostPart] = [Partitions(), SystemLogs(), watch]
    if monitors:
        parts.append(Snmp(dict(facts.stats_pages)))
    return tuple(parts)
