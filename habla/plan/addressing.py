"""The address plan: role ranges -> one address per host. Pure; netaddr does the set arithmetic.

A host gets the lowest free address of its role and keeps it while others come and go. Its address is written
down in ``stacks/addresses.ENV.yaml`` and passed in as ``held``. So the plan depends on files under version
control alone. A pinned address goes before a held one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import KW_ONLY, dataclass, field
from ipaddress import IPv4Address, IPv4Network

from netaddr import IPAddress, IPRange, IPSet

from habla.errors import AddressError, Fault, raise_faults
from habla.plan.address_ranges import AddressRange, forbidden_addresses, range_faults

__all__ = ["AddressPlan", "HostRequest", "plan_addresses"]


@dataclass(frozen=True)
class HostRequest:
    """A host that wants an address: its role, and the address it must have, if any."""

    role: str
    pin: IPv4Address | None = None


@dataclass(frozen=True)
class AddressPlan:
    """The plan: host name -> address, in a network, by the ranges of the roles.

    reserved: addresses of the network that no host gets. free: role -> how many addresses are left.
    """

    network: IPv4Network
    ranges: Mapping[str, tuple[AddressRange, ...]]
    _: KW_ONLY
    hosts: Mapping[str, IPv4Address]
    roles: Mapping[str, str]
    reserved: tuple[IPv4Address, ...] = ()
    free: Mapping[str, int] = field(default_factory=dict)

    def of_role(self, role: str) -> dict[str, IPv4Address]:
        """The hosts of a role, by name."""
        return {name: address for name, address in sorted(self.hosts.items()) if self.roles[name] == role}


def plan_addresses(
    network: IPv4Network,
    ranges: Mapping[str, tuple[AddressRange, ...]],
    *,
    hosts: Mapping[str, HostRequest],
    held: Mapping[str, IPv4Address] | None = None,
    reserved: tuple[IPv4Address, ...] = (),
) -> AddressPlan:
    """Give every host an address of its role.

    held: the addresses of the last plan; names that are no longer in ``hosts`` free their address.
    Raises AddressError with every fault found, its paths relative to the stack's settings.
    """
    forbidden = forbidden_addresses(network, reserved)
    raise_faults(AddressError, range_faults(network, ranges, forbidden=forbidden))
    given, faults = _pinned(hosts, ranges, forbidden=forbidden)
    faults += _unranged(hosts, ranges)
    raise_faults(AddressError, [*faults, *_lost_to_a_pin(given, hosts, ranges=ranges, held=held or {})])
    holders = {address: name for name, address in given.items()}
    for name, address in sorted((held or {}).items()):
        # A host with a new role leaves its old address, because an address shows the role of its machine.
        if (
            name in hosts
            and name not in given
            and _in_role(address, hosts[name].role, ranges=ranges, forbidden=forbidden)
        ):
            holder = holders.setdefault(address, name)
            if holder != name:
                faults.append(
                    Fault(
                        f"addresses.{name}",
                        f"held by {holder} too",
                        value=str(address),
                        rule=_ONE_HOST,
                        fix="remove one",
                    )
                )
            given[name] = address
    spaces = {role: _space(ranges[role], forbidden) for role in ranges}
    # One walk through each role's addresses for all of its hosts: an address that was passed over is taken.
    ahead = {role: _addresses(space) for role, space in spaces.items()}
    for name in sorted(set(hosts) - set(given)):
        role = hosts[name].role
        free = next((address for address in ahead[role] if address not in holders), None)
        if free is None:
            faults.append(_exhausted(name, role, ranges=ranges[role], size=spaces[role].size))
            continue
        given[name] = free
        holders[free] = name
    raise_faults(AddressError, faults)
    return AddressPlan(
        network,
        dict(sorted(ranges.items())),
        hosts=dict(sorted(given.items())),
        roles={name: hosts[name].role for name in sorted(hosts)},
        reserved=tuple(sorted(reserved)),
        free={
            role: space.size - sum(IPAddress(str(a)) in space for a in holders)
            for role, space in spaces.items()
        },
    )


_ONE_HOST = "an address belongs to one host"


def _space(ranges: tuple[AddressRange, ...], forbidden: Mapping[IPv4Address, str]) -> IPSet:
    whole = IPSet()
    for item in ranges:
        whole.update(IPRange(str(item.first), str(item.last)))
    return whole - IPSet([IPAddress(str(address)) for address in forbidden])


def _addresses(space: IPSet) -> Iterator[IPv4Address]:
    return (IPv4Address(int(address)) for address in space)


def _in_role(
    address: IPv4Address,
    role: str,
    *,
    ranges: Mapping[str, tuple[AddressRange, ...]],
    forbidden: Mapping[IPv4Address, str],
) -> bool:
    return address not in forbidden and any(address in item for item in ranges.get(role, ()))


def _unranged(
    hosts: Mapping[str, HostRequest], ranges: Mapping[str, tuple[AddressRange, ...]]
) -> list[Fault]:
    return [
        Fault(
            f"hosts.{name}.role",
            "the role has no range",
            value=request.role,
            rule="a role with hosts needs ranges of addresses",
            fix=f"add ranges to roles.{request.role}",
        )
        for name, request in hosts.items()
        if not ranges.get(request.role)
    ]


def _pinned(
    hosts: Mapping[str, HostRequest],
    ranges: Mapping[str, tuple[AddressRange, ...]],
    *,
    forbidden: Mapping[IPv4Address, str],
) -> tuple[dict[str, IPv4Address], list[Fault]]:
    given: dict[str, IPv4Address] = {}
    faults = []
    for name, request in sorted(hosts.items()):
        if request.pin is None:
            continue
        path, value = f"hosts.{name}.address", str(request.pin)
        owned = ", ".join(map(str, ranges.get(request.role, ())))
        if request.pin in forbidden:
            rule = "no host can have this address"
            faults.append(
                Fault(path, f"is {forbidden[request.pin]}", value=value, rule=rule, fix="choose another")
            )
        elif not _in_role(request.pin, request.role, ranges=ranges, forbidden=forbidden):
            rule = f"role {request.role} has {owned}"
            faults.append(
                Fault(
                    path,
                    "outside the ranges of its role",
                    value=value,
                    rule=rule,
                    fix="choose an address in these ranges",
                )
            )
        for other, taken in given.items():
            if taken == request.pin:
                faults.append(
                    Fault(
                        path,
                        f"{other} has the same address",
                        value=value,
                        rule=_ONE_HOST,
                        fix="change one of the two addresses",
                    )
                )
        given[name] = request.pin
    return given, faults


def _lost_to_a_pin(
    given: Mapping[str, IPv4Address],
    hosts: Mapping[str, HostRequest],
    *,
    ranges: Mapping[str, tuple[AddressRange, ...]],
    held: Mapping[str, IPv4Address],
) -> list[Fault]:
    """A pin never renumbers another host behind the user's back."""
    return [
        Fault(
            f"hosts.{winner}.address",
            f"{name} has it",
            value=str(address),
            rule="a host keeps its address when the stack gets other hosts",
            fix=f"set another address, or first set another address for {name}",
        )
        for winner, address in given.items()
        for name, theirs in held.items()
        if theirs == address and name != winner and name in hosts and hosts[name].pin is None
        if any(address in item for item in ranges.get(hosts[name].role, ()))
    ]


def _exhausted(name: str, role: str, *, ranges: tuple[AddressRange, ...], size: int) -> Fault:
    owned = ", ".join(map(str, ranges))
    rule = f"role {role} has {owned}: {size} addresses"
    return Fault(
        f"hosts.{name}",
        f"no address is left for role {role}",
        rule=rule,
        fix=f"widen roles.{role}.ranges",
    )
