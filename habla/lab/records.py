"""The records of a lab on disk: its networks and packages, and each host with its addresses and ports.

One process at a time writes a record, by rename. So a reader sees either the old or the new record as a
whole.
"""

from __future__ import annotations

import ipaddress
import json
import os
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import KW_ONLY, asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from habla.errors import LabError
from habla.lab.image import image_release
from habla.lab.lab_partitions import checked
from habla.lab.paths import LabPaths

__all__ = [
    "HostRecord",
    "LabConfig",
    "Port",
    "free_index",
    "machine_identity",
    "read_config",
    "read_host",
    "read_hosts",
    "write_config",
    "write_host",
]

_FIRST_INDEX = 11
USERS = ("root", "operator")
# The prefix of an address that is reached from the host itself.
_ITSELF = "itself:"


@dataclass(frozen=True)
class LabConfig:
    """The configuration of a lab as a whole."""

    management: str = "10.213.0.0/24"
    """The network for SSH. The lab itself has its first address."""
    outside: str = "203.0.113.0/24"
    """The network of the public addresses. The outside client has its first address."""
    _: KW_ONLY
    packages: tuple[str, ...] = ()
    """The sorted names of the packages in the pool."""
    images: Mapping[str, str] = field(default_factory=dict)
    """Release -> the key of the base image for new hosts."""

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
        raise LabError(f"{what}: {text!r} is not an IPv4 network ({error})") from error
    if network.prefixlen > 28:
        raise LabError(f"{what}: {text} is too small; rule: /28 or wider")
    return network


_KEYS = {"name", "outside_address", "forwards", "machine_id", "partitions", "ports", "release", "user"}


@dataclass(frozen=True)
class Port:
    """One forward from a loopback port of this machine to a port in the lab."""

    port: int
    """The port in the lab."""
    listen: int = 0
    """The loopback port, or 0 if it is not chosen yet."""
    _: KW_ONLY
    address: str | None = None
    """The address in the lab, such as one that hosts share. None means the host's own address outside."""
    itself: bool = False
    """Whether the connection begins on the host, so that it reaches any address that a program there can."""


@dataclass(frozen=True)
class HostRecord:
    """One host."""

    name: str
    index: int
    """The number of the host in the management network."""
    _: KW_ONLY
    image: str
    """The key of the host's base image, which never changes."""
    machine_id: str
    """32 hexadecimal digits."""
    host_key: str = ""
    """The public SSH host key, as ``ssh-ed25519 AAAA...``."""
    outside_address: str | None = None
    user: str = "root"
    ssh: Port = Port(22)
    """The forward to the host's SSH port."""
    forwards: Mapping[str, Port] = field(default_factory=dict)
    prepared: bool = False
    """Whether the files that are written only once are there."""
    partitions: Mapping[str, str] = field(default_factory=dict)
    """Mount point -> size, such as ``512M``."""

    def asked(
        self, request: Mapping[str, Any], config: LabConfig, *, others: Iterable[HostRecord]
    ) -> HostRecord:
        """This record with the changes that a host-create asks for. Ports that were chosen before are kept.

        Raises LabError if a value is not allowed.
        """
        unknown = sorted(set(request) - _KEYS)
        if unknown:
            raise LabError(f"host {self.name}: unknown key {', '.join(unknown)}")
        release, before = request.get("release"), image_release(self.image)
        if release not in (None, before):
            raise LabError(
                f"host {self.name}: it runs {before}, so it cannot have release {release}\n"
                "  rule: a lab host keeps the release that it was made with\n"
                f"  fix:  remove the host with its data: python -m habla.lab host-delete {self.name}"
            )
        user = request.get("user") or "root"
        if user not in USERS:
            raise LabError(f"host {self.name}: user {user!r} is not one of {', '.join(USERS)}")
        outside = request.get("outside_address")
        if outside is not None:
            self._check_outside(outside, config, others=others)
        asked = request.get("forwards") or {}
        if not isinstance(asked, dict):
            raise LabError(f"host {self.name}: forwards {asked!r} must map names to a port or ADDRESS:PORT")
        kept = {name: port.listen for name, port in self.forwards.items()}
        ports = self._asked_ports(request, others=others)
        forwards = {}
        for name, value in sorted(asked.items()):
            what = f"host {self.name}: forward {name}"
            target = _target(what, value, config=config)
            if target.address is None and outside is None:
                raise LabError(f"{what} {value} needs an outside_address of the host, or ADDRESS:PORT")
            forwards[name] = replace(target, listen=ports.get(name) or kept.get(name, 0))
        partitions = checked(self.name, request.get("partitions"))
        return replace(self, outside_address=outside, user=user, forwards=forwards, partitions=partitions)

    def _asked_ports(self, request: Mapping[str, Any], *, others: Iterable[HostRecord]) -> dict[str, int]:
        """The loopback ports that the request names, by the name of their forward. Raises LabError."""
        asked = request.get("ports") or {}
        forwards = request.get("forwards") or {}
        if not isinstance(asked, dict) or not all(_is_port(port) for port in asked.values()):
            raise LabError(
                f"host {self.name}: ports {asked!r} must map names of forwards to ports, 1 to 65535"
            )
        for name in sorted(set(asked) - set(forwards)):
            known = ", ".join(sorted(forwards)) or "none"
            raise LabError(
                f"host {self.name}: ports has {name}, which is not a forward of this host; "
                f"its forwards: {known}"
            )
        for other in others:
            for name, port in asked.items():
                if other.name != self.name and port in [mine.listen for mine in other.forwards.values()]:
                    raise LabError(
                        f"host {self.name}: port {port:.0f} of {name} belongs to host {other.name}"
                    )
        return {name: int(port) for name, port in asked.items()}

    def _check_outside(self, text: Any, config: LabConfig, *, others: Iterable[HostRecord]) -> None:
        _check_address(f"host {self.name}: outside_address", text, config=config)
        for other in others:
            if other.name != self.name and other.outside_address == text:
                raise LabError(f"host {self.name}: outside_address {text} belongs to host {other.name}")


