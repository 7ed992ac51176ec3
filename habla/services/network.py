"""The internal network of a host: its address, its name, and the names of all the others."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import IPv4Address, IPv4Network

from habla.model.state import File, Health, HostState, Unit

__all__ = ["COMPONENT", "network_state", "wait_online"]

COMPONENT = "network"


def network_state(
    host: str,
    network: IPv4Network,
    interface: str,
    hosts: Mapping[str, IPv4Address],
    packages: tuple[str, ...] = (),
) -> HostState:
    """What makes ``host`` a member of the internal network.

    hosts: all hosts of the fleet with their addresses. packages: installed now, so that the components that
    follow one host at a time do not wait for downloads.
    """
    unit_file = f"/etc/systemd/network/10-{interface}.network"
    wait = wait_online(interface)
    return HostState(
        host=host,
        component=COMPONENT,
        packages=tuple(sorted({"logrotate", *packages})),
        files={
            unit_file: File(
                f"[Match]\nName={interface}\n\n[Network]\n"
                f"Address={hosts[host]}/{network.prefixlen}\n"
                "LinkLocalAddressing=no\nIPv6AcceptRA=no\nLLMNR=no\nMulticastDNS=no\n"
            ),
            "/etc/hostname": File(f"{host}\n"),
            "/etc/hosts": File(_hosts_file(hosts)),
            # Rotation is by size, so it must look often; a day is enough to fill a partition.
            "/etc/systemd/system/logrotate.timer.d/habla.conf": File(
                "[Timer]\nOnCalendar=\nOnCalendar=*:0/10\nAccuracySec=1s\nRandomizedDelaySec=0\n"
            ),
        },
        units={
            "systemd-networkd.service": Unit(reload_on=(unit_file,)),
            wait: Unit(restart_on=(unit_file,)),
            "logrotate.timer": Unit(restart_on=("/etc/systemd/system/logrotate.timer.d/habla.conf",)),
        },
        health={
            "address": Health(
                # Fails unless the address is this host's own, on this interface.
                command=("sh", "-c", f"ip -4 -o address show dev {interface} | grep -qF ' {hosts[host]}/'"),
                deadline=15,
            )
        },
    )


def wait_online(interface: str) -> str:
    """The unit that is up once the internal address is there, whatever other interfaces do."""
    return f"systemd-networkd-wait-online@{interface}.service"


def _hosts_file(hosts: Mapping[str, IPv4Address]) -> str:
    """Every node is named on every node: ejabberd's nodes and people find each other without a DNS."""
    lines = ["127.0.0.1\tlocalhost", "::1\tlocalhost ip6-localhost ip6-loopback", ""]
    lines += [f"{address}\t{name}" for name, address in sorted(hosts.items(), key=lambda item: item[1])]
    return "\n".join(lines) + "\n"
