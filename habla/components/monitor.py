"""The machine that shows all others: Cacti."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass, replace

import pulumi

from habla.components.component_schema import in_schema
from habla.components.node import PlannedNode, after, offered_by, planned_node
from habla.components.nodes import ServiceNode, ServiceNodeArgs, own_services
from habla.hosts.watch_settings import watched
from habla.model.names import MONITOR
from habla.model.service import HostFacts
from habla.model.site import Device
from habla.model.snmp import SnmpSpec
from habla.services.cacti import Cacti, CactiSpec

__all__ = ["MonitoringNode", "MonitoringNodeArgs"]


@in_schema
@dataclass(frozen=True)
class MonitoringNodeArgs(ServiceNodeArgs):
    """Cacti, and programs of your own. If a node in ``uses`` is HAProxy, Cacti shows its sessions."""

    _: KW_ONLY
    cacti: CactiSpec | None = CactiSpec()
    """Cacti's settings. The host needs the secrets that they name."""
    snmp: SnmpSpec = SnmpSpec()
    """How hosts are asked; every HostWatch must have the same."""
    devices: Sequence[Device] | None = None
    """The hosts to show; by default all members of the subnet with all partitions that they have."""


class MonitoringNode(ServiceNode):
    """Cacti. Every host is a device, and every partition is a graph in one tree.

    ``endpoints`` has the snmpd of every host: name this node in ``uses`` of each HostWatch.
    """

    TOKEN = "habla:index:MonitoringNode"
    COMPONENT = MONITOR

    def __init__(
        self,
        name: str,
        args: MonitoringNodeArgs | PlannedNode,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        if isinstance(args, MonitoringNodeArgs):
            opts = after(opts, args.uses)
        planned = args if isinstance(args, PlannedNode) else _planned(args)
        super().__init__(name, planned, opts)
        hosts = planned.subnet.plan.hosts.items()
        self.endpoints += watched(
            self.endpoints,
            {host: address for host, address in hosts if host not in planned.subnet.unreachable},
        )


def _planned(args: MonitoringNodeArgs) -> PlannedNode:
    services = own_services(args)
    if args.cacti:
        services.append(Cacti(args.cacti))
    return planned_node(
        MONITOR,
        args.on,
        subnet=args.subnet,
        services=services,
        known=offered_by(args.uses),
        fleet=replace(args.subnet.fleet, snmp=args.snmp, devices=_devices(args)),
        root=args.root,
    )


def _devices(args: MonitoringNodeArgs) -> tuple[Device, ...]:
    if args.devices is not None:
        return tuple(args.devices)
    facts = {
        host: sum((node.facts.get(host, HostFacts()) for node in args.uses), HostFacts())
        for host in args.subnet.plan.hosts
    }
    return tuple(
        Device(host, str(address), instances=tuple(name for name, _ in facts[host].stats_pages))
        for host, address in args.subnet.plan.hosts.items()
    )
