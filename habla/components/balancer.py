"""The pair of HAProxy instances, www and jabber."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path

import pulumi

from habla.components.host import Host
from habla.components.node import Node
from habla.components.subnet import InternalSubnet
from habla.errors import Fault, SettingsError, raise_faults
from habla.model.service import Endpoints
from habla.plan import BALANCER
from habla.plan.archive_files import read_archive
from habla.services.haproxy import Haproxy, built
from habla.services.haproxy.haproxy_spec import HaproxySpec
from habla.services.keepalived import vrrp_faults

__all__ = ["LoadBalancerPair", "LoadBalancerPairArgs"]


@dataclass(frozen=True)
class LoadBalancerPairArgs:
    """host: a front host with an outside address, or several, which then share one (``haproxy.vrrp``).

    backends: the nodes whose services it fronts. proxy_protocol: as in the settings of Jabber. endpoints:
    what else it is to know of the fleet; also other front hosts, where each is a component of its own.
    root: what paths of ``haproxy.releases`` are relative to.
    """

    host: Host | Sequence[Host]
    subnet: InternalSubnet
    backends: Sequence[Node] = ()
    haproxy: HaproxySpec = HaproxySpec()
    proxy_protocol: bool = True
    endpoints: Endpoints = Endpoints()
    root: Path = Path()


class LoadBalancerPair(Node):
    """Two HAProxy services with a config each: nothing done to one touches a connection of the other.

    On several hosts each has the pair, they are changed one after the other, and where they share an address,
    one of them has it at a time.
    """

    def __init__(
        self, name: str, args: LoadBalancerPairArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        known = args.endpoints
        for node in args.backends:
            known += node.endpoints
        raise_faults(SettingsError, _vrrp_faults(args))
        releases = {version: read_archive(args.root, spec) for version, spec in built(args.haproxy).items()}
        archives = {version: archive for version, (archive, _) in releases.items()}
        haproxy = Haproxy(args.haproxy, args.proxy_protocol, archives)
        super().__init__(
            "habla:index:LoadBalancerPair",
            name,
            BALANCER,
            args.host,
            args.subnet,
            [haproxy],
            known,
            {archive.sha256: content for archive, content in releases.values() if content is not None},
            opts,
            haproxy.releases,
        )


def _vrrp_faults(args: LoadBalancerPairArgs) -> Iterable[Fault]:
    if args.haproxy.vrrp is None:
        return ()
    hosts = [args.host] if isinstance(args.host, Host) else args.host
    members = {member.host.name: member.host for member in args.subnet.args.members}
    outside = {
        name: IPv4Address(host.outside_address) if host.outside_address else None
        for name, host in members.items()
    }
    network, interface = args.subnet.plan.network, args.subnet.args.interface
    return vrrp_faults(args.haproxy.vrrp, network, interface, {host.name for host in hosts}, outside)
