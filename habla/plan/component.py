"""Services on one host -> the host state of a component, with all that cuts across derived here.

Derived, never written by a service: the order after the network, logrotate rules, and the check that no two
services take the same port or file.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from habla.errors import Fault, PlacementError, collected, raise_faults
from habla.hosts.drain import Drain
from habla.hosts.network import READY_UNIT
from habla.hosts.rotation import rotation_rules
from habla.model.service import Log, Service, ServiceState, Site
from habla.onhost.document import File, HostState
from habla.services.haproxy import Haproxy
from habla.services.keepalived import Keepalived

__all__ = ["Standing", "compose", "composed", "port_faults"]

_MERGED = ("users", "directories", "files", "archives", "units", "checks", "actions", "health")


@dataclass(frozen=True)
class Standing:
    """What stands on a host, as far as it matters to those who watch it.

    data: directories that grow and hold no logs. haproxy: instance -> port of its stats page, on loopback.
    """

    logs: tuple[Log, ...] = ()
    data: tuple[str, ...] = ()
    haproxy: tuple[tuple[str, int], ...] = ()

    def __add__(self, other: Standing) -> Standing:
        return Standing(self.logs + other.logs, self.data + other.data, self.haproxy + other.haproxy)


def compose(component: str, site: Site, services: Sequence[Service]) -> HostState:
    """What ``services`` together make of a host. Raises Faults with every fault of every service."""
    return composed(component, site, services)[0]


def composed(component: str, site: Site, services: Sequence[Service]) -> tuple[HostState, Standing]:
    """The same, and what of it those who watch the host must know."""
    states: dict[str, ServiceState] = {}
    faults: list[Fault] = []
    for service in sorted([*services, *_derived(services)], key=lambda service: service.name):
        with collected(faults):
            states[service.name] = service.state(site)
    raise_faults(PlacementError, [*faults, *port_faults(site.host, states)])
    return _host_state(component, site, states), _standing(site, services, states.values())


def _host_state(component: str, site: Site, states: Mapping[str, ServiceState]) -> HostState:
    merged = {part: _merged(site.host, states, part) for part in _MERGED}
    merged["files"] |= {path: file for unit in merged["units"] for path, file in _drop_in(unit)}
    merged["files"] |= rotation_rules((log for state in states.values() for log in state.logs), site.logs)
    return HostState(
        host=site.host,
        component=component,
        packages=tuple(sorted({name for state in states.values() for name in state.packages})),
        stopped=tuple(sorted({unit for state in states.values() for unit in state.stopped})),
        **{part: dict(sorted(items.items())) for part, items in merged.items()},
    )


def _standing(site: Site, services: Iterable[Service], states: Iterable[ServiceState]) -> Standing:
    kept = list(states)
    return Standing(
        tuple(log for state in kept for log in state.logs),
        tuple(sorted({directory for state in kept for directory in state.data})),
        tuple(
            (instance.name, instance.stats_port)
            for service in services
            if isinstance(service, Haproxy)
            for instance in service.instances(site)
        ),
    )


def _derived(services: Sequence[Service]) -> Iterable[Service]:
    """What stands on a host because of what else stands there."""
    if any(offer.balancer for service in services for offer in service.offers()):
        yield Drain(services)
    for service in services:
        if isinstance(service, Haproxy) and service.spec.vrrp is not None:
            yield Keepalived(service.spec.vrrp)


def port_faults(host: str, states: Mapping[str, ServiceState]) -> list[Fault]:
    """Two services of one host on one port, whatever the address: it is a trap even where it would work."""
    holders: dict[int, list[str]] = defaultdict(list)
    for name, state in states.items():
        for port in state.ports:
            holders[port.number].append(name)
    return [
        Fault(
            f"hosts.{host}",
            f"{' and '.join(names)} listen on one port",
            str(number),
            "a port of a host belongs to one service",
            f"change the port of one of them under services or apps: {', '.join(sorted(set(names)))}",
        )
        for number, names in sorted(holders.items())
        if len(names) > 1
    ]


def _merged(host: str, states: Mapping[str, ServiceState], part: str) -> dict[str, Any]:
    """One part of all services together; what two services want differently is a fault."""
    merged: dict[str, Any] = {}
    faults = []
    for name, state in states.items():
        for key, value in getattr(state, part).items():
            if merged.setdefault(key, value) != value:
                rule = "one service owns it"
                faults.append(
                    Fault(f"hosts.{host}.{name}", f"two services differ in {part}", key, rule, "part them")
                )
    raise_faults(PlacementError, faults)
    return merged


def _drop_in(unit: str) -> Iterable[tuple[str, File]]:
    """A daemon bound to the internal address starts once that is there, and comes back when it dies."""
    if unit.endswith(".service"):
        text = (
            f"[Unit]\nAfter={READY_UNIT}\nWants={READY_UNIT}\nStartLimitIntervalSec=0\n\n"
            "[Service]\nRestart=on-failure\nRestartSec=1\n"
        )
        yield f"/etc/systemd/system/{unit}.d/10-habla.conf", File(text)
