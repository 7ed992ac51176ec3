"""Services on one host -> the plan of a component, with all that cuts across derived here.

Derived, never written by a service: the order after the network, logrotate rules, the names that it needs.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Any

from habla.errors import Fault, PlacementError, collected, raise_faults
from habla.hosts.drain import Drain
from habla.hosts.network import READY_UNIT
from habla.hosts.rotation import rotation_rules
from habla.model.service import HostFacts, Owner, Service, ServiceState
from habla.model.site import Site
from habla.onhost.document import File, HostState
from habla.plan.registry import Claim, clashes, state_claims, unit_drop_in

__all__ = ["ComponentPlan", "assembled", "plan_component"]

_MERGED = ("users", "directories", "files", "archives", "units", "checks", "actions", "health")


@dataclass(frozen=True)
class ComponentPlan:
    """One component of one host.

    services: those that were placed in it. all: these and their companions. state: the document that the host
    gets. ahead: components that the host must have before it. facts: the facts that the host's watcher needs.
    claims: the names that it needs.
    """

    component: str
    services: tuple[Service, ...]
    _: KW_ONLY
    all: tuple[Service, ...]
    state: HostState
    ahead: tuple[HostState, ...] = ()
    facts: HostFacts = HostFacts()
    claims: tuple[Claim, ...] = ()


def plan_component(component: str, site: Site, *, services: Sequence[Service]) -> ComponentPlan:
    """The plan of a component. Raises Faults with every fault of every service."""
    faults: list[Fault] = []
    plan = assembled(component, site, services=services, faults=faults)
    raise_faults(PlacementError, [*faults, *clashes([plan.claims])])
    return plan


def assembled(
    component: str, site: Site, *, services: Sequence[Service], faults: list[Fault]
) -> ComponentPlan:
    """The same, with the faults of services in ``faults``, and names that clash left to the caller."""
    states: list[tuple[Owner, ServiceState]] = []
    ahead: list[HostState] = []
    together = tuple(sorted([*services, *_companions(services)], key=lambda service: service.name))
    for service in together:
        with collected(faults):
            states.append((service.owner, service.state(site)))
            ahead += service.ahead(site)
    return ComponentPlan(
        component,
        tuple(services),
        all=together,
        state=_host_state(component, site, states=[state for _, state in states]),
        ahead=tuple(ahead),
        facts=HostFacts(
            tuple(log for _, state in states for log in state.logs),
            tuple(sorted({directory for _, state in states for directory in state.data})),
            bounds=tuple(bound for _, state in states for bound in state.bounds),
            stats_pages=tuple(page for service in services for page in service.stats_pages().items()),
            most_old_processes=tuple(
                most for service in services for most in service.most_old_processes().items()
            ),
        ),
        claims=(
            *(claim for owner, state in states for claim in state_claims(owner, component, state=state)),
            *(
                Claim("user", user, owner=service.owner)
                for service in together
                for user in service.daemon_users
            ),
        ),
    )


def _companions(services: Sequence[Service]) -> Iterable[Service]:
    """Services that run on a host because of the others there."""
    balanced = [offer for service in services for offer in service.offers() if offer.balancer]
    if balanced:
        yield Drain(tuple(balanced))
    for service in services:
        yield from service.companions()


def _host_state(component: str, site: Site, *, states: Sequence[ServiceState]) -> HostState:
    merged = {part: _merged(states, part) for part in _MERGED}
    merged["files"] |= {path: file for unit in merged["units"] for path, file in _drop_in(unit)}
    merged["files"] |= rotation_rules((log for state in states for log in state.logs), site.fleet.logs)
    return HostState(
        host=site.host,
        component=component,
        packages=tuple(sorted({name for state in states for name in state.packages})),
        stopped=tuple(sorted({unit for state in states for unit in state.stopped})),
        **{part: dict(sorted(items.items())) for part, items in merged.items()},
    )


def _merged(states: Sequence[ServiceState], part: str) -> dict[str, Any]:
    """One part of all services together. A key of two services is a clash of names, which claims find."""
    merged: dict[str, Any] = {}
    for state in states:
        found: Mapping[str, Any] = getattr(state, part)
        merged |= found
    return merged


def _drop_in(unit: str) -> Iterable[tuple[str, File]]:
    """A daemon bound to the internal address starts once that is there, and comes back when it dies."""
    if unit.endswith(".service"):
        text = (
            f"[Unit]\nAfter={READY_UNIT}\nWants={READY_UNIT}\nStartLimitIntervalSec=0\n\n"
            "[Service]\nRestart=on-failure\nRestartSec=1\n"
        )
        yield unit_drop_in(unit), File(text)
