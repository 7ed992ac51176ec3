"""What a lab remembers on disk: its networks and packages, and each host with its addresses and ports.

Written by one process at a time and by rename, so that a reader sees the old or the new record, never half.
"""

from __future__ import annotations

import ipaddress
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from habla.errors import LabError
from habla.lab.lab_partitions import checked
from habla.lab.paths import LabPaths

__all__ = [
    "HostRecord",
    "LabConfig",
    "Port",
    "free_index",
    "read_config",
    "read_host",
    "read_hosts",
    "write_config",
    "write_host",
]

_FIRST_INDEX = 11
USERS = ("root", "operator")
# Before the address of a forward that begins on the host.
_ITSELF = "itself:"


@dataclass(frozen=True)
class LabConfig:
    """A lab as a whole.

    management: the network of SSH links; the lab itself has its first address.
    outside: the network of what is public; the outside client has its first address.
    packages: sorted names of what the pool holds. image: key of the base image for new hosts.
    """

    management: str = "10.213.0.0/24"
    outside: str = "203.0.113.0/24"
    packages: tuple[str, ...] = ()
    image: str = ""

    def __post_init__(self) -> None:
        networks = [_network("management", self.management), _network("outside", self.outside)]
        if networks[0].overlaps(networks[1]):
            raise LabError(f"management {self.management} and outside {self.outside} overlap")

    @property
    def management_network(self) -> ipaddress.IPv4Network:
        """The management network as an address object."""
        return ipaddress.IPv4Network(self.management)

    @property
    def outside_network(self) -> ipaddress.IPv4Network:
        """The outside network as an address object."""
        return ipaddress.IPv4Network(self.outside)


def _network(what: str, text: str) -> ipaddress.IPv4Network:
    try:
        network = ipaddress.IPv4Network(text)
    except ValueError as error:
        raise LabError(f"{what}: {text!r} is no IPv4 network ({error})") from error
    if network.prefixlen > 28:
        raise LabError(f"{what}: {text} is too small; rule: /28 or wider")
    return network


@dataclass(frozen=True)
class Port:
    """One forward: the port inside the lab, and the loopback port of this machine (0: not chosen yet).

    address: where the port is, when that is not the host's own address outside: one that hosts share, or,
    with itself, any that a program on the host can reach.
    """

    port: int
    listen: int = 0
    address: str | None = None
    itself: bool = False


@dataclass(frozen=True)
class HostRecord:
    """One host.

    index: the host's number in the management network. ssh: its SSH forward.
    image: key of the base image that its files stand on, which never changes.
    machine_id: 32 hexadecimal digits. host_key: public SSH host key, ``ssh-ed25519 AAAA...``.
    prepared: whether its own files were put in once. partitions: mount point to size, as ``512M``.
    """

    name: str
    index: int
    image: str
    machine_id: str
    host_key: str = ""
    outside_address: str | None = None
    user: str = "root"
    ssh: Port = Port(22)
    forwards: Mapping[str, Port] = field(default_factory=dict)
    prepared: bool = False
    partitions: Mapping[str, str] = field(default_factory=dict)

    def asked(
        self, request: Mapping[str, Any], config: LabConfig, others: Iterable[HostRecord]
    ) -> HostRecord:
        """This record with what a host-create asks for; ports chosen before are kept.

        Raises LabError for values that cannot be.
        """
        unknown = sorted(set(request) - {"name", "outside_address", "forwards", "partitions", "user"})
        if unknown:
            raise LabError(f"host {self.name}: unknown key {', '.join(unknown)}")
        user = request.get("user") or "root"
        if user not in USERS:
            raise LabError(f"host {self.name}: user {user!r}; rule: one of {', '.join(USERS)}")
        outside = request.get("outside_address")
        if outside is not None:
            self._check_outside(outside, config, others)
        asked = request.get("forwards") or {}
        if not isinstance(asked, dict):
            raise LabError(f"host {self.name}: forwards {asked!r}; rule: name to port or ADDRESS:PORT")
        kept = {name: port.listen for name, port in self.forwards.items()}
        forwards = {}
        for name, value in sorted(asked.items()):
            what = f"host {self.name}: forward {name}"
            target = _target(what, value, config)
            if target.address is None and outside is None:
                raise LabError(f"{what} {value}; rule: a port alone is of the host's outside_address")
            forwards[name] = replace(target, listen=kept.get(name, 0))
        partitions = checked(self.name, request.get("partitions"))
        return replace(self, outside_address=outside, user=user, forwards=forwards, partitions=partitions)

    def _check_outside(self, text: Any, config: LabConfig, others: Iterable[HostRecord]) -> None:
        _check_address(f"host {self.name}: outside_address", text, config)
        for other in others:
            if other.name != self.name and other.outside_address == text:
                raise LabError(f"host {self.name}: outside_address {text} is host {other.name}'s")


