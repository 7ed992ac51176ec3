"""The registry of names: every name on a host, and every name in a fleet, has one owner.

If two owners want one name, that is a fault. Owners are services, apps, roles, hosts and parts of habla.
Without it one of the two would silently replace the other, on a host or in the stack.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import KW_ONLY, dataclass
from itertools import pairwise
from typing import Any

from habla.errors import Fault
from habla.hosts.rotation import RULES
from habla.model.service import Owner, ServiceState
from habla.onhost.agent.places import RECOVER_UNIT, SECRETS
from habla.onhost.document import Parts

__all__ = ["Claim", "agent_claims", "clashes", "state_claims", "unit_drop_in"]

# Names of the agent itself, which is on every host.
_AGENT = Owner("habla's agent")
_DEBIAN = Owner("Debian")
# Users of base-passwd, and of packages that every host has.
_SYSTEM_USERS = (
    *("daemon", "bin", "sys", "sync", "games", "man", "lp", "mail", "news", "uucp", "proxy", "www-data"),
    *("backup", "list", "irc", "_apt", "nobody", "messagebus", "sshd", "syslog", "systemd-network"),
)
_MOST = 3
_UNITS = "/etc/systemd/system/"


@dataclass(frozen=True)
class Claim:
    """An owner's claim to a name. kind: "unit", "file" …

    value: two owners may share a directory if both claim it with the same value.
    """

    kind: str
    name: str
    _: KW_ONLY
    owner: Owner
    value: Any = None


def unit_drop_in(unit: str) -> str:
    """The path of habla's drop-in for a unit."""
    return f"{_UNITS}{unit}.d/10-habla.conf"


def state_claims(owner: Owner, component: str, *, state: Parts) -> Iterator[Claim]:
    """Every name that an owner needs on a host. component: the one that it is a part of."""
    names: dict[str, Iterable[str]] = {
        "user": state.users,
        "file": (
            *state.files,
            *state.archives,
        ),
        "unit": (*state.units, *state.stopped),
        # These are names within a document, and each component has a document of its own.
        **{
            kind: [f"{name} of component {component}" for name in names]
            for kind, names in (
                ("check", state.checks),
                ("action", state.actions),
                ("health check", state.health),
            )
        },
    }
    if isinstance(state, ServiceState):
        derived = [unit_drop_in(unit) for unit in state.units if unit.endswith(".service")]
        derived += sorted({f"{RULES}{log.rule}" for log in state.logs})
        names["file"] = (*names["file"], *derived)
        names["port"] = sorted(str(port.number) for port in state.ports)
        names["data directory"] = state.data
    for kind, found in names.items():
        yield from (Claim(kind, name, owner=owner) for name in found)
    for path, directory in state.directories.items():
        yield Claim("directory", path, owner=owner, value=directory)


def agent_claims() -> Iterator[Claim]:
    """The names of the agent, on every host, and of the users that are always there."""
    for path in (RECOVER_UNIT, SECRETS):
        yield Claim("file", str(path), owner=_AGENT)
    yield Claim("unit", RECOVER_UNIT.name, owner=_AGENT)
    yield Claim("user", "root", owner=Owner("the administrator"))
    yield from (Claim("user", name, owner=_DEBIAN) for name in _SYSTEM_USERS)
    yield Claim("port", "22", owner=Owner("sshd"))


def clashes(places: Iterable[Iterable[Claim]]) -> list[Fault]:
    """One fault for each two owners that want the same names.

    places: the claims of each place where a name has one owner: of each host, and of the fleet.
    """
    wanted: dict[tuple[Owner, Owner], list[Claim]] = defaultdict(list)
    twice: set[Claim] = set()
    for claims in places:
        held: dict[tuple[str, str], list[Claim]] = {}
        for claim in claims:
            others = held.setdefault((claim.kind, claim.name), [])
            if claim.kind == "port" and claim.owner in [each.owner for each in others]:
                twice.add(claim)
            if not others or all(claim.owner != each.owner and not _shared(claim, each) for each in others):
                others.append(claim)
        for found in held.values():
            for first, second in pairwise(found):
                one, other = sorted((first.owner, second.owner))
                wanted[one, other].append(first)
    return [
        *(_clash(one, other, found=found) for (one, other), found in wanted.items()),
        *(_twice(claim) for claim in twice),
    ]


def _twice(claim: Claim) -> Fault:
    rule = "a port of a host can serve only one purpose"
    fix = f"change one of the ports in {claim.owner.path or 'the settings'}"
    what = f"{claim.owner.title} needs the same port twice"
    return Fault(claim.owner.path or "hosts", what, value=claim.name, rule=rule, fix=fix)


def _shared(claim: Claim, other: Claim) -> bool:
    return claim.value is not None and claim.value == other.value


def _clash(one: Owner, other: Owner, *, found: list[Claim]) -> Fault:
    """A fault of a name with several owners. Its path leads to the owner that is easiest to rename."""
    first = min((one, other), key=lambda owner: (not owner.path, _rank(owner.path), owner.path))
    second = other if first == one else one
    names = list(dict.fromkeys(f"the {claim.kind} {claim.name}" for claim in found))
    more = f" and {len(names) - _MOST} more" if len(names) > _MOST else ""
    what = f"{first.title} and {second.title} need the same names"
    at = f" ({second.path})" if second.path else ""
    if {claim.kind for claim in found} == {"port"}:
        fix = f"change the port in {first.path or second.path}"
    else:
        fix = f"choose another name for {first.title}, or remove one of the two{at}"
    rule = "every name on a host and in a fleet has one owner"
    return Fault(first.path or "hosts", what, value=", ".join(names[:_MOST]) + more, rule=rule, fix=fix)


def _rank(path: str) -> int:
    """Users choose the names of apps, roles and hosts; the names of services are habla's."""
    order = ("apps", "roles", "hosts")
    section = path.partition(".")[0]
    return order.index(section) if section in order else len(order)
