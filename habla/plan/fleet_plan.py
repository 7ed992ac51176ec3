"""A plan, and the names of the components that a host can have besides its role's own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from habla.hosts.budget import Budget
from habla.hosts.rotation import RULES
from habla.model.roles import Role
from habla.model.service import Endpoints, Service, Site
from habla.onhost.document import HostState
from habla.plan.addressing import AddressPlan
from habla.settings.models import Settings

__all__ = ["BALANCER", "CACHE_DB", "MONITOR", "WATCH", "FleetPlan", "HostPlan"]

CACHE_DB = "cachedb"
BALANCER = "balancer"
MONITOR = "monitor"
WATCH = "watch"


@dataclass(frozen=True)
class HostPlan:
    """One host. services: component -> what stands in it. states: component -> what it makes of the host.

    The order of ``states`` is the order in which the components are deployed. budgets: what its logs take of
    its partitions at most, where those are declared.
    """

    name: str
    role: Role
    site: Site
    services: Mapping[str, tuple[Service, ...]]
    states: Mapping[str, HostState]
    budgets: tuple[Budget, ...] = ()

    @property
    def serves(self) -> tuple[str, ...]:
        """The services for whose sake the host is there, sorted; not those that watch it."""
        names = (name for name in self.services if name != WATCH)
        return tuple(sorted(service.name for name in names for service in self.services[name]))

    @property
    def packages(self) -> tuple[str, ...]:
        """All packages of its components, sorted."""
        return tuple(sorted({package for state in self.states.values() for package in state.packages}))

    @property
    def rules(self) -> tuple[str, ...]:
        """The rules of logrotate that stand on it, sorted."""
        files = {path for state in self.states.values() for path in state.files}
        return tuple(sorted(path.removeprefix(RULES) for path in files if path.startswith(RULES)))

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
