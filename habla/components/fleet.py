"""All resources of a plan, and what waits for what."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pulumi

from habla.components import (
    Host,
    HostWatch,
    HostWatchArgs,
    InternalSubnet,
    InternalSubnetArgs,
    Member,
)
from habla.components.fleet_nodes import make_node
from habla.components.machines import make_hosts
from habla.components.node import Node
from habla.plan import BALANCER, CACHE_DB, WATCH, FleetPlan, HostPlan, stack_ranges, stack_roles

__all__ = ["deploy_fleet"]


def deploy_fleet(plan: FleetPlan, secrets: Mapping[str, pulumi.Input[str]], root: Path) -> dict[str, Host]:
    """Deploy a plan; its hosts by name.

    Databases come before what uses them. Hosts of one role follow one another, so that a change never takes
    all of a role's services down at once; everything else goes in parallel.
    """
    settings = plan.settings
    hosts = make_hosts(plan, secrets, root)
    subnet = InternalSubnet(
        "internal",
        InternalSubnetArgs(
            members=[
                Member(
                    hosts[name],
                    host.role.name,
                    str(plan.addresses.hosts[name]),
                    host.packages,
                )
                for name, host in plan.hosts.items()
            ],
            network=str(settings.network.cidr),
            interface=settings.network.interface,
            domain=settings.domain,
            ranges={role: list(map(str, items)) for role, items in stack_ranges(settings).items()},
            reserved=[str(address) for address in settings.network.reserved],
            roles=stack_roles(settings),
            logs=settings.logs,
        ),
    )
    databases: list[pulumi.Resource] = []
    last: dict[tuple[str, str], pulumi.Resource] = {}
    nodes: dict[str, list[Node]] = {name: [] for name in plan.hosts}
    for host, component in _in_order(plan):
        # Front hosts stand in for each other, whatever role they have.
        group = ("" if component == BALANCER else host.role.name, component)
        before = [last[group]] if group in last else []
        if component not in (CACHE_DB, BALANCER):
            before += databases
        node = make_node(settings, host, component, hosts[host.name], subnet, plan.endpoints, root, before)
        last[group] = node
        nodes[host.name].append(node)
        if component == CACHE_DB:
            databases.append(node)
    for name in plan.hosts:
        HostWatch(
            f"{name}-{WATCH}",
            HostWatchArgs(
                hosts[name],
                subnet,
                nodes[name],
                settings.partitions_of(name),
                settings.alerts,
                plan.endpoints,
                settings.services.snmp,
            ),
        )
    _export(plan, hosts)
    return hosts


def _in_order(plan: FleetPlan) -> list[tuple[HostPlan, str]]:
    """Every component that serves somebody, of every host, databases first."""
    pairs = [
        (host, component) for host in plan.hosts.values() for component in host.services if component != WATCH
    ]
    return sorted(pairs, key=lambda pair: (pair[1] != CACHE_DB, pair[0].name, pair[1]))


def _export(plan: FleetPlan, hosts: Mapping[str, Host]) -> None:
    pulumi.export("addresses", {name: str(address) for name, address in plan.addresses.hosts.items()})
    pulumi.export(
        "services",
        {name: list(host.serves) for name, host in plan.hosts.items()},
    )
    pulumi.export("ssh", {name: {"address": host.address, "port": host.port} for name, host in hosts.items()})
    forwards = pulumi.Output.all(**{name: host.forwards for name, host in hosts.items()})
    pulumi.export(
        "forwards", forwards.apply(lambda found: {name: ports for name, ports in found.items() if ports})
    )
