"""A plan -> Pulumi resources: what ``pulumi up`` of a stack deploys."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pulumi
import pulumi.runtime.config
from pulumi_command import remote

from habla.archives import archive_reader
from habla.components import (
    CacheDbNode,
    CacheDbNodeArgs,
    ExistingHost,
    Host,
    HostArgs,
    HostWatch,
    HostWatchArgs,
    InternalSubnet,
    InternalSubnetArgs,
    Lab,
    LabArgs,
    LabHost,
    LoadBalancerPair,
    LoadBalancerPairArgs,
    Member,
    ServiceNode,
    ServiceNodeArgs,
    StableServiceNode,
    StableServiceNodeArgs,
    VolatileServiceNode,
    WebNode,
)
from habla.components.node import Node
from habla.errors import Fault, SettingsError, raise_faults
from habla.model.service import Endpoints
from habla.plan import (
    BALANCER,
    CACHE_DB,
    WATCH,
    FleetPlan,
    HostPlan,
    make_plan,
    missing_secrets,
    stack_ranges,
    stack_roles,
)
from habla.services.haproxy import Haproxy
from habla.services.keepalived import FRONT
from habla.settings.loading import load_settings
from habla.settings.models import Settings, SshSettings
from habla.settings.stackfile import PROJECT
from habla.stack import read_held, write_held

__all__ = ["deploy_fleet", "deploy_stack"]

_NODES: Mapping[str, type[ServiceNode]] = {"web": WebNode, "volatile": VolatileServiceNode}


def deploy_stack(root: Path) -> None:
    """Deploy the stack that Pulumi works on, from its config. Faults come before any host is touched."""
    environment = pulumi.get_stack()
    raw, secrets = _config()
    settings = load_settings(environment, raw)
    held = read_held(root, environment)
    plan = make_plan(settings, held, archive_reader(root))
    raise_faults(SettingsError, missing_secrets(plan))
    for note in plan.notes:
        pulumi.log.info(note)
    if not pulumi.runtime.is_dry_run():
        write_held(root, environment, plan.addresses.hosts)
    deploy_fleet(plan, {name: pulumi.Output.secret(value) for name, value in secrets.items()}, root)


def deploy_fleet(plan: FleetPlan, secrets: Mapping[str, pulumi.Input[str]], root: Path) -> dict[str, Host]:
    """Deploy a plan; its hosts by name.

    Databases come before what uses them. Hosts of one role follow one another, so that a change never takes
    all of a role's services down at once; everything else goes in parallel.
    """
    settings = plan.settings
    hosts = _hosts(plan, secrets, root)
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
        node = _node(settings, host, component, hosts[host.name], subnet, plan.endpoints, root, before)
        last[group] = node
        nodes[host.name].append(node)
        if component == CACHE_DB:
            databases.append(node)
    for name in plan.hosts:
        partitions = settings.partitions_of(name)
        HostWatch(
            f"{name}-{WATCH}", HostWatchArgs(hosts[name], subnet, nodes[name], partitions, settings.alerts)
        )
    _export(plan, hosts)
    return hosts


def _in_order(plan: FleetPlan) -> list[tuple[HostPlan, str]]:
    """Every component that serves somebody, of every host, databases first."""
    pairs = [
        (host, component) for host in plan.hosts.values() for component in host.services if component != WATCH
    ]
    return sorted(pairs, key=lambda pair: (pair[1] != CACHE_DB, pair[0].name, pair[1]))


def _node(
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
    if host.role.name == "stable":
        jabber = services.jabber if "jabber" in kinds else None
        return StableServiceNode(
            name,
            StableServiceNodeArgs(machine, subnet, apps, static, endpoints, root, jabber, peers=()),
            opts,
        )
    return _NODES.get(host.role.name, ServiceNode)(
        name, ServiceNodeArgs(machine, subnet, apps, static, endpoints, root), opts
    )


def _hosts(plan: FleetPlan, secrets: Mapping[str, pulumi.Input[str]], root: Path) -> dict[str, Host]:
    settings = plan.settings
    lab = None
    if settings.lab is not None:
        packages = {package for host in plan.hosts.values() for package in host.packages}
        lab = Lab("lab", LabArgs(root / settings.lab.directory, tuple(sorted(packages))))
    hosts = {}
    for name, host in plan.hosts.items():
        mine = settings.hosts[name]
        driver: ExistingHost | LabHost
        if mine.ssh is None and lab is not None:
            sizes = {mount: spec.size for mount, spec in settings.partitions_of(name).items()}
            driver = LabHost(lab, forwards=_forwards(plan, host), partitions=sizes)
        else:
            driver = _existing(mine.ssh or SshSettings(), settings.ssh, secrets)
        needed = {secret: secrets[secret] for secret in host.secrets}
        outside = str(host.site.outside) if host.site.outside else None
        hosts[name] = Host(name, HostArgs(driver, outside, needed, mine.unreachable, mine.drained))
    return hosts


def _existing(
    own: SshSettings, common: SshSettings, secrets: Mapping[str, pulumi.Input[str]]
) -> ExistingHost:
    key = own.private_key or common.private_key
    socket = os.environ.get("SSH_AUTH_SOCK")
    if key is None and not (socket and Path(socket).is_socket()):
        rule = "a host is reached with a private key, or by an SSH agent"
        fix = "set ssh.private_key to the name of a secret, or start an agent: eval $(ssh-agent) && ssh-add"
        raise SettingsError([Fault("ssh.private_key", "missing, and no SSH agent", socket or "", rule, fix)])
    bastion = own.bastion or common.bastion
    private_key = secrets[key] if key else None
    return ExistingHost(
        address=str(own.address),
        host_key=str(own.host_key),
        port=own.port or common.port or 22,
        user=own.user or common.user or "root",
        private_key=private_key,
        agent_socket=None if key else socket,
        proxy=remote.ProxyConnectionArgs(
            host=bastion.address,
            port=float(bastion.port),
            user=bastion.user,
            host_key=bastion.host_key,
            private_key=private_key,
            agent_socket_path=None if key else socket,
        )
        if bastion
        else None,
    )


def _forwards(plan: FleetPlan, host: HostPlan) -> dict[str, int | str]:
    """name -> port of what clients outside reach on this host, or by the address that it shares.

    What is shared is the same from every host; the first one has the forwards, whoever has the address.
    """
    fronts = [end.host for end in plan.endpoints.named(FRONT)]
    forwards: dict[str, int | str] = {}
    for services in host.services.values():
        for service in services:
            if not isinstance(service, Haproxy):
                continue
            ports = service.public_ports(host.site)
            if service.spec.vrrp is None:
                forwards |= ports
            elif host.name == fronts[0]:
                address = service.public_address(host.site)
                forwards |= {name: f"{address}:{port}" for name, port in ports.items()}
    return forwards


def _config() -> tuple[dict[str, Any], dict[str, str]]:
    """The stack's sections as plain values, and the secrets apart from them.

    Pulumi hands a config of objects over as JSON text.
    """
    raw: dict[str, Any] = {}
    values = {**pulumi.runtime.config.get_config_env(), **pulumi.runtime.config.CONFIG.get()}
    for key, text in values.items():
        if key.startswith(f"{PROJECT}:"):
            section = key.removeprefix(f"{PROJECT}:")
            try:
                raw[section] = json.loads(text)
            except ValueError:
                raw[section] = text
    secrets = raw.get("secrets") or {}
    if not isinstance(secrets, dict):
        return raw, {}
    raw["secrets"] = dict.fromkeys(secrets)
    return raw, {str(name): str(value) for name, value in secrets.items()}


def _export(plan: FleetPlan, hosts: Mapping[str, Host]) -> None:
    pulumi.export("addresses", {name: str(address) for name, address in plan.addresses.hosts.items()})
    pulumi.export(
        "services",
        {
            name: sorted(service.name for services in host.services.values() for service in services)
            for name, host in plan.hosts.items()
        },
    )
    pulumi.export("ssh", {name: {"address": host.address, "port": host.port} for name, host in hosts.items()})
    pulumi.export("forwards", {name: host.forwards for name, host in hosts.items() if host.outside_address})
