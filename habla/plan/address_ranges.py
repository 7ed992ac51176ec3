"""The ranges of addresses that each role owns, and their faults. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from itertools import pairwise

from netaddr import IPNetwork, IPRange, IPSet

from habla.errors import AddressError, Fault, raise_faults
from habla.model.roles import Role

__all__ = ["AddressRange", "forbidden_addresses", "range_faults", "role_ranges"]


@dataclass(frozen=True, order=True)
class AddressRange:
    """Addresses from ``first`` to ``last``, both included."""

    first: IPv4Address
    last: IPv4Address

    @staticmethod
    def parse(text: str) -> AddressRange:
        """Read ``FIRST-LAST``, ``NETWORK/LENGTH`` or a single address. Raises ValueError."""
        if "/" in text:
            network = IPv4Network(text)
            return AddressRange(network[0], network[-1])
        first, dash, last = (part.strip() for part in text.partition("-"))
        found = AddressRange(IPv4Address(first), IPv4Address(last if dash else first))
        if found.last < found.first:
            raise ValueError(f"the last address of {text} lies before the first")
        return found

    def __str__(self) -> str:
        return str(self.first) if self.first == self.last else f"{self.first}-{self.last}"

    def __contains__(self, address: IPv4Address) -> bool:
        return self.first <= address <= self.last


def role_ranges(
    network: IPv4Network, roles: Mapping[str, Role], *, given: Mapping[str, Sequence[str]]
) -> dict[str, tuple[AddressRange, ...]]:
    """The addresses that each role owns: the given ranges, as text, or else the role's offsets in a /24.

    Raises AddressError with every text that is no range.
    """
    # In another network the offsets would mean nothing: there, roles that are used must be given ranges.
    ranges = {
        name: tuple(AddressRange(network[low], network[high]) for low, high in role.offsets)
        if network.prefixlen == 24
        else ()
        for name, role in roles.items()
    }
    faults = []
    for name, texts in given.items():
        parsed = []
        for index, text in enumerate(texts):
            try:
                parsed.append(AddressRange.parse(text))
            except ValueError as error:
                path = f"roles.{name}.ranges[{index}]"
                rule = "FIRST-LAST, NETWORK/LENGTH or one address"
                faults.append(Fault(path, str(error), value=text, rule=rule, fix="correct the range"))
        ranges[name] = tuple(parsed)
    raise_faults(AddressError, faults)
    return ranges


def forbidden_addresses(network: IPv4Network, reserved: tuple[IPv4Address, ...]) -> dict[IPv4Address, str]:
    """Address -> why no host of the network can have it."""
    forbidden = dict.fromkeys(reserved, "reserved")
    # RFC 3021: a /31 has neither network nor broadcast address; a /32 is its one host.
    if network.prefixlen < 31:
        forbidden[network.network_address] = "the network address"
        forbidden[network.broadcast_address] = "the broadcast address"
    return forbidden


def range_faults(
    network: IPv4Network,
    ranges: Mapping[str, tuple[AddressRange, ...]],
    *,
    forbidden: Mapping[IPv4Address, str],
) -> list[Fault]:
    """Ranges outside the network, with an address that no host can have, or of two roles at once."""
    faults = []
    flat = [(item, role, index) for role, items in ranges.items() for index, item in enumerate(items)]
    whole = IPSet(IPNetwork(str(network)))
    for item, role, index in flat:
        path = f"roles.{role}.ranges[{index}]"
        if not IPSet(IPRange(str(item.first), str(item.last))).issubset(whole):
            faults.append(
                Fault(
                    path,
                    "outside the network",
                    value=str(item),
                    rule=f"a range must lie in {network}",
                    fix="choose a range in the network",
                )
            )
        for address in (network.network_address, network.broadcast_address):
            if address in item and forbidden.get(address, "").startswith("the "):
                fix = "shorten the range"
                faults.append(
                    Fault(
                        path,
                        f"contains {forbidden[address]}",
                        value=str(item),
                        rule="no host can have this address",
                        fix=fix,
                    )
                )
    flat.sort()
    for (low, low_role, _), (high, high_role, index) in pairwise(flat):
        if high.first <= low.last:
            what = f"overlaps {low} of role {low_role}"
            rule = "an address belongs to one role"
            faults.append(
                Fault(
                    f"roles.{high_role}.ranges[{index}]",
                    what,
                    value=str(high),
                    rule=rule,
                    fix="change one of the ranges, so that they do not overlap",
                )
            )
    return faults
