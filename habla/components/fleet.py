"""All resources of a plan, and the order in which they are made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pulumi

from habla.components.fleet_nodes import make_node
from habla.components.host import Host
from habla.components.machines import make_hosts
from habla.components.subnet import InternalSubnet, SubnetPlan
from habla.model.names import BALANCER, CACHE_DB, SUBNET, WATCH
from habla.plan import FleetPlan, HostPlan
from habla.plan.archive_files import ArchiveFiles

__all__ = ["deploy_fleet", "fleet_outputs"]


def deploy_fleet(
    plan: FleetPlan,
    secrets: Mapping[str, pulumi.Input[str]],
    *,
    root: Path,
    opts: pulumi.ResourceOptions | None = None,
) -> dict[str, Host]:
    """Deploy a plan; its hosts by name. root: paths of archives and of the lab are relative to it.

    opts: of every host and component, such as their parent.

    Databases come before the services that use them, and HAProxy after the services that it names. Hosts of
    one role follow one another, so that a change never takes all of a role's services down at once. The rest
    goes in parallel. The order comes from what hosts run, never from their names.
    """
    hosts = make_hosts(plan, secrets, root=root, opts=opts)
    subnet = InternalSubnet(
        SUBNET,
        SubnetPlan(
            hosts={name: hosts[name] for name in plan.hosts},
            addresses=plan.addresses,
            states={name: host.network for name, host in plan.hosts.items()},
            sites={name: host.site for name, host in plan.hosts.items()},
            roles={name: host.role for name, host in plan.hosts.items()},
        ),
        opts,
    )
    files = ArchiveFiles(root)
    databases: list[pulumi.Resource] = []
    balanced: list[pulumi.Resource] = []
    last: dict[tuple[str, str], pulumi.Resource] = {}
    nodes: dict[str, list[pulumi.Resource]] = {name: [] for name in plan.hosts}
    for host, component in _in_order(plan):
        # Front hosts replace one another, also those of different roles.
        group = ("" if component == BALANCER else host.role.name, component)
        before = [last[group]] if group in last else []
        if component == BALANCER:
            before += balanced
        elif component != CACHE_DB:
            before += databases
        options = _waiting(opts, before)
        node = make_node(component, host, machine=hosts[host.name], subnet=subnet, files=files, opts=options)
        last[group] = node
        nodes[host.name].append(node)
        if component == CACHE_DB:
            databases.append(node)
        if any(offer.balancer for service in host.parts[component].services for offer in service.offers()):
            balanced.append(node)
    for name, host in plan.hosts.items():
        options = _waiting(opts, nodes[name])
        make_node(WATCH, host, machine=hosts[name], subnet=subnet, files=files, opts=options)
    return hosts


def fleet_outputs(plan: FleetPlan, hosts: Mapping[str, Host]) -> dict[str, pulumi.Output[Any]]:
    """The outputs of a fleet: addresses, services, ssh and forwards, each by host."""
    forwards = pulumi.Output.all(**{name: host.forwards for name, host in hosts.items()})
    found = {
        "addresses": {name: str(address) for name, address in plan.addresses.hosts.items()},
        "services": {name: [service.name for service in host.services] for name, host in plan.hosts.items()},
        "ssh": {name: {"address": host.address, "port": host.port} for name, host in hosts.items()},
        "forwards": forwards.apply(lambda all_of: {name: ports for name, ports in all_of.items() if ports}),
    }
    return {name: pulumi.Output.from_input(value) for name, value in found.items()}


def _waiting(
    opts: pulumi.ResourceOptions | None, before: Sequence[pulumi.Resource]
) -> pulumi.ResourceOptions:
    return pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(depends_on=list(before)))


def _in_order(plan: FleetPlan) -> list[tuple[HostPlan, str]]:
    """The components of all hosts that serve users: databases first, balancers last."""
    pairs = [
        (host, component) for host in plan.hosts.values() for component in host.parts if component != WATCH
    ]
    return sorted(pairs, key=lambda pair: (pair[1] != CACHE_DB, pair[1] == BALANCER, pair[0].name, pair[1]))
