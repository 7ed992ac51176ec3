"""The internal network: an address for each host by its role, and the hosts' own knowledge of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network

import pulumi

from habla.components.command import agent_command, agent_undo, host_command
from habla.components.host import Host
from habla.errors import AddressError, Fault, raise_faults
from habla.hosts.network import COMPONENT, network_state
from habla.model.disk import LogsSpec
from habla.model.roles import DEFAULT_ROLES, Role
from habla.model.service import Endpoints, Site
from habla.plan.addressing import AddressPlan, HostRequest, plan_addresses, role_ranges

__all__ = ["InternalSubnet", "InternalSubnetArgs", "Member"]


@dataclass(frozen=True)
class Member:
    """A host of the network. address: pins it. packages: installed with the network, ahead of components."""

    host: Host
    role: str
    address: str | None = None
    packages: tuple[str, ...] = ()


@dataclass(frozen=True)
class InternalSubnetArgs:
    """members: the hosts. network: CIDR. interface: theirs in it. domain: the fleet's.

    ranges: role -> ranges (``FIRST-LAST`` or CIDR); by default those of the roles, in a /24.
    held: host -> address of the last plan. reserved: addresses that no host gets. roles: all there are.
    logs: how logs are rotated on the members.
    """

    members: Sequence[Member]
    network: str = "192.168.2.0/24"
    interface: str = "internal0"
    domain: str = "hab.la"
    ranges: Mapping[str, Sequence[str]] = field(default_factory=dict)
    held: Mapping[str, str] = field(default_factory=dict)
    reserved: Sequence[str] = ()
    roles: Mapping[str, Role] = field(default_factory=lambda: DEFAULT_ROLES)
    logs: LogsSpec = LogsSpec()


class InternalSubnet(pulumi.ComponentResource):
    """Gives each member its internal address, name and /etc/hosts. AddressError comes before any resource.

    plan: who has which address; plain values, known at preview. addresses: the same as an output.
    """

    plan: AddressPlan
    addresses: pulumi.Output[dict[str, str]]

    def __init__(
        self, name: str, args: InternalSubnetArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        self.args = args
        self.plan = _plan(args)
        super().__init__("habla:index:InternalSubnet", name, None, opts)
        self._members = {member.host.name: member for member in args.members}
        self._joined: dict[str, pulumi.Resource] = {}
        for member in args.members:
            state = network_state(
                member.host.name,
                self.plan.network,
                args.interface,
                self.plan.hosts,
                member.packages,
                args.logs,
            )
            self._joined[member.host.name] = host_command(
                f"{name}-{member.host.name}",
                member.host.connection,
                agent_command("apply"),
                state.canonical(),
                agent_undo("delete", COMPONENT),
                pulumi.ResourceOptions(parent=self),
                [member.host.ready],
            )
        self.addresses = pulumi.Output.from_input({name: str(ip) for name, ip in self.plan.hosts.items()})
        self.register_outputs({"addresses": self.addresses})

    def joined(self, host: Host) -> pulumi.Resource:
        """What a component on ``host`` depends on: that the host has its internal address."""
        return self._joined[host.name]

    def role(self, host: Host) -> Role:
        """The role of a member."""
        return self.args.roles[self._members[host.name].role]

    def site(self, host: Host, endpoints: Endpoints = Endpoints()) -> Site:
        """Where a service on ``host`` stands."""
        outside = IPv4Address(host.outside_address) if host.outside_address else None
        return Site(
            host.name,
            self.plan.hosts[host.name],
            self.plan.network,
            self.args.domain,
            endpoints,
            outside,
            host.drained,
            self.args.interface,
            self.args.logs,
        )


def _plan(args: InternalSubnetArgs) -> AddressPlan:
    network = IPv4Network(args.network)
    ranges = role_ranges(network, args.roles, args.ranges)
    faults = []
    seen: set[str] = set()
    for member in args.members:
        if member.host.name in seen:
            rule = "a host is a member once"
            faults.append(Fault(f"members.{member.host.name}", "twice", "", rule, "remove one"))
        seen.add(member.host.name)
    raise_faults(AddressError, faults)
    requests = {
        member.host.name: HostRequest(member.role, IPv4Address(member.address) if member.address else None)
        for member in args.members
    }
    held = {name: IPv4Address(address) for name, address in args.held.items()}
    return plan_addresses(network, ranges, requests, held, tuple(IPv4Address(a) for a in args.reserved))
