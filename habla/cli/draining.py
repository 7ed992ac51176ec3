"""A host that leaves or enters the rotation, as the HAProxy instances of its stack see it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass, field
from typing import NamedTuple

from habla.cli.balancers import Answer, ServerState, ask, shared_addresses
from habla.cli.ssh import Shells
from habla.cli.waiting import Waiting
from habla.errors import HablaError, SettingsError, not_one_of
from habla.plan import FleetPlan

__all__ = ["Rotation", "is_balanced", "refuse_undrainable", "shares_address"]

# Seconds after which every HAProxy must have noticed a change. HAProxy asks each host every two seconds. 1.3
# may need a reload, which comes after up to twelve seconds while another host does not answer.
_SEEN = 30.0


def refuse_undrainable(plan: FleetPlan, host: str) -> None:
    """Raise SettingsError unless the host has a service behind HAProxy or a shared address."""
    known = [name for name in plan.hosts if is_balanced(plan, name) or shares_address(plan, name)]
    if host not in known:
        what = "the host has no service behind HAProxy and no shared address"
        if host not in plan.hosts:
            what = "the stack has no such host"
        raise SettingsError([not_one_of("HOST", what, value=host, known=known)])


def is_balanced(plan: FleetPlan, host: str) -> bool:
    """Whether HAProxy sends requests or connections to the host."""
    return any(offer.balancer for service in plan.hosts[host].services for offer in service.offers())


def shares_address(plan: FleetPlan, host: str) -> bool:
    """Whether the host shares a public address with another one."""
    return any(host in hosts and len(hosts) > 1 for hosts in shared_addresses(plan).values())


class _Place(NamedTuple):
    """A backend of an instance on a front host."""

    front: str
    instance: str
    backend: str


@dataclass
class Rotation:
    """One host as the HAProxy instances of the stack see it."""

    plan: FleetPlan
    shells: Shells
    _: KW_ONLY
    host: str
    answers: list[Answer] = field(default_factory=list)
    """The last answers of the front hosts."""

    def notes(self) -> list[str]:
        """A note for each instance that did not answer the last time, or is in maintenance."""
        silent = [
            f"{answer.host} could not be asked: {words}"
            for answer in self.answers
            for words in (answer.faults or {}).values()
        ]
        resting = [
            f"{answer.host}: {instance} is in maintenance until habla maintenance off {instance}"
            for answer in self.answers
            for instance in answer.maintenance
        ]
        return [*silent, *resting]

    def await_address_elsewhere(self) -> str:
        """Wait until another front host has the shared address, and say which one.

        Raises HablaError at the deadline.
        """
        shared = shared_addresses(self.plan).items()
        address = next(address for address, hosts in shared if self.host in hosts)
        deadline = time.monotonic() + _SEEN
        while True:
            self._ask()
            holders = [answer.host for answer in self.answers if address in answer.addresses]
            names = ", ".join(holders)
            if holders and self.host not in holders:
                return f"{self.host} is drained: {names} has the shared address {address}"
            if time.monotonic() > deadline:
                raise HablaError(
                    f"{self.host}: after {_SEEN:.0f} s {names or 'no host'} has the shared address "
                    f"{address}; check with habla status that another front host is up and not drained"
                )
            time.sleep(0.5)

    def await_state(self, wanted: Callable[[ServerState], bool], *, failure: str) -> None:
        """Wait until every HAProxy that answers sees the host in the wanted state.

        An instance in maintenance counts as well. It sends requests to nobody. failure: the words for a host
        in another state. Raises HablaError with them at the deadline.
        """
        deadline = time.monotonic() + _SEEN
        before: set[_Place] = set()
        while True:
            servers = {
                _Place(answer.host, item.instance, item.backend): item
                for answer in self._ask()
                for item in answer.servers
                if item.server == self.host
            }
            late = {place for place, item in servers.items() if not (wanted(item) or item.in_maintenance)}
            # For a moment of a reload, a server that comes back is in neither of the two configs.
            late |= {place for place in before - servers.keys() if self._has_answered(place)}
            if not late:
                return
            before |= servers.keys()
            if time.monotonic() > deadline:
                places = ", ".join(sorted({f"{place.instance}/{place.backend}" for place in late}))
                raise HablaError(f"{self.host}: {failure} after {_SEEN:.0f} s in {places}; see habla status")
            time.sleep(0.5)

    def _has_answered(self, place: _Place) -> bool:
        """Whether the instance of a place answered the last time."""
        faults = next(answer.faults for answer in self.answers if answer.host == place.front)
        return not {"", place.instance} & (faults or {}).keys()

    def await_idle(self, seconds: float, *, progress: Waiting) -> dict[str, int]:
        """Wait for the host's requests and connections to end. Returns backend -> how many are left.

        Those of old processes are under ``old processes of INSTANCE``. seconds: the longest wait.
        """
        deadline = time.monotonic() + seconds
        while True:
            left: dict[str, int] = {}
            for item in (item for answer in self._ask() for item in answer.servers):
                if item.server == self.host and item.sessions:
                    left[item.backend] = left.get(item.backend, 0) + item.sessions
            left |= self._old_connections()
            if not left or time.monotonic() >= deadline:
                return left
            words = ", ".join(f"{backend} {count}" for backend, count in left.items())
            progress.words = f"{self.host} is drained; waiting for {words}"
            time.sleep(1)

    def _old_connections(self) -> dict[str, int]:
        """``old processes of INSTANCE`` -> the connections to the host that they had at the last answers.

        The statistics pages show only those of the present processes.
        """
        address = str(self.plan.hosts[self.host].site.address)
        left: dict[str, int] = {}
        for process in (process for answer in self.answers for process in answer.old_processes):
            if count := process.servers.get(address, 0):
                name = f"old processes of {process.instance}"
                left[name] = left.get(name, 0) + count
        return left

    def _ask(self) -> list[Answer]:
        """Ask the front hosts."""
        self.answers = ask(self.shells, self.plan)
        return self.answers
