"""The internal network of a host: its address, its name, the names of all others, and no way in for others.

A Linux host answers for each of its addresses on every interface. So a machine on the outside network that
sends packets for 192.168.2.10 would reach the services on that address. Routing rules prevent that: the host
accepts packets for the internal network only from itself and from the internal interface.
"""

from __future__ import annotations

from ipaddress import IPv4Network

from habla.hosts.rotation import TIMER, timer_text
from habla.model.names import NETWORK
from habla.model.site import Site
from habla.onhost.document import Action, Check, File, Health, HostState, Unit

__all__ = ["READY_UNIT", "network_state"]

# Up once the internal address is there and closed to others. Services on that address start after it.
READY_UNIT = "habla-internal.service"

_RULES = "/usr/local/lib/habla/internal-rules"
_UNIT = f"/etc/systemd/system/{READY_UNIT}"
_KEEP_RULES = "/etc/systemd/networkd.conf.d/habla.conf"


def network_state(site: Site, packages: tuple[str, ...] = ()) -> HostState:
    """The state that makes a host a member of the internal network.

    packages: installed now, so that the components that follow one host at a time do not wait for downloads.
    """
    host, address, interface = site.host, site.address, site.fleet.interface
    network = site.fleet.network
    link = f"/etc/systemd/network/10-{interface}.network"
    online = f"systemd-networkd-wait-online@{interface}.service"
    return HostState(
        host=host,
        component=NETWORK,
        packages=tuple(sorted({"iproute2", "logrotate", *packages})),
        files={
            link: File(
                f"[Match]\nName={interface}\n\n[Network]\n"
                f"Address={address}/{network.prefixlen}\n"
                "LinkLocalAddressing=no\nIPv6AcceptRA=no\nLLMNR=no\nMulticastDNS=no\n"
            ),
            # Else networkd removes the rules below when it starts.
            _KEEP_RULES: File("[Network]\nManageForeignRoutingPolicyRules=no\n"),
            _RULES: File(_rules(network, interface), mode="0755"),
            _UNIT: File(
                "[Unit]\nDescription=habla: the internal network, for this fleet alone\n"
                f"After=systemd-networkd.service {online}\nRequires={online}\n\n"
                "[Service]\nType=oneshot\nRemainAfterExit=yes\n"
                f"ExecStart={_RULES} up\nExecStop={_RULES} down\n\n"
                "[Install]\nWantedBy=multi-user.target\n"
            ),
            "/etc/hostname": File(f"{host}\n"),
            "/etc/hosts": File(site.fleet.etc_hosts),
            TIMER: File(timer_text(site.fleet.logs)),
        },
        units={
            "systemd-networkd.service": Unit(reload_on=(link,)),
            online: Unit(restart_on=(link,)),
            READY_UNIT: Unit(restart_on=(link, _RULES)),
            "logrotate.timer": Unit(restart_on=(TIMER,)),
        },
        checks={"interface": Check(("sh", "-c", _interface_check(interface)), files=())},
        actions={"hostname": Action(("hostname", "-F", "/etc/hostname"), inputs=("/etc/hostname",))},
        health={
            "address": Health(
                # Fails unless the address is this host's own, on this interface.
                command=("sh", "-c", _address_check(interface, f"{address}")),
                deadline=15,
            ),
            "rules": Health(command=(_RULES, "check"), deadline=5),
        },
    )


def _interface_check(interface: str) -> str:
    """Ahead of any change: systemd-networkd would wait for an interface that never comes."""
    return (
        f"test -e /sys/class/net/{interface} || {{ cd /sys/class/net; set -- *; "
        f'echo "this host has no network interface {interface}, only $*, and habla needs one in the '
        'internal network: attach it, or set network.interface to the name of the right one"; exit 1; }'
    )


def _address_check(interface: str, address: str) -> str:
    return (
        f"ip -4 -o address show dev {interface} | grep -qF ' {address}/' || "
        f'{{ echo "{interface} does not have the address {address}: '
        'see journalctl -u systemd-networkd on this host"; exit 1; }'
    )


def _rules(network: IPv4Network, interface: str) -> str:
    """The kernel's first rule, "look into the table of local addresses", moves behind ours.

    It is added behind before it is removed in front, so that at no moment the host has none.
    """
    return f"""\
#!/bin/sh
# Packets for {network} count only from this host and from {interface}.
set -eu
clear() {{
    ip -4 rule show pref 0 | grep -q local || ip -4 rule add pref 0 lookup local
    for pref in 1 2 3 10; do
        while ip -4 rule del pref $pref 2>/dev/null; do :; done
    done
}}
case $1 in
up)
    clear
    ip -4 rule add pref 10 lookup local
    ip -4 rule add pref 1 iif lo to {network} goto 10
    ip -4 rule add pref 2 iif {interface} to {network} goto 10
    ip -4 rule add pref 3 to {network} blackhole
    ip -4 rule del pref 0 lookup local
    ;;
down) clear ;;
check)
    [ -z "$(ip -4 rule show pref 0)" ] || {{ echo "the first rule still is: all local addresses"; exit 1; }}
    ip -4 rule show pref 3 | grep -q blackhole || {{ echo "no rule keeps others out"; exit 1; }}
    ;;
esac
"""
