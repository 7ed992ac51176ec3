"""An instance of HAProxy enters or leaves maintenance on all front hosts of a stack."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import KW_ONLY, dataclass

from habla.cli.balancers import Answer, ask, fronts, left_out_file
from habla.cli.ssh import Shells, UnreachableError
from habla.errors import Fault, SettingsError
from habla.onhost.haproxy.instances import flag, unit
from habla.plan import FleetPlan

__all__ = ["Outcome", "refuse_without_front", "switch"]

# Seconds after which HAProxy must run with the other config. A reload takes one or two.
_SEEN = 15.0


@dataclass(frozen=True)
class Outcome:
    """The state of an instance on all front hosts after a switch."""

    done: tuple[str, ...]
    """The front hosts where the instance is in the wanted state."""
    _: KW_ONLY
    failed: tuple[str, ...]
    """For each other front host, the reason."""
    unserved: tuple[tuple[str, str], ...]
    """Front host and backend, where a backend has no server left after the maintenance."""


def refuse_without_front(plan: FleetPlan) -> None:
    """Raise SettingsError if no host of the stack runs HAProxy."""
    if not fronts(plan):
        fix = "choose another stack with --stack"
        raise SettingsError([Fault("--stack", "no host of the stack runs HAProxy", fix=fix)])


def switch(shells: Shells, plan: FleetPlan, *, instance: str, on: bool) -> Outcome:
    """Put an instance into maintenance on every front host, or end that, and wait until it has happened.

    A front host that cannot be reached does not keep the others waiting.
    """
    hosts = fronts(plan)
    failed: dict[str, str] = {}
    backends: dict[str, set[str]] = {}

    def tell(host: str) -> None:
        try:
            backends[host] = _tell(shells, host, instance=instance, on=on)
        except UnreachableError as error:
            failed[host] = str(error)

    with ThreadPoolExecutor(len(hosts)) as pool:
        list(pool.map(tell, hosts))
    told = [host for host in hosts if host in backends]
    late, unserved = dict.fromkeys(told, ""), dict[str, set[str]]()
    deadline = time.monotonic() + _SEEN
    while told:
        for answer in ask(shells, plan, hosts=told):
            expected = backends[answer.host]
            late[answer.host] = _late(answer, instance, on=on, has_servers=bool(expected))
            unserved[answer.host] = expected - _served(answer, instance)
        if not any(late.values()) and not any(unserved.values()):
            break
        if time.monotonic() > deadline:
            failed |= {host: words for host, words in late.items() if words}
            break
        time.sleep(0.5)
    done = [host for host in told if host not in failed]
    return Outcome(
        tuple(done),
        failed=tuple(failed[host] for host in hosts if host in failed),
        unserved=tuple((host, backend) for host in done for backend in sorted(unserved[host])),
    )


def _tell(shells: Shells, host: str, *, instance: str, on: bool) -> set[str]:
    """Set or remove the flag of a front host and reload the instance.

    Returns the backends that get servers back. Raises UnreachableError.
    """
    reload = f"systemctl reload {unit(instance)}"
    if on:
        shells.run(host, f"touch {flag(instance)} && {reload}")
        return set()
    said = shells.run(host, f"cat {left_out_file(instance)} || true; rm -f {flag(instance)} && {reload}")
    left_out: Mapping[str, str] = json.loads(said or "{}")
    return {label.partition("/")[0] for label in left_out}


def _late(answer: Answer, instance: str, *, on: bool, has_servers: bool) -> str:
    """Why the instance is not in the wanted state; empty if it is.

    has_servers: whether the instance must have servers after the maintenance.
    """
    for name, words in (answer.faults or {}).items():
        if not name:
            return words
        if name == instance:
            return f"{answer.host}: {instance} {words}"
    servers = [item for item in answer.servers if item.instance == instance]
    if all(item.in_maintenance is on for item in servers) and (servers or not has_servers):
        return ""
    words = "still sends requests to servers" if on else "is still in maintenance"
    journal = f"read journalctl -u {unit(instance)} on {answer.host}"
    return f"{answer.host}: {instance} {words} after {_SEEN:.0f} s; {journal}"


def _served(answer: Answer, instance: str) -> set[str]:
    """The backends of an instance that have a server."""
    return {item.backend for item in answer.servers if item.instance == instance and not item.drained}
