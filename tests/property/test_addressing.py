"""The address plan, for any network, ranges and hosts."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from habla.errors import AddressError
from habla.plan.address_ranges import AddressRange
from habla.plan.addressing import AddressPlan, HostRequest, plan_addresses

ROLES = ("front", "stable", "web")
Ranges = dict[str, tuple[AddressRange, ...]]


@st.composite
def networks(draw: st.DrawFn) -> tuple[IPv4Network, Ranges]:
    """A network of /8 to /27, with a range of usable addresses for each role, none of them overlapping."""
    length = draw(st.integers(8, 27))
    size = 2 ** (32 - length)
    network = IPv4Network((draw(st.integers(0, 2**length - 1)) * size, length))
    cuts = sorted(draw(st.sets(st.integers(1, size - 2), min_size=6, max_size=6)))
    pairs = [(cuts[0], cuts[1]), (cuts[2], cuts[3]), (cuts[4], cuts[5])]
    return network, {
        role: (AddressRange(network[low], network[high]),)
        for role, (low, high) in zip(ROLES, pairs, strict=True)
    }


hosts_of = st.dictionaries(
    st.from_regex(r"[a-z][a-z0-9]{0,5}", fullmatch=True), st.sampled_from(ROLES).map(HostRequest), max_size=8
)


def plan_or_nothing(
    network: IPv4Network,
    ranges: Ranges,
    hosts: dict[str, HostRequest],
    held: dict[str, IPv4Address] | None = None,
) -> AddressPlan | None:
    try:
        return plan_addresses(network, ranges, hosts=hosts, held=held)
    except AddressError:
        return None


@given(networks(), hosts_of)
def test_every_host_gets_an_address_of_its_role_and_its_own(
    where: tuple[IPv4Network, Ranges], hosts: dict[str, HostRequest]
) -> None:
    """Addresses lie in the role's ranges, never repeat, and are as many as the hosts."""
    network, ranges = where
    plan = plan_or_nothing(network, ranges, hosts)
    if plan is None:
        space = {role: int(ranges[role][0].last) - int(ranges[role][0].first) + 1 for role in ROLES}
        wanted = {role: sum(host.role == role for host in hosts.values()) for role in ROLES}
        assert any(wanted[role] > space[role] for role in ROLES)
        return
    assert set(plan.hosts) == set(hosts)
    assert len(set(plan.hosts.values())) == len(hosts)
    for name, address in plan.hosts.items():
        assert address in ranges[hosts[name].role][0]


@given(networks(), hosts_of, hosts_of, st.data())
def test_a_host_keeps_its_address_while_others_come_and_go(
    where: tuple[IPv4Network, Ranges],
    before: dict[str, HostRequest],
    joining: dict[str, HostRequest],
    data: st.DataObject,
) -> None:
    """Whoever stays in the same role has the same address after any change of the others."""
    network, ranges = where
    first = plan_or_nothing(network, ranges, before)
    if first is None:
        return
    staying = data.draw(st.sets(st.sampled_from(sorted(before)))) if before else set()
    after = {**joining, **{name: before[name] for name in staying}}
    second = plan_or_nothing(network, ranges, after, dict(first.hosts))
    if second is not None:
        assert {name: second.hosts[name] for name in staying} == {name: first.hosts[name] for name in staying}


@given(networks(), hosts_of)
def test_the_order_of_declaration_does_not_matter(
    where: tuple[IPv4Network, Ranges], hosts: dict[str, HostRequest]
) -> None:
    """The plan is a function of names and roles, not of positions."""
    network, ranges = where
    shuffled = dict(reversed(list(hosts.items())))
    backwards = dict(reversed(list(ranges.items())))
    assert plan_or_nothing(network, ranges, hosts) == plan_or_nothing(network, backwards, shuffled)


@given(networks(), hosts_of)
def test_planning_again_from_what_is_held_changes_nothing(
    where: tuple[IPv4Network, Ranges], hosts: dict[str, HostRequest]
) -> None:
    """A plan is its own fixed point."""
    network, ranges = where
    plan = plan_or_nothing(network, ranges, hosts)
    if plan is not None:
        assert plan_addresses(network, ranges, hosts=hosts, held=dict(plan.hosts)) == plan


@given(networks(), st.integers(0, 2))
def test_a_full_role_is_an_error_that_names_it(where: tuple[IPv4Network, Ranges], index: int) -> None:
    """One host more than addresses: the fault names the host and the role."""
    network, ranges = where
    role = ROLES[index]
    small = {role: (AddressRange(ranges[role][0].first, ranges[role][0].first),)}
    with pytest.raises(AddressError) as caught:
        plan_addresses(network, small, hosts={"one": HostRequest(role), "two": HostRequest(role)})
    assert [fault.path for fault in caught.value.faults] == ["hosts.two"]
    assert role in str(caught.value)
