"""The internal network: an address for each host by its role, and the hosts' own knowledge of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from ipaddress import IPv4Address, IPv4Network

import pulumi

from habla.components.command import applied_state, split_options
from habla.components.component_schema import Component, in_schema
from habla.components.door import claim, component_owner, outside_stand_in, plain
from habla.components.host import Host
from habla.errors import AddressError, Fault, PlacementError, raise_faults
from habla.hosts.network import network_state
from habla.model.disk import LogsSpec
from habla.model.names import DEFAULT_DOMAIN, NETWORK, joined_resource
from habla.model.roles import Role
from habla.model.service import Owner
from habla.model.site import FleetFacts, Site
from habla.onhost.document import HostState
from habla.plan.address_ranges import role_ranges
from habla.plan.addressing import AddressPlan, HostRequest, plan_addresses
from habla.plan.registry import Claim
from habla.services.catalog import default_roles

__all__ = ["InternalSubnet", "InternalSubnetArgs", "Member", "SubnetPlan"]


@in_schema
@dataclass(frozen=True)
class Member:
    """A host of the network, with its role."""

    host: Host
    """The machine."""
    role: str
    """Its purpose, which decides where its address lies and which services it may run."""
    _: KW_ONLY
    address: str | None = None
    """Pins its internal address, within the ranges of its role."""
    packages: tuple[str, ...] = ()
    """Debian packages that are installed with the network, ahead of components."""


@in_schema
@dataclass(frozen=True)
class InternalSubnetArgs:
    """An internal network and its hosts."""

    members: Sequence[Member]
    """The hosts."""
    network: str = "192.168.2.0/24"
    """The network as CIDR."""
    _: KW_ONLY
    interface: str = "internal0"
    """The hosts' network interface in it."""
    domain: str = DEFAULT_DOMAIN
    """The domain of the fleet, also that of its Jabber accounts."""
    ranges: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Role -> ranges (``FIRST-LAST`` or CIDR); by default those of the roles, in a /24."""
    held: Mapping[str, str] = field(default_factory=dict)
    """Host -> address of the last plan, which it keeps."""
    reserved: Sequence[str] = ()
    """Addresses that no host gets."""
    roles: Mapping[str, Role] = field(default_factory=default_roles)
    """All roles by name."""
    logs: LogsSpec = LogsSpec()
    """How logs are rotated on the hosts."""


@dataclass(frozen=True, kw_only=True)
class SubnetPlan:
    """The internal network as a plan has it, by the names of hosts.

    hosts: the machines. states: the documents that make them members. sites, roles: as services see them.
    """

    hosts: Mapping[str, Host]
    addresses: AddressPlan
    states: Mapping[str, HostState]
    sites: Mapping[str, Site]
    roles: Mapping[str, Role]


class InternalSubnet(Component):
    """The internal network. It gives each member an address, a name and an /etc/hosts.

    plan: the address of each member, as plain values that are known at preview. addresses: the same as an
    output. sites: the members as services see them. roles: their roles.
    Raises AddressError before any resource.
    """

    plan: AddressPlan
    sites: Mapping[str, Site]
    roles: Mapping[str, Role]
    addresses: pulumi.Output[dict[str, str]]

    def __init__(
        self,
        name: str,
        args: InternalSubnetArgs | SubnetPlan,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        planned = args if isinstance(args, SubnetPlan) else _planned(args)
        claim(_claims(name, planned))
        self.plan, self.sites, self.roles = planned.addresses, planned.sites, planned.roles
        own, children = split_options(opts)
        super().__init__("habla:index:InternalSubnet", name, None, own)
        children = pulumi.ResourceOptions.merge(children, pulumi.ResourceOptions(parent=self))
        self._joined: dict[str, pulumi.Resource] = {}
        for host, machine in planned.hosts.items():
            self._joined[host] = applied_state(
                joined_resource(name, host),
                machine.connection,
                state=planned.states[host],
                opts=children,
                depends_on=[machine.ready],
            )
        self.unreachable = frozenset(
            host for host, machine in planned.hosts.items() if machine.connection.unreachable
        )
        self.addresses = pulumi.Output.from_input({host: str(ip) for host, ip in self.plan.hosts.items()})
        self.register_outputs({"addresses": self.addresses})

    @property
    def fleet(self) -> FleetFacts:
        """The facts that all members share."""
        return next(iter(self.sites.values())).fleet

    def role(self, host: Host) -> Role:
        """The role of a member. Raises PlacementError for a host that is none."""
        if host.name not in self.roles:
            rule = f"members are {', '.join(self.roles) or 'none'}"
            fix = f"add Member({host.name}, ROLE) to the members of the subnet"
            raise PlacementError([Fault(f"members.{host.name}", "not a member", rule=rule, fix=fix)])
        return self.roles[host.name]

    def common_role(self, on: Host | Sequence[Host]) -> Role:
        """The role of one member, or of several that have the same. Raises PlacementError."""
        roles = {self.role(host).name: self.role(host) for host in ([on] if isinstance(on, Host) else on)}
        if len(roles) != 1:
            rule = "the hosts of one component have one role"
            what = f"hosts of {len(roles)} roles"
            fix = "make a component for each role"
            raise PlacementError([Fault("on", what, value=", ".join(roles), rule=rule, fix=fix)])
        return next(iter(roles.values()))

    def joined(self, host: Host) -> pulumi.Resource:
        """The resource that a component on ``host`` waits for: the host has its internal address."""
        return self._joined[host.name]


def _planned(args: InternalSubnetArgs) -> SubnetPlan:
    addresses = _addresses(args)
    fleet = FleetFacts(
        network=addresses.network,
        interface=args.interface,
        domain=args.domain,
        environment=pulumi.get_stack(),
        hosts=addresses.hosts,
        logs=args.logs,
    )
    sites = {}
    for member in args.members:
        host, outside = member.host, None
        if isinstance(host.outside_address, pulumi.Output):
            outside = outside_stand_in(host.name)
        elif host.outside_address is not None:
            outside = IPv4Address(str(host.outside_address))
        sites[host.name] = Site(
            host.name, addresses.hosts[host.name], fleet=fleet, outside=outside, drained=host.drained
        )
    return SubnetPlan(
        hosts={member.host.name: member.host for member in args.members},
        addresses=addresses,
        states={
            member.host.name: network_state(sites[member.host.name], member.packages)
            for member in args.members
        },
        sites=sites,
        roles={member.host.name: args.roles[member.role] for member in args.members},
    )


def _claims(name: str, planned: SubnetPlan) -> dict[str, list[Claim]]:
    """A host is in one internal network, and an address of it belongs to one host of the program."""
    owner = component_owner("InternalSubnet", name)
    found = {host: [Claim("component", NETWORK, owner=owner)] for host in planned.hosts}
    found[""] = [
        Claim("internal address", str(planned.addresses.hosts[host]), owner=Owner(f"{host} in {name}", name))
        for host in planned.hosts
    ]
    return found


def _addresses(args: InternalSubnetArgs) -> AddressPlan:
    plain(args.network, "network", why="every config names addresses in it")
    for member in args.members:
        plain(member.address, f"members.{member.host.name}.address", why="configs of other hosts name it")
    network = IPv4Network(args.network)
    ranges = role_ranges(network, args.roles, given=args.ranges)
    faults = []
    seen: set[str] = set()
    for member in args.members:
        if member.host.name in seen:
            rule = "a host can be a member only once"
            faults.append(Fault(f"members.{member.host.name}", "a member twice", rule=rule, fix="remove one"))
        seen.add(member.host.name)
    raise_faults(AddressError, faults)
    requests = {
        member.host.name: HostRequest(member.role, IPv4Address(member.address) if member.address else None)
        for member in args.members
    }
    return plan_addresses(
        network,
        ranges,
        hosts=requests,
        held={name: IPv4Address(address) for name, address in args.held.items()},
        reserved=tuple(IPv4Address(address) for address in args.reserved),
    )
