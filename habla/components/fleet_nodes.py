"""One component of one host of a plan."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pulumi

from habla.components import (
    CacheDbNode,
    CacheDbNodeArgs,
    Host,
    InternalSubnet,
    LoadBalancerPair,
    LoadBalancerPairArgs,
    MonitoringNode,
    MonitoringNodeArgs,
    ServiceNode,
    ServiceNodeArgs,
    StableServiceNode,
    StableServiceNodeArgs,
    VolatileServiceNode,
    WebNode,
)
from habla.components.node import Node
from habla.model.service import Endpoints
from habla.plan import BALANCER, CACHE_DB, MONITOR, HostPlan
from habla.services.cacti import Cacti
from habla.settings.models import Settings

__all__ = ["make_node"]

_NODES: Mapping[str, type[ServiceNode]] = {"web": WebNode, "volatile": VolatileServiceNode}


def make_node(
    settings: Settings,
    host: HostPlan,
    component: str,
    machine: Host,
    subnet: InternalSubnet,
    endpoints: Endpoints,
    root: Path,
    before: list[pulumi.Resource],
) -> Node:
    """One component of one host."""
    opts = pulumi.ResourceOptions(depends_on=before)
    kinds = {service.kind for service in host.services[component]}
    names = {service.name for service in host.services[component]}
    services = settings.services
    name = f"{host.name}-{component}"
    if component == CACHE_DB:
        return CacheDbNode(
            name,
            CacheDbNodeArgs(
                machine,
                subnet,
                services.memcached if "memcached" in kinds else None,
                services.memqd if "memqd" in kinds else None,
                services.mysql if "mysql" in kinds else None,
            ),
            opts,
        )
    if component == BALANCER:
        return LoadBalancerPair(
            name,
            LoadBalancerPairArgs(
                machine,
                subnet,
                haproxy=settings.load_balancer,
                proxy_protocol=services.jabber.proxy_protocol,
                endpoints=endpoints,
                root=root,
            ),
            opts,
        )
    apps = {app: spec for app, spec in settings.apps.items() if app in names}
    static = services.static if "static" in kinds else None
    if component == MONITOR:
        cacti = next((item for item in host.services[MONITOR] if isinstance(item, Cacti)), None)
        return MonitoringNode(
            name,
            MonitoringNodeArgs(
                machine,
                subnet,
                apps,
                static,
                endpoints,
                root,
                cacti=services.cacti if cacti else None,
                snmp=services.snmp,
                devices=cacti.devices if cacti else (),
            ),
            opts,
        )
    if host.role.name == "stable" or "jabber" in kinds:
        jabber = services.jabber if "jabber" in kinds else None
        return StableServiceNode(
            name,
            StableServiceNodeArgs(machine, subnet, apps, static, endpoints, root, jabber, peers=()),
            opts,
        )
    return _NODES.get(host.role.name, ServiceNode)(
        name, ServiceNodeArgs(machine, subnet, apps, static, endpoints, root), opts
    )