def _check_address(what: str, text: Any, config: LabConfig) -> None:
    """An address that a host may have outside. Raises LabError."""
    address = _as_address(what, text)
    network = config.outside_network
    reserved = (network.network_address, network.network_address + 1, network.broadcast_address)
    if address not in network or address in reserved:
        raise LabError(
            f"{what} {text}; rule: an address of {network} "
            "other than its first (the outside client's), its network and its broadcast address"
        )


def _target(what: str, value: Any, config: LabConfig) -> Port:
    """Where a forward leads: 80, "203.0.113.20:80", or "itself:192.168.2.20:80". Raises LabError."""
    if isinstance(value, str):
        itself = value.startswith(_ITSELF)
        address, _, port = value.removeprefix(_ITSELF).rpartition(":")
        if address and port.isascii() and port.isdecimal() and _is_port(int(port)):
            if itself:
                _as_address(what, address)
            else:
                _check_address(what, address, config)
            return Port(int(port), address=address, itself=itself)
    elif _is_port(value):
        return Port(int(value))
    raise LabError(f"{what} {value!r}; rule: a port, 1 to 65535, ADDRESS:PORT or itself:ADDRESS:PORT")


def _as_address(what: str, text: Any) -> ipaddress.IPv4Address:
    try:
        return ipaddress.IPv4Address(text)
    except ValueError as error:
        raise LabError(f"{what} {text!r} ({error})") from error


def _is_port(value: Any) -> bool:
    # A caller that goes through JSON of another language may hand 80 over as 80.0.
    return isinstance(value, int | float) and value == int(value) and 0 < value < 65536


def free_index(records: Iterable[HostRecord], config: LabConfig) -> int:
    """The lowest number in the management network that no host has. Raises LabError when there is none."""
    taken = {record.index for record in records}
    for index in range(_FIRST_INDEX, config.management_network.num_addresses - 1):
        if index not in taken:
            return index
    raise LabError(f"the management network {config.management} has no address left")


def _write(path: Path, data: Mapping[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f".{path.name}.{os.getpid()}.new")
    new.write_text(json.dumps(data, indent=1, sort_keys=True) + "\n")
    new.rename(path)


def write_config(paths: LabPaths, config: LabConfig) -> None:
    """Remember the lab's configuration."""
    _write(paths.config, asdict(config))


def read_config(paths: LabPaths) -> LabConfig | None:
    """The lab's configuration, or None when there is no lab yet."""
    if not paths.config.exists():
        return None
    data = json.loads(paths.config.read_text())
    return LabConfig(**{**data, "packages": tuple(data["packages"])})


def write_host(paths: LabPaths, record: HostRecord) -> None:
    """Remember a host."""
    _write(paths.host(record.name) / "host.json", asdict(record))


def read_host(paths: LabPaths, name: str) -> HostRecord | None:
    """The record of a host, or None when the lab has no such host."""
    path = paths.host(name) / "host.json"
    if not path.exists():
        return None
    data = json.loads(path.read_text())
    forwards = {key: Port(**port) for key, port in data["forwards"].items()}
    return HostRecord(**{**data, "ssh": Port(**data["ssh"]), "forwards": forwards})


def read_hosts(paths: LabPaths) -> list[HostRecord]:
    """All hosts of the lab, sorted by name."""
    names = sorted(path.parent.name for path in paths.hosts.glob("*/host.json"))
    return [record for name in names if (record := read_host(paths, name)) is not None]
