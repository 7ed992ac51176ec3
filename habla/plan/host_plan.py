"""One host of a plan: its components, in the order in which they are deployed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from functools import cached_property

from habla.errors import Fault, collected
from habla.hosts.budget import Budget
from habla.hosts.network import network_state
from habla.hosts.rotation import RULES, data_clashes, rule_clashes
from habla.hosts.watch_settings import proved_budgets, watchers
from habla.model.names import BALANCER, NETWORK, WATCH
from habla.model.roles import Role
from habla.model.service import HostFacts, Owner, Service
from habla.model.site import Site
from habla.onhost.document import HostState
from habla.plan.component import ComponentPlan, assembled
from habla.plan.registry import Claim, agent_claims, state_claims

__all__ = ["HostPlan", "plan_host", "plan_watch"]

_NETWORK = Owner("habla's internal network")


@dataclass(frozen=True)
class HostPlan:
    """One host. parts: component -> its plan, in the order in which the components are deployed.

    network: the state of the component that makes it a member of the internal network, which comes first.
    budgets: how much its logs take of its partitions at most, where those are declared.
    """

    name: str
    role: Role
    _: KW_ONLY
    site: Site
    network: HostState
    parts: Mapping[str, ComponentPlan]
    budgets: tuple[Budget, ...] = ()

    @cached_property
    def states(self) -> Mapping[str, HostState]:
        """Component -> its state, of all its components, in the order in which they are deployed."""
        found = {NETWORK: self.network}
        for component, part in self.parts.items():
            found |= {state.component: state for state in part.ahead}
            found[component] = part.state
        return found

    @property
    def services(self) -> tuple[Service, ...]:
        """The services that were placed on it, without those that watch it, by name."""
        placed = (part.services for component, part in self.parts.items() if component != WATCH)
        return tuple(sorted((item for services in placed for item in services), key=lambda item: item.name))

    @property
    def packages(self) -> tuple[str, ...]:
        """All packages of its components, sorted."""
        return self.network.packages

    @property
    def rules(self) -> tuple[str, ...]:
        """The rules of logrotate on it, sorted."""
        files = {path for state in self.states.values() for path in state.files}
        return tuple(sorted(path.removeprefix(RULES) for path in files if path.startswith(RULES)))

    @property
    def secrets(self) -> tuple[str, ...]:
        """The secrets that its files ask for, sorted."""
        return tuple(sorted({name for state in self.states.values() for name in state.secrets}))

    @property
    def claims(self) -> tuple[Claim, ...]:
        """Every name that its components need."""
        return (
            *agent_claims(),
            *state_claims(_NETWORK, NETWORK, state=self.network),
            *(claim for part in self.parts.values() for claim in part.claims),
        )


def plan_host(role: Role, site: Site, *, services: Sequence[Service], faults: list[Fault]) -> HostPlan:
    """The plan of a host. faults: takes those of its services; names that clash are left to the caller."""
    grouped: dict[str, list[Service]] = {}
    for service in services:
        grouped.setdefault(service.component or role.name, []).append(service)
    # HAProxy comes last: first the services that it sends requests to.
    order = sorted(grouped, key=lambda component: (component == BALANCER, component))
    parts = {
        component: assembled(component, site, services=grouped[component], faults=faults)
        for component in order
    }
    facts = sum((part.facts for part in parts.values()), HostFacts())
    parts[WATCH] = plan_watch(site, facts, faults=faults)
    budgets: tuple[Budget, ...] = ()
    with collected(faults):
        budgets = proved_budgets(site, facts + parts[WATCH].facts)
    states = (state for part in parts.values() for state in (*part.ahead, part.state))
    packages = tuple(sorted({package for state in states for package in state.packages}))
    network = network_state(site, packages)
    return HostPlan(site.host, role, site=site, network=network, parts=parts, budgets=budgets)


def plan_watch(site: Site, facts: HostFacts, *, faults: list[Fault]) -> ComponentPlan:
    """The component that watches a host. facts: of all its services."""
    plan = assembled(WATCH, site, services=watchers(site, facts), faults=faults)
    logs = (*facts.logs, *plan.facts.logs)
    faults += rule_clashes(logs)
    faults += data_clashes(logs, facts.data)
    return plan
