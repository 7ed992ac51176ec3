"""``habla drain HOST`` and ``habla undrain HOST``: out of rotation and back, without a reload."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from habla.cli.balancers import Answer, ServerState, ask, shared_addresses
from habla.cli.ssh import Shells, add_identity, shells
from habla.errors import Fault, HablaError, SettingsError
from habla.model.drain_flags import BY_HAND, BY_SETTING
from habla.plan import FleetPlan
from habla.plan.stack_files import load_plan

__all__ = ["add_verbs"]

# Seconds in which every HAProxy has asked the host: it does so every two.
_SEEN = 15.0


def add_verbs(verbs: Any, common: argparse.ArgumentParser) -> None:
    """Add both verbs to the command line."""
    drain = verbs.add_parser(
        "drain",
        parents=[common],
        help="let HAProxy send a host nothing new",
        description="Takes a host out of rotation: HAProxy sends it no new request or connection, and lets "
        "those that are there finish. A front host gives the shared address to the other one. Lasts over "
        "reboots and `pulumi up` until `habla undrain HOST`.",
    )
    drain.add_argument(
        "--wait",
        type=float,
        default=0.0,
        metavar="SECONDS",
        help="then wait so long for requests and connections that are there to end",
    )
    undrain = verbs.add_parser(
        "undrain", parents=[common], help="put a drained host back", description="Puts a drained host back."
    )
    for parser, run in ((drain, _drain), (undrain, _undrain)):
        parser.add_argument("host", metavar="HOST")
        add_identity(parser)
        parser.set_defaults(run=run)


def _drain(root: Path, options: argparse.Namespace) -> int:
    plan = load_plan(root, options.stack)
    host = _drainable(plan, options.host)
    with shells(root, plan, options.identity) as reached:
        reached.run(host, f"touch {BY_HAND}")
        if _shares(plan, host):
            _until_elsewhere(plan, reached, host)
        if not _balanced(plan, host):
            return 0
        _until(plan, reached, host, lambda server: server.drained, "still in rotation")
        print(f"{host} is drained: HAProxy sends it nothing new")
        return _wait_idle(plan, reached, host, options.wait)


def _undrain(root: Path, options: argparse.Namespace) -> int:
    plan = load_plan(root, options.stack)
    host = _drainable(plan, options.host)
    with shells(root, plan, options.identity) as reached:
        if reached.run(host, f"rm -f {BY_HAND}; test ! -e {BY_SETTING} || echo yes").strip():
            words = (
                f"{host} stays drained by the stack's settings: set hosts.{host}.drained to false, pulumi up"
            )
            raise HablaError(words)
        _until(plan, reached, host, lambda server: server.state.startswith("UP"), "not back in rotation")
    print(f"{host} is in rotation")
    return 0


def _drainable(plan: FleetPlan, host: str) -> str:
    known = [name for name in plan.hosts if _balanced(plan, name) or _shares(plan, name)]
    if host not in known:
        rule = f"what HAProxy sends requests to, or shares its address: {', '.join(known) or 'none'}"
        raise SettingsError(
            [Fault("HOST", "cannot be drained", value=host, rule=rule, fix="choose one of these")]
        )
    return host


def _balanced(plan: FleetPlan, host: str) -> bool:
    return any(offer.balancer for service in plan.hosts[host].services for offer in service.offers())


def _shares(plan: FleetPlan, host: str) -> bool:
    return any(host in hosts and len(hosts) > 1 for hosts in shared_addresses(plan).values())


def _until_elsewhere(plan: FleetPlan, reached: Shells, host: str) -> None:
    """Wait until another front host has the shared address. Raises HablaError at the deadline."""
    address = next(address for address, hosts in shared_addresses(plan).items() if host in hosts)
    deadline = time.monotonic() + _SEEN
    while True:
        holders = [answer.host for answer in ask(reached, plan) if address in answer.addresses]
        if holders and host not in holders:
            print(f"{host} is drained: {', '.join(holders)} has the shared address {address}")
            return
        if time.monotonic() > deadline:
            words = f"after {_SEEN:.0f} s {', '.join(holders) or 'nobody'} has the shared address {address}"
            raise HablaError(f"{host}: {words}; is another front host up and not drained? see habla status")
        time.sleep(0.5)


def _until(
    plan: FleetPlan, reached: Shells, host: str, reached_state: Callable[[ServerState], bool], what: str
) -> None:
    """Wait until every HAProxy that answers sees the host so. Raises HablaError at the deadline."""
    deadline = time.monotonic() + _SEEN
    while True:
        answers = ask(reached, plan)
        servers = _of(answers, host)
        late = sorted({f"{item.instance}/{item.backend}" for item in servers if not reached_state(item)})
        if not late:
            for answer in answers:
                for words in (answer.faults or {}).values():
                    print(f"habla: {answer.host} could not be asked: {words}", file=sys.stderr)
            return
        if time.monotonic() > deadline:
            raise HablaError(f"{host}: {what} after {_SEEN:.0f} s in {', '.join(late)}; see habla status")
        time.sleep(0.5)


def _wait_idle(plan: FleetPlan, reached: Shells, host: str, seconds: float) -> int:
    deadline = time.monotonic() + seconds
    shown = 0.0
    while True:
        busy = [item for item in _of(ask(reached, plan), host) if item.sessions]
        words = ", ".join(f"{item.backend} {item.sessions}" for item in busy)
        if not busy:
            print(f"{host} has no request or connection left")
            return 0
        if time.monotonic() >= deadline:
            print(f"{host} still has: {words}")
            return 0 if seconds == 0 else 1
        if time.monotonic() - shown > 5:
            shown = time.monotonic()
            print(f"habla: waiting for {words}", file=sys.stderr)
        time.sleep(1)


def _of(answers: list[Answer], host: str) -> list[ServerState]:
    return [item for answer in answers for item in answer.servers if item.server == host]
