"""What stands on every host to watch it: bounds on the distribution's logs, snmpd, and the watcher. Pure.

Who asks whom follows from who is there: the monitors ask every host's watcher for a sign of life, and one
host, which is no monitor, asks the monitors.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address

from habla.errors import SettingsError, raise_faults
from habla.hosts.budget import Budget, budget_faults, budgets
from habla.hosts.declared_partitions import Partitions
from habla.hosts.rotation import bounds
from habla.hosts.snmp import Snmp
from habla.hosts.system_logs import SystemLogs
from habla.hosts.watch import Guard, Peer, Watch
from habla.model.disk import AlertsSpec, PartitionSpec
from habla.model.service import Endpoint, Endpoints, Service, Site
from habla.model.snmp import SnmpSpec
from habla.plan.component import Standing
from habla.services.cacti import ALIVE_PATH

__all__ = ["Watching", "proved_budgets", "watched", "watchers"]


@dataclass(frozen=True)
class Watching:
    """How a host is watched. environment: the stack's name, for messages. partitions: as declared."""

    environment: str
    alerts: AlertsSpec = AlertsSpec()
    snmp: SnmpSpec = SnmpSpec()
    partitions: Mapping[str, PartitionSpec] = field(default_factory=dict)


def watched(endpoints: Endpoints, hosts: Mapping[str, IPv4Address]) -> Endpoints:
    """The snmpd of every host, if there is a monitor to ask it. hosts: without those that are given up."""
    if not endpoints.named("cacti"):
        return Endpoints()
    offers = Snmp().offers()
    return Endpoints.of(Endpoint(offer, host, address) for host, address in hosts.items() for offer in offers)


def proved_budgets(site: Site, stands: Standing, how: Watching) -> tuple[Budget, ...]:
    """What the logs of a host take of its partitions. stands: all of it, what watches it included.

    Raises SettingsError where they can fill one.
    """
    found = budgets(how.partitions, bounds(stands.logs, site.logs), how.alerts.warning)
    raise_faults(SettingsError, budget_faults(site.host, how.partitions, found))
    return found


def watchers(site: Site, stands: Standing, how: Watching) -> tuple[Service, ...]:
    """The services. stands: what else the host has. snmpd is there only for a monitor."""
    monitors = site.endpoints.named("cacti")
    hosts = site.endpoints.named("snmp")
    peers = [Peer(end.host, end.address, how.alerts.silent_seconds) for end in hosts if end.host != site.host]
    mine = site.host in {end.host for end in monitors}
    others = [end.host for end in hosts if end.host not in {each.host for each in monitors}]
    guards = [
        Guard(end.host, f"http://{end.address}:{end.offer.port}{ALIVE_PATH}", how.alerts.silent_seconds)
        for end in monitors
    ]
    watch = Watch(
        how.alerts,
        how.environment,
        tuple(how.partitions),
        data=stands.data,
        peers=tuple(peers) if mine else (),
        guards=tuple(guards) if others[:1] == [site.host] else (),
        snmp=how.snmp if mine else None,
    )
    services: list[Service] = [Partitions(how.partitions), SystemLogs(site.logs), watch]
    if monitors:
        services.append(Snmp(how.snmp, dict(stands.haproxy)))
    return tuple(services)
