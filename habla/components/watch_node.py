"""The component that watches a host: bounds on its logs, and a notice before a partition fills."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field, replace

import pulumi

from habla.components.component_schema import in_schema
from habla.components.host import Host
from habla.components.node import Node, PlannedNode, after, hosts_of, offered_by
from habla.components.subnet import InternalSubnet
from habla.errors import Fault, SettingsError, collected, raise_faults
from habla.hosts.watch_settings import proved_budgets
from habla.model.disk import AlertsSpec, PartitionSpec
from habla.model.names import WATCH
from habla.model.service import HostFacts
from habla.model.snmp import SnmpSpec
from habla.plan.host_plan import plan_watch
from habla.plan.node_plan import NodePlan, offered
from habla.plan.registry import clashes

__all__ = ["HostWatch", "HostWatchArgs"]


@in_schema
@dataclass(frozen=True)
class HostWatchArgs:
    """The watcher of one host or of several."""

    on: Host | Sequence[Host]
    """The host, or several hosts."""
    subnet: InternalSubnet
    """The internal network of the host."""
    _: KW_ONLY
    uses: Sequence[Node] = ()
    """The nodes on the host, which are deployed first and whose logs it knows; and the MonitoringNode."""
    partitions: Mapping[str, PartitionSpec] = field(default_factory=dict)
    """Mount point -> partition; they must be there, and must be large enough for the logs on them."""
    alerts: AlertsSpec = AlertsSpec()
    """The receivers of notices, and when they get one."""
    snmp: SnmpSpec = SnmpSpec()
    """How the monitor asks, as the MonitoringNode has it."""


class HostWatch(Node):
    """The watcher of a host: bounds on the host's own logs, snmpd, and an alert before a partition fills.

    Every host needs one. Raises SettingsError, before any resource, if the logs can fill a partition.
    """

    COMPONENT = WATCH

    def __init__(
        self, name: str, args: HostWatchArgs | PlannedNode, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        if isinstance(args, HostWatchArgs):
            # By then their logs have rules. The monitor may be on another host, and need not be there first.
            names = {host.name for host in hosts_of(args.on)}
            opts = after(opts, [node for node in args.uses if names & set(node.facts)])
        planned = args if isinstance(args, PlannedNode) else _planned(args)
        super().__init__("habla:index:HostWatch", name, planned=planned, opts=opts)


def _planned(args: HostWatchArgs) -> PlannedNode:
    fleet = replace(args.subnet.fleet, endpoints=offered_by(args.uses), alerts=args.alerts, snmp=args.snmp)
    faults: list[Fault] = []
    sites, parts = {}, {}
    for machine in hosts_of(args.on):
        args.subnet.role(machine)
        host = machine.name
        sites[host] = replace(args.subnet.sites[host], fleet=fleet, partitions=args.partitions)
        facts = sum((node.facts.get(host, HostFacts()) for node in args.uses), HostFacts())
        parts[host] = plan_watch(sites[host], facts, faults=faults)
        with collected(faults):
            proved_budgets(sites[host], facts + parts[host].facts)
    raise_faults(SettingsError, [*faults, *clashes(part.claims for part in parts.values())])
    endpoints = offered(sites, {host: part.services for host, part in parts.items()})
    return PlannedNode(args.on, args.subnet, plan=NodePlan(WATCH, parts, endpoints))
