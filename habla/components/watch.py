"""What watches a host: bounds on its logs, and who is told before a partition fills."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pulumi

from habla.components.host import Host
from habla.components.node import Node
from habla.components.subnet import InternalSubnet
from habla.hosts.watch_settings import Watching, proved_budgets, watchers
from habla.model.disk import AlertsSpec, PartitionSpec
from habla.model.service import Endpoints
from habla.model.snmp import SnmpSpec
from habla.plan import WATCH
from habla.plan.component import Standing, composed

__all__ = ["HostWatch", "HostWatchArgs"]


@dataclass(frozen=True)
class HostWatchArgs:
    """nodes: what stands on the host; their logs are known, and they are there before it.

    partitions: mount point -> partition; what is given here is proved to hold the logs, and must be there.
    alerts: who is told. endpoints: those of the MonitoringNode, if there is one. snmp: as it has it.
    """

    host: Host
    subnet: InternalSubnet
    nodes: Sequence[Node] = ()
    partitions: Mapping[str, PartitionSpec] = field(default_factory=dict)
    alerts: AlertsSpec = AlertsSpec()
    endpoints: Endpoints = Endpoints()
    snmp: SnmpSpec = SnmpSpec()


class HostWatch(Node):
    """Bounds on the host's own logs, snmpd for the monitor, and who is told before a partition fills.

    One for every host. SettingsError, before any resource, where the logs can fill a partition.
    """

    def __init__(self, name: str, args: HostWatchArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        host, subnet = args.host, args.subnet
        site = subnet.site(host, args.endpoints)
        stands = sum((node.standing.get(host.name, Standing()) for node in args.nodes), Standing())
        how = Watching(pulumi.get_stack(), args.alerts, args.snmp, args.partitions)
        services = watchers(site, stands, how)
        proved_budgets(site, stands + composed(WATCH, site, services)[1], how)
        super().__init__(
            "habla:index:HostWatch",
            name,
            WATCH,
            host,
            subnet,
            services,
            args.endpoints,
            {},
            pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(depends_on=list(args.nodes))),
        )
