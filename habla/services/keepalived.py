"""keepalived: gives the address that front hosts share to one of them at a time (VRRP, RFC 5798).

habla derives it: every host that runs HAProxy gets it if the settings have a shared address. The plan knows
the other hosts.

It moves when its host stops or dies, loses the outside or the internal network, or is drained. It does *not*
move when an instance of HAProxy is stopped: it is one address for www and Jabber, and moving it ends every
Jabber connection, which nothing done to www may do.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import ClassVar

from habla.errors import Fault
from habla.model.drain_flags import BY_HAND, BY_SETTING, drain_flag
from habla.model.names import BALANCER
from habla.model.service import Service, ServiceState
from habla.model.site import Site
from habla.onhost.document import Check, Directory, File, Health, Unit
from habla.services.haproxy.haproxy_spec import VrrpSpec

__all__ = ["FRONT", "Keepalived", "vrrp_faults"]

# The offer of each HAProxy host with a shared address. It has no port and only shows that the host is there.
FRONT = "haproxy"
_CONFIG = "/etc/keepalived/keepalived.conf"
_UNIT = "keepalived.service"
_PRIORITY, _DRAINED_PRIORITY = 200, 100
# As a config test, 2.2.7 ends by a signal of its own when all is well and the config runs scripts.
_TEST = 'keepalived -t -f "$1"; status=$?; [ $status = 0 ] || [ $status = 143 ] || exit $status'


@dataclass(frozen=True)
class Keepalived(Service):
    """The shared address with its settings."""

    kind: ClassVar = "keepalived"
    section: ClassVar = "load_balancer.vrrp"
    component: ClassVar = BALANCER

    spec: VrrpSpec
    name: str = "keepalived"

    def state(self, site: Site) -> ServiceState:
        """One daemon, in which a changed config does not move the address."""
        return ServiceState(
            packages=("keepalived",),
            # Where `habla drain` puts its flag; nobody must be able to look for it.
            directories={"/etc/habla": Directory()},
            files={_CONFIG: File(_config(self.spec, site)), **drain_flag(site)},
            units={_UNIT: Unit(reload_on=(_CONFIG,))},
            checks={"keepalived": Check(("sh", "-c", _TEST, "sh", f"{{{_CONFIG}}}"), (_CONFIG,))},
            # The holder of the address is a matter of the fleet: a host that is well may not have it.
            health={"keepalived": Health(_UNIT, command=("systemctl", "is-active", "--quiet", _UNIT))},
        )


def _config(spec: VrrpSpec, site: Site) -> str:
    """The settings of keepalived: all hosts are equal, and none has ``nopreempt``.

    Among equal hosts the one with the address keeps it, so the address does not move back to a host that
    returns. A drained host has a lower priority: the next host takes the address over *before* the
    drained one lets it go. When all hosts are drained, all are equal again, and the address stays. With
    ``nopreempt`` no host could take the address from one of lower priority: a drained host would have to let
    it go first.
    """
    peers = [end.address for end in site.fleet.endpoints.named(FRONT) if end.host != site.host]
    test = " -a ".join(f"! -e {flag}" for flag in (BY_SETTING, BY_HAND))
    lines = [
        "global_defs {",
        f"    router_id {site.host}",
        # Version 3 has no passwords. Those of version 2 travel in the clear. The addresses below decide which
        # hosts take part, and only hosts of the internal network can use them.
        "    vrrp_version 3",
        "    vrrp_check_unicast_src",
        # A switch that missed the announcement of a move learns from a later one.
        "    vrrp_garp_master_refresh 60",
        "    vrrp_garp_master_refresh_repeat 1",
        "    enable_script_security",
        "    script_user nobody nogroup",
        "}",
        "",
        "vrrp_script in-rotation {",
        f'    script "/usr/bin/test {test}"',
        "    interval 1",
        "    timeout 1",
        "    fall 1",
        "    rise 1",
        f"    weight {_DRAINED_PRIORITY - _PRIORITY}",
        "}",
        "",
        "vrrp_instance front {",
        "    state BACKUP",
        # The hosts talk to each other on the internal network. A host without that reaches no server.
        f"    interface {site.fleet.interface}",
        f"    virtual_router_id {spec.router}",
        f"    priority {_PRIORITY}",
        "    advert_int 1",
        *_unicast(site.address, peers),
        "    track_interface {",
        f"        {spec.interface}",
        "    }",
        "    track_script {",
        "        in-rotation",
        "    }",
        "    virtual_ipaddress {",
        f"        {spec.address} dev {spec.interface}",
        "    }",
        "}",
    ]
    return "\n".join(lines) + "\n"


def _unicast(address: IPv4Address, peers: Collection[IPv4Address]) -> Iterator[str]:
    """The addresses of the other hosts. Without others there is no list: keepalived refuses an empty one."""
    if peers:
        yield f"    unicast_src_ip {address}"
        yield "    unicast_peer {"
        yield from (f"        {peer}" for peer in peers)
        yield "    }"


def vrrp_faults(spec: VrrpSpec, sites: Mapping[str, Site]) -> Iterator[Fault]:
    """Faults of a shared address. sites: all hosts of the fleet."""
    fleet = next(iter(sites.values())).fleet
    network, fronts = fleet.network, {end.host for end in fleet.endpoints.named(FRONT)}
    path, shared = "load_balancer.vrrp", spec.address.ip
    around = spec.address.network
    if shared in network:
        rule = f"the shared address is public; {network} is internal"
        yield Fault(
            f"{path}.address", "an internal address", value=str(shared), rule=rule, fix="set a public address"
        )
    if around.prefixlen < 31 and shared in (around.network_address, around.broadcast_address):
        rule = f"the address must be one of a host in {around}"
        yield Fault(
            f"{path}.address",
            "names a network",
            value=str(spec.address),
            rule=rule,
            fix="correct the address",
        )
    if fleet.interface == spec.interface:
        rule = "the shared address needs the interface to the outside, not the internal one"
        fix = "name the hosts' other interface"
        yield Fault(f"{path}.interface", "the internal interface", value=spec.interface, rule=rule, fix=fix)
    for host, address in sorted((name, site.outside) for name, site in sites.items()):
        where = f"hosts.{host}.outside_address"
        if address == shared:
            rule = "the shared address belongs to no host, and each host also has an address of its own"
            yield Fault(
                where,
                "is the shared address",
                value=str(address),
                rule=rule,
                fix="set another address for the host",
            )
        if host not in fronts:
            continue
        if address is None:
            # Its route to the outside hangs on an address that stays when the shared one goes.
            rule = "each host of HAProxy needs a public address of its own besides the shared one"
            yield Fault(where, "missing", rule=rule, fix="set the public address of the host")
        elif around.prefixlen < 32 and address not in around:
            rule = f"hosts that share {spec.address} need addresses in {around}; /32 is for a routed address"
            fix = "correct the host's address or the prefix length of the shared one"
            yield Fault(
                where, "not in the network of the shared address", value=str(address), rule=rule, fix=fix
            )
