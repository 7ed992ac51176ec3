"""``habla drain HOST`` and ``habla undrain HOST``: out of rotation and back, without a reload of HAProxy."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from habla.cli.balancers import Answer, ServerState, ask, shared_addresses
from habla.cli.exit_status import ExitStatus
from habla.cli.ssh import Shells, shells
from habla.errors import Fault, HablaError, SettingsError
from habla.model.drain_flags import BY_HAND, BY_SETTING
from habla.plan import FleetPlan
from habla.plan.stack_files import load_plan

__all__ = ["drain", "undrain"]

# Seconds after which every HAProxy must have noticed a change. HAProxy asks each host every two seconds.
_SEEN = 15.0


def drain(root: Path, options: argparse.Namespace) -> int:
    """Drain a host and wait until HAProxy sends it nothing new.

    With ``--wait`` it also waits for the present requests and connections to end; the exit status is 1 if
    some are left at the deadline.
    """
    plan = load_plan(root, options.stack)
    host = _drainable(plan, options.host)
    with shells(root, plan, identity=options.identity) as reached:
        reached.run(host, f"touch {BY_HAND}")
        rotation = _Rotation(plan, reached, host)
        if _shares(plan, host):
            rotation.await_address_elsewhere()
        if not _balanced(plan, host):
            return ExitStatus.DONE
        rotation.await_state(lambda server: server.drained, failure="still in rotation")
        print(f"{host} is drained: HAProxy sends it nothing new")
        return rotation.await_idle(options.wait)


def undrain(root: Path, options: argparse.Namespace) -> int:
    """Put a drained host back and wait until HAProxy uses it again."""
    plan = load_plan(root, options.stack)
    host = _drainable(plan, options.host)
    with shells(root, plan, identity=options.identity) as reached:
        if reached.run(host, f"rm -f {BY_HAND}; test ! -e {BY_SETTING} || echo yes").strip():
            words = "stays drained because the settings of the stack say so"
            fix = f"set hosts.{host}.drained to false and run pulumi up"
            print(f"habla: {host} {words}: {fix}", file=sys.stderr)
            return ExitStatus.FOUND
        rotation = _Rotation(plan, reached, host)
        rotation.await_state(lambda server: server.state.startswith("UP"), failure="not back in rotation")
    print(f"{host} is in rotation")
    return ExitStatus.DONE


def _drainable(plan: FleetPlan, host: str) -> str:
    known = [name for name in plan.hosts if _balanced(plan, name) or _shares(plan, name)]
    if host not in known:
        rule = f"hosts with a service behind HAProxy or a shared address: {', '.join(known) or 'none'}"
        fault = Fault("HOST", "the host cannot be drained", value=host, rule=rule, fix="choose one of these")
        raise SettingsError([fault])
    return host


def _balanced(plan: FleetPlan, host: str) -> bool:
    return any(offer.balancer for service in plan.hosts[host].services for offer in service.offers())


def _shares(plan: FleetPlan, host: str) -> bool:
    return any(host in hosts and len(hosts) > 1 for hosts in shared_addresses(plan).values())


@dataclass(frozen=True)
class _Rotation:
    """One host as the HAProxy instances of the stack see it."""

    plan: FleetPlan
    shells: Shells
    host: str

    def await_address_elsewhere(self) -> None:
        """Wait until another front host has the shared address. Raises HablaError at the deadline."""
        shared = shared_addresses(self.plan).items()
        address = next(address for address, hosts in shared if self.host in hosts)
        deadline = time.monotonic() + _SEEN
        while True:
            holders = [answer.host for answer in self._ask() if address in answer.addresses]
            names = ", ".join(holders)
            if holders and self.host not in holders:
                print(f"{self.host} is drained: {names} has the shared address {address}")
                return
            if time.monotonic() > deadline:
                raise HablaError(
                    f"{self.host}: after {_SEEN:.0f} s {names or 'no host'} has the shared address "
                    f"{address}; check with habla status that another front host is up and not drained"
                )
            time.sleep(0.5)

    def await_state(self, wanted: Callable[[ServerState], bool], *, failure: str) -> None:
        """Wait until every HAProxy that answers sees the host in the wanted state.

        failure: the words for a host in another state. Raises HablaError with them at the deadline.
        """
        deadline = time.monotonic() + _SEEN
        while True:
            answers = self._ask()
            servers = self._servers(answers)
            late = sorted({f"{item.instance}/{item.backend}" for item in servers if not wanted(item)})
            if not late:
                for answer in answers:
                    for words in (answer.faults or {}).values():
                        print(f"habla: {answer.host} could not be asked: {words}", file=sys.stderr)
                return
            if time.monotonic() > deadline:
                places = ", ".join(late)
                raise HablaError(f"{self.host}: {failure} after {_SEEN:.0f} s in {places}; see habla status")
            time.sleep(0.5)

    def await_idle(self, seconds: float) -> int:
        """Wait for the host's requests and connections to end, and return the exit status.

        seconds: the longest wait. With 0 it only prints the requests and connections that are left.
        """
        deadline = time.monotonic() + seconds
        shown = 0.0
        while True:
            busy = [item for item in self._servers(self._ask()) if item.sessions]
            words = ", ".join(f"{item.backend} {item.sessions}" for item in busy)
            if not busy:
                print(f"{self.host} has no request or connection left")
                return ExitStatus.DONE
            if time.monotonic() >= deadline:
                print(f"{self.host} still has: {words}")
                return ExitStatus.DONE if seconds == 0 else ExitStatus.FOUND
            if time.monotonic() - shown > 5:
                shown = time.monotonic()
                print(f"habla: waiting for {words}", file=sys.stderr)
            time.sleep(1)

    def _ask(self) -> list[Answer]:
        return ask(self.shells, self.plan)

    def _servers(self, answers: list[Answer]) -> list[ServerState]:
        return [item for answer in answers for item in answer.servers if item.server == self.host]
