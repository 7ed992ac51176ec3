"""The component that watches a host: bounds on its logs, and a notice before a partition fills."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field, replace

import pulumi

from habla.components.host import Host
from habla.components.node import Node, PlannedNode
from habla.components.subnet import InternalSubnet
from habla.errors import Fault, PlacementError, raise_faults
from habla.hosts.watch_settings import proved_budgets
from habla.model.disk import AlertsSpec, PartitionSpec
from habla.model.names import WATCH
from habla.model.service import HostFacts
from habla.model.site import Endpoints
from habla.model.snmp import SnmpSpec
from habla.plan.host_plan import plan_watch
from habla.plan.node_plan import NodePlan, offered
from habla.plan.registry import clashes

__all__ = ["HostWatch", "HostWatchArgs"]


@dataclass(frozen=True)
class HostWatchArgs:
    """nodes: the nodes on the host; their logs are known, and they are there before it.

    partitions: mount point -> partition; they must be there, and must be large enough for the logs on them.
    alerts: who gets a notice. endpoints: those of the MonitoringNode, if there is one. snmp: as it has it.
    """

    host: Host
    subnet: InternalSubnet
    _: KW_ONLY
    nodes: Sequence[Node] = ()
    partitions: Mapping[str, PartitionSpec] = field(default_factory=dict)
    alerts: AlertsSpec = AlertsSpec()
    endpoints: Endpoints = Endpoints()
    snmp: SnmpSpec = SnmpSpec()


class HostWatch(Node):
    """Bounds on the host's own logs, snmpd for the monitor, and a notice before a partition fills.

    One for every host. SettingsError, before any resource, where the logs can fill a partition.
    """

    COMPONENT = WATCH

    def __init__(
        self, name: str, args: HostWatchArgs | PlannedNode, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        if isinstance(args, HostWatchArgs):
            # After the nodes, so that by then their logs have rules.
            after = pulumi.ResourceOptions(depends_on=list(args.nodes))
            opts = pulumi.ResourceOptions.merge(opts, after)
        planned = args if isinstance(args, PlannedNode) else _planned(args)
        super().__init__("habla:index:HostWatch", name, planned=planned, opts=opts)


def _planned(args: HostWatchArgs) -> PlannedNode:
    host = args.host.name
    args.subnet.role(args.host)
    fleet = replace(args.subnet.fleet, endpoints=args.endpoints, alerts=args.alerts, snmp=args.snmp)
    site = replace(args.subnet.sites[host], fleet=fleet, partitions=args.partitions)
    facts = sum((node.facts.get(host, HostFacts()) for node in args.nodes), HostFacts())
    faults: list[Fault] = []
    part = plan_watch(site, facts, faults=faults)
    raise_faults(PlacementError, [*faults, *clashes([part.claims])])
    proved_budgets(site, facts + part.facts)
    plan = NodePlan(WATCH, {host: part}, offered({host: site}, {host: part.services}))
    return PlannedNode(args.host, args.subnet, plan=plan)
