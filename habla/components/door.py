"""Checks of the arguments of a user's own program, by the rules of a stack, before any resource."""

from __future__ import annotations

import zlib
from collections.abc import Awaitable, Iterable, Iterator, Mapping
from ipaddress import IPv4Address
from typing import Any
from weakref import WeakKeyDictionary

import pulumi
import pulumi.runtime.settings
from pydantic import TypeAdapter, ValidationError

from habla.errors import Fault, PlacementError, SettingsError, raise_faults
from habla.model.names import HostName, ServerAddress, ServiceName
from habla.model.service import Owner
from habla.model.spec import PortNumber
from habla.plan.registry import Claim, agent_claims, clashes
from habla.settings.fault_words import rule_of
from habla.settings.models import HostKey, SshUser

__all__ = ["claim", "component_owner", "name_faults", "outside_stand_in", "plain", "ssh_faults"]

_HOST: TypeAdapter[str] = TypeAdapter(HostName)
_SERVICE: TypeAdapter[str] = TypeAdapter(ServiceName)
_KEY: TypeAdapter[str] = TypeAdapter(HostKey)
_ADDRESS: TypeAdapter[str] = TypeAdapter(ServerAddress)
_USER: TypeAdapter[str] = TypeAdapter(SshUser)
_PORT: TypeAdapter[int] = TypeAdapter(PortNumber)
# Field of a way to a machine -> its type, and its rule where the type has no words for it.
_FIELDS: dict[str, tuple[TypeAdapter[Any], str]] = {
    "address": (_ADDRESS, ""),
    "port": (_PORT, "a number from 1 to 65535"),
    "user": (_USER, ""),
    "host_key": (_KEY, ""),
}
# Names that are taken, by host; "" is the whole program. A process of tests runs many programs.
_taken: WeakKeyDictionary[Any, dict[str, list[Claim]]] = WeakKeyDictionary()


def plain(value: Any, argument: str, *, why: str) -> None:
    """Raise SettingsError where an output is given for a value that must be known at preview."""
    if isinstance(value, pulumi.Output):
        rule = f"{why}, so it must be a plain value, not an Output of another resource"
        raise SettingsError([Fault(argument, "not known at preview", rule=rule, fix="give a plain value")])


def outside_stand_in(host: str) -> IPv4Address:
    """A placeholder for the public address of a host until that is known; from an unused range."""
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


def ssh_faults(host: str, *, key: Any, agent: Any, proxy: Any, **fields: Any) -> Iterator[Fault]:
    """Faults of the way to a machine. Outputs are not known yet and are taken as they are.

    fields: address, port, user and host_key, as in a stack's ssh section.
    """
    path = f"hosts.{host}.ssh"
    yield from _field_faults(path, fields)
    if proxy is not None:
        # The plugin has a default for each field that is None.
        given = {"address": proxy.host, "port": proxy.port, "user": proxy.user, "host_key": proxy.host_key}
        yield from _field_faults(
            f"{path}.proxy", {name: value for name, value in given.items() if value is not None}
        )
    if key is None and not agent:
        rule = "SSH needs a private key, or an agent that has one"
        fix = "set private_key or agent_socket"
        yield Fault(f"{path}.private_key", "missing, and no SSH agent", rule=rule, fix=fix)


def _field_faults(path: str, fields: Mapping[str, Any]) -> Iterator[Fault]:
    for name, value in fields.items():
        if isinstance(value, (pulumi.Output, Awaitable)):
            continue
        if name == "address" and not (isinstance(value, str) and value.strip()):
            rule = "SSH needs the name or the address of the machine"
            yield Fault(
                f"{path}.address", "missing", value=str(value or ""), rule=rule, fix="set the address"
            )
            continue
        adapter, rule = _FIELDS[name]
        try:
            adapter.validate_python(value)
        except ValidationError as error:
            words = rule or error.errors()[0]["msg"].removeprefix("Value error, ")
            yield Fault(f"{path}.{name}", "not valid", value=str(value), rule=words, fix="correct the value")


def component_owner(kind: str, name: str) -> Owner:
    """How errors name a component of a program."""
    return Owner(f"{kind} {name}", name)