def _check_address(what: str, text: Any, *, config: LabConfig) -> None:
    """Raise LabError unless a host may have the address in the outside network."""
    address = _as_address(what, text)
    network = config.outside_network
    reserved = (network.network_address, network.network_address + 1, network.broadcast_address)
    if address not in network or address in reserved:
        raise LabError(
            f"{what} {text} must be an address of {network}, "
            "except the network, the broadcast address, and the first address (the outside client's)"
        )


def _target(what: str, value: Any, *, config: LabConfig) -> Port:
    """The end of a forward: 80, "203.0.113.20:80", or "itself:192.168.2.20:80". Raises LabError."""
    if isinstance(value, str):
        itself = value.startswith(_ITSELF)
        address, _, port = value.removeprefix(_ITSELF).rpartition(":")
        if address and port.isascii() and port.isdecimal() and _is_port(int(port)):
            if itself:
                _as_address(what, address)
            else:
                _check_address(what, address, config=config)
            return Port(int(port), address=address, itself=itself)
    elif _is_port(value):
        return Port(int(value))
    raise LabError(f"{what} {value!r} must be a port, 1 to 65535, ADDRESS:PORT or itself:ADDRESS:PORT")


def _as_address(what: str, text: Any) -> ipaddress.IPv4Address:
    try:
        return ipaddress.IPv4Address(text)
    except ValueError as error:
        raise LabError(f"{what} {text!r} is not an IPv4 address ({error})") from error


def _is_port(value: Any) -> bool:
    # JSON from another language may have 80.0 instead of 80.
    return isinstance(value, int | float) and value == int(value) and 0 < value < 65536


def free_index(records: Iterable[HostRecord], config: LabConfig) -> int:
    """The lowest free number in the management network. Raises LabError if there is none."""
    taken = {record.index for record in records}
    for index in range(_FIRST_INDEX, config.management_network.num_addresses - 1):
        if index not in taken:
            return index
    raise LabError(f"the management network {config.management} has no free address")


def _write(path: Path, data: Mapping[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f".{path.name}.{os.getpid()}.new")
    new.write_text(json.dumps(data, indent=1, sort_keys=True) + "\n")
    new.rename(path)


def write_config(paths: LabPaths, config: LabConfig) -> None:
    """Write the configuration of the lab."""
    _write(paths.config, asdict(config))


def read_config(paths: LabPaths) -> LabConfig | None:
    """The configuration of the lab, or None if there is no lab."""
    if not paths.config.exists():
        return None
    data = json.loads(paths.config.read_text())
    if "image" in data:  # written before a lab could have hosts of several releases
        image = data.pop("image")
        data["images"] = {image_release(image): image}
    return LabConfig(**{**data, "packages": tuple(data["packages"])})


def write_host(paths: LabPaths, record: HostRecord) -> None:
    """Write the record of a host."""
    _write(paths.host(record.name) / "host.json", asdict(record))


def read_host(paths: LabPaths, name: str) -> HostRecord | None:
    """The record of a host, or None if the lab has no such host."""
    path = paths.host(name) / "host.json"
    if not path.exists():
        return None
    data = json.loads(path.read_text())
    forwards = {key: Port(**port) for key, port in data["forwards"].items()}
    return HostRecord(**{**data, "ssh": Port(**data["ssh"]), "forwards": forwards})


def machine_identity(directory: Path, name: str) -> str:
    """The machine id of a host of the lab in that directory, or a new one if the lab has no such host.

    A user who may not read the lab's files gets a new one, too.
    """
    try:
        record = read_host(LabPaths.of(directory), name)
    except PermissionError:
        record = None
    return record.machine_id if record else uuid.uuid4().hex


def read_hosts(paths: LabPaths) -> list[HostRecord]:
    """The records of all hosts of the lab, sorted by name."""
    names = sorted(path.parent.name for path in paths.hosts.glob("*/host.json"))
    return [record for name in names if (record := read_host(paths, name)) is not None]
