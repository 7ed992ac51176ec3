"""The networks of the lab, in their own namespaces.

The lab's namespace has three bridges: ``internal``, to which only InternalSubnet gives addresses,
``management`` for SSH, and ``outside`` for public addresses. A second namespace, the outside client, has a
link to the outside bridge only and plays the internet. Each host is a namespace with links to the bridges.
"""

from __future__ import annotations

import ipaddress
import os
import subprocess
from contextlib import suppress
from pathlib import Path

from habla.errors import LabError
from habla.lab import namespaces
from habla.lab.records import HostRecord, LabConfig

__all__ = ["LabNetwork", "host_address", "host_links"]


def _ip(network: int, script: str) -> None:
    """Run the lines with ``ip -batch`` in a network namespace. Raises LabError with the error of ip."""
    with namespaces.entered(network):
        done = subprocess.run(
            ["ip", "-batch", "-"], input=script, capture_output=True, text=True, check=False
        )
    if done.returncode != 0:
        raise LabError(f"setting up the lab's network failed:\n{done.stderr.strip()}\n{script}")


def _quiet(network: int) -> None:
    """Switch off forwarding between the interfaces of a namespace. Some machines switch it on."""
    with namespaces.entered(network):
        Path("/proc/sys/net/ipv4/ip_forward").write_text("0")


def host_address(config: LabConfig, index: int) -> ipaddress.IPv4Address:
    """The management address of the host with that number."""
    return config.management_network.network_address + index


def host_links(record: HostRecord) -> dict[str, str]:
    """The links of a host: interface in the lab -> interface in the host. At most 15 characters each."""
    links = {f"i{record.index}": "internal0", f"m{record.index}": "management0"}
    if record.outside_address is not None:
        links[f"o{record.index}"] = "outside0"
    return links


def _hardware_address(kind: str, index: int) -> str:
    """A locally administered address for each link of each host. kind: i, m or o."""
    return f"02:1a:b0:{'imo'.index(kind):02x}:{index >> 8:02x}:{index & 255:02x}"


class LabNetwork:
    """The bridges and the outside client. The supervisor makes it once, in its own namespace.

    inside, outside: file descriptors of the lab's namespace and the outside client's namespace.
    """

    def __init__(self, config: LabConfig) -> None:
        self.config = config
        self.inside = namespaces.current_network()
        self.outside = namespaces.new_network()

    def build(self) -> None:
        """Make the bridges and the outside client's link."""
        for network in (self.inside, self.outside):
            _quiet(network)
        # Without this, each bridge would give itself a link-local address, which it does not need.
        with suppress(FileNotFoundError):
            Path("/proc/sys/net/ipv6/conf/default/disable_ipv6").write_text("1")
        lines = ["link set lo up"]
        for bridge in ("internal", "management", "outside"):
            lines += [
                f"link add {bridge} type bridge forward_delay 0 mcast_snooping 0",
                f"link set {bridge} up",
            ]
        first = self.config.management_network.network_address + 1
        lines.append(f"address add {first}/{self.config.management_network.prefixlen} dev management")
        lines.append(
            f"link add client type veth peer name outside0 netns /proc/{os.getpid()}/fd/{self.outside}"
        )
        lines.append("link set client master outside up")
        _ip(self.inside, "\n".join(lines))
        gateway = self.config.outside_network.network_address + 1
        _ip(
            self.outside,
            "link set lo up\n"
            "link set outside0 addrgenmode none\n"
            f"address add {gateway}/{self.config.outside_network.prefixlen} dev outside0\n"
            "link set outside0 up\n",
        )

    def attach(self, record: HostRecord) -> int:
        """Make a host's namespace with its links and addresses, and return its file descriptor."""
        self.detach(record)
        network = namespaces.new_network()
        _quiet(network)
        namespace = f"/proc/{os.getpid()}/fd/{network}"
        lab_side, host_side = [], ["link set lo up"]
        bridges = {"i": "internal", "m": "management", "o": "outside"}
        for ours, theirs in host_links(record).items():
            lab_side.append(f"link add {ours} type veth peer name {theirs} netns {namespace}")
            lab_side.append(f"link set {ours} master {bridges[ours[0]]} up")
            # The same address after every boot, because neighbours would send to the old one for a while.
            host_side.append(f"link set {theirs} address {_hardware_address(ours[0], record.index)}")
            host_side.append(f"link set {theirs} addrgenmode none")
        # Hosts must not reach each other over the management network, which a real fleet does not have.
        lab_side.append(f"link set m{record.index} type bridge_slave isolated on")
        management = self.config.management_network
        host_side.append(
            f"address add {host_address(self.config, record.index)}/{management.prefixlen} dev management0"
        )
        host_side.append("link set management0 up")
        if record.outside_address is not None:
            outside = self.config.outside_network
            host_side.append(f"address add {record.outside_address}/{outside.prefixlen} dev outside0")
            host_side.append("link set outside0 up")
            host_side.append(f"route add default via {outside.network_address + 1}")
        _ip(self.inside, "\n".join(lab_side))
        _ip(network, "\n".join(host_side))
        return network

    def detach(self, record: HostRecord) -> None:
        """Remove the links of a host that exist."""
        for prefix in "imo":
            with suppress(LabError):
                _ip(self.inside, f"link delete {prefix}{record.index}")

    def switch(self, record: HostRecord, up: bool) -> None:
        """Plug in or pull all cables of a host."""
        state = "up" if up else "down"
        _ip(self.inside, "\n".join(f"link set {ours} {state}" for ours in host_links(record)))
