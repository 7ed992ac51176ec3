"""Checks of the arguments of a user's own program, by the rules of a stack, before any resource."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator, Mapping
from ipaddress import IPv4Address
from typing import Any
from weakref import WeakKeyDictionary

import pulumi
import pulumi.runtime.settings
from pydantic import TypeAdapter, ValidationError

from habla.errors import Fault, PlacementError, SettingsError, raise_faults
from habla.model.names import HostName, ServiceName
from habla.model.service import Owner
from habla.model.spec import PortNumber
from habla.plan.registry import Claim, agent_claims, clashes
from habla.settings.fault_words import rule_of
from habla.settings.models import HostKey

__all__ = ["claim", "component_owner", "name_faults", "outside_stand_in", "plain", "ssh_faults"]

_HOST: TypeAdapter[str] = TypeAdapter(HostName)
_SERVICE: TypeAdapter[str] = TypeAdapter(ServiceName)
_KEY: TypeAdapter[str] = TypeAdapter(HostKey)
_PORT: TypeAdapter[int] = TypeAdapter(PortNumber)
# Names that are taken, by host; "" is the whole program. A process of tests runs many programs.
_taken: WeakKeyDictionary[Any, dict[str, list[Claim]]] = WeakKeyDictionary()


def plain(value: Any, argument: str, *, why: str) -> None:
    """Raise SettingsError where an output is given for a value that must be known at preview."""
    if isinstance(value, pulumi.Output):
        rule = f"{why}, so it must be a plain value, not an Output of another resource"
        raise SettingsError([Fault(argument, "not known at preview", rule=rule, fix="give a plain value")])


def outside_stand_in(host: str) -> IPv4Address:
    """An address that stands for the public one of a host until that is known; from an unused range."""
    return IPv4Address((240 << 24) + zlib.crc32(host.encode()) % (1 << 27))


def claim(places: Mapping[str, Iterable[Claim]]) -> None:
    """Take names on hosts for this program. Raises PlacementError when others have them; then none is taken.

    places: host -> names on it; "" -> names in the whole program.
    """
    taken = _taken.setdefault(pulumi.runtime.settings.get_monitor(), {})
    wanted = {place: tuple(claims) for place, claims in places.items()}
    before = {place: (*taken.get(place, ()), *(agent_claims() if place else ())) for place in wanted}
    raise_faults(PlacementError, clashes([(*before[place], *claims) for place, claims in wanted.items()]))
    for place, claims in wanted.items():
        taken.setdefault(place, []).extend(claims)


def name_faults(path: str, name: Any, *, service: bool = False) -> Iterator[Fault]:
    """Faults of the name of a host, or of a program (``service``)."""
    plain(name, path, why="it becomes a part of file names, units and addresses")
    try:
        (_SERVICE if service else _HOST).validate_python(name)
    except ValidationError as error:
        what = "not a name that can be used"
        yield Fault(path, what, value=str(name), rule=rule_of(error), fix="rename it")


def ssh_faults(host: str, *, address: Any, port: Any, host_key: Any, key: Any, agent: Any) -> Iterator[Fault]:
    """Faults of the way to a machine. Outputs are not known yet and are taken as they are."""
    path = f"hosts.{host}.ssh"
    if not isinstance(address, pulumi.Output) and not (isinstance(address, str) and address.strip()):
        rule = "the name or address under which SSH reaches the machine"
        yield Fault(f"{path}.address", "missing", value=str(address or ""), rule=rule, fix="give the address")
    for name, value, adapter, rule in (
        ("port", port, _PORT, "a number from 1 to 65535"),
        ("host_key", host_key, _KEY, "the public host key, as `ssh-keyscan -t ed25519 ADDRESS` prints it"),
    ):
        if not isinstance(value, pulumi.Output):
            try:
                adapter.validate_python(value)
            except ValidationError:
                yield Fault(
                    f"{path}.{name}", "not valid", value=str(value), rule=rule, fix="correct the value"
                )
    if key is None and not agent:
        rule = "a host is reached with a private key, or by an SSH agent"
        fix = "give private_key, or agent_socket"
        yield Fault(f"{path}.private_key", "missing, and no SSH agent", rule=rule, fix=fix)


def component_owner(kind: str, name: str) -> Owner:
    """How errors name a component of a program."""
    return Owner(f"{kind} {name}", name)
