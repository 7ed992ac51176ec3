"""The machine that shows all others: Cacti."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi

from habla.components.node import Node
from habla.components.nodes import ServiceNode, ServiceNodeArgs
from habla.hosts.watch_settings import watched
from habla.model.snmp import SnmpSpec
from habla.plan import MONITOR
from habla.plan.component import Standing
from habla.services.cacti import Cacti, Device
from habla.services.cacti.cacti import CactiSpec

__all__ = ["MonitoringNode", "MonitoringNodeArgs"]


@dataclass(frozen=True)
class MonitoringNodeArgs(ServiceNodeArgs):
    """nodes: what stands on the hosts: where that is HAProxy, its sessions are shown.

    devices: what to show; by default all members of the subnet with all partitions that they have.
    """

    cacti: CactiSpec | None = CactiSpec()
    snmp: SnmpSpec = SnmpSpec()
    nodes: Sequence[Node] = ()
    devices: Sequence[Device] | None = None


class MonitoringNode(ServiceNode):
    """Cacti, with every host a device and every partition a graph in one tree.

    ``endpoints`` has the snmpd of every host: hand it to each HostWatch, which puts it there.
    """

    TOKEN = "habla:index:MonitoringNode"
    COMPONENT = MONITOR

    def __init__(
        self, name: str, args: MonitoringNodeArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        more = [Cacti(args.cacti, args.snmp, _devices(args))] if args.cacti else []
        super().__init__(name, args, opts, more)
        given_up = {
            member.host.name for member in args.subnet.args.members if member.host.connection.unreachable
        }
        hosts = args.subnet.plan.hosts.items()
        self.endpoints += watched(
            self.endpoints, {host: address for host, address in hosts if host not in given_up}
        )


def _devices(args: MonitoringNodeArgs) -> tuple[Device, ...]:
    if args.devices is not None:
        return tuple(args.devices)
    stands = {
        host: sum((node.standing.get(host, Standing()) for node in args.nodes), Standing())
        for host in args.subnet.plan.hosts
    }
    return tuple(
        Device(host, str(address), haproxy=tuple(name for name, _ in stands[host].haproxy))
        for host, address in args.subnet.plan.hosts.items()
    )
