"""The settings of a stack: one class per section of ``stacks/Pulumi.ENV.yaml`` (``habla:SECTION``)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from habla.model.disk import AlertsSpec, LogsSpec, MountPoint, PartitionSpec
from habla.model.names import HostName, OtherAddress, SecretName
from habla.model.snmp import SnmpSpec
from habla.model.spec import PortNumber, Spec
from habla.model.text_types import Interface, matching
from habla.services.app_spec import AppSpec

__all__ = [
    "BastionSettings",
    "HostSettings",
    "LabSettings",
    "NetworkSettings",
    "RoleSettings",
    "Settings",
    "SshSettings",
    "SshUser",
]

# Names of adduser --allow-bad-names and of LDAP. One that begins with a hyphen would be an option of ssh.
SshUser = Annotated[
    str,
    matching(
        r"[A-Za-z0-9_][A-Za-z0-9._@-]{0,63}",
        "letters, digits and . _ - @, up to 64 characters, beginning with a letter, a digit or _",
    ),
]

# Range texts are parsed by addressing, which reports them with the rest of the plan's faults.
RangeText = Annotated[
    str, matching(r"[0-9./]{1,18}(\s*-\s*[0-9.]{1,15})?", "FIRST-LAST or a network such as 192.168.2.128/25")
]
HostKey = Annotated[
    str,
    matching(
        r"(?:ssh-|ecdsa-|sk-)[a-z0-9@.-]+ [A-Za-z0-9+/=]+(?: [^\x00-\x1f\x7f]*)?",
        "a public host key, as `ssh-keyscan -t ed25519 ADDRESS` prints it after the address",
        most=4000,
    ),
]


def _of_hosts(network: IPv4Network) -> IPv4Network:
    for kind in ("loopback", "multicast", "link_local", "reserved", "unspecified"):
        if getattr(network, f"is_{kind}"):
            rule = "a network of hosts, such as 192.168.2.0/24"
            raise ValueError(f"{rule}; this one is for {kind.replace('_', '-')} addresses")
    if not 8 <= network.prefixlen <= 30:
        raise ValueError("a prefix length from 8 to 30")
    return network


Network = Annotated[IPv4Network, AfterValidator(_of_hosts)]


#: The releases of Debian that habla is tested with.
Release = Literal["bookworm", "trixie"]


class NetworkSettings(Spec):
    """The internal network. interface: the hosts' network interface in it. reserved: addresses not to use."""

    cidr: Network = IPv4Network("192.168.2.0/24")
    interface: Interface = "internal0"
    reserved: tuple[IPv4Address, ...] = ()


class RoleSettings(Spec):
    """Changes one of the default roles, or adds a role. What is not given stays as it is."""

    ranges: tuple[RangeText, ...] | None = None
    services: tuple[str, ...] | None = None
    defaults: tuple[str, ...] | None = None
    volatile: bool | None = None


class BastionSettings(Spec):
    """A machine to jump over on the way to the hosts."""

    address: OtherAddress
    port: PortNumber = 22
    user: SshUser = "root"
    host_key: HostKey


class SshSettings(Spec):
    """How a host is reached. host_key: its public key (``ssh-keyscan``), pinned.

    private_key: the secret that holds the private key; without it the SSH agent is asked.
    """

    address: OtherAddress | None = None
    port: PortNumber | None = None
    user: SshUser | None = None
    host_key: HostKey | None = None
    private_key: SecretName | None = None
    bastion: BastionSettings | None = None


class HostSettings(Spec):
    """A host. address: pins its internal address. services: fewer than its role gives it by default.

    outside_address: its public address, to which HAProxy binds. partitions: its own, by mount point, besides
    those of all hosts and in their place. drained: HAProxy sends it nothing new; on a
    front host, the shared address moves to the other. unreachable: leave the machine alone, as it
    cannot be reached; it keeps its address, and a later removal forgets it without contact. release: of a
    lab host, the release of Debian on it, other than that of the lab.
    """

    role: str
    address: IPv4Address | None = None
    services: tuple[str, ...] | None = None
    outside_address: IPv4Address | None = None
    partitions: dict[MountPoint, PartitionSpec] = Field(default_factory=dict)
    ssh: SshSettings | None = None
    drained: bool = False
    unreachable: bool = False
    release: Release | None = None


class LabAccount(Spec):
    """An account that people may use in the lab. ``habla lab summary`` shows it with its password.

    what: what it is for. url: where to log in. user: its name. secret: the name of the secret that is its
    password.
    """

    what: Annotated[str, Field(min_length=1)]
    url: str = ""
    user: Annotated[str, Field(min_length=1)]
    secret: SecretName


class LabSettings(Spec):
    """Hosts made on this machine, under ``directory`` (relative to the project).

    release: the release of Debian on them, by default the machine's own. ports: the name of a port of
    HAProxy, such as ``www`` or ``bosh`` -> the port on 127.0.0.1 that leads there, and that the URLs of the
    fleet have. A port that is not given is chosen when the lab is made. accounts: to try the lab with.
    """

    directory: Annotated[str, Field(min_length=1)] = ".lab"
    release: Release | None = None
    ports: dict[str, PortNumber] = Field(default_factory=dict)
    accounts: tuple[LabAccount, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Settings:
    """All settings of a stack, each section valid in itself and with the others.

    services: kind of a service -> its settings, of every service that has settings of its own.
    start_empty: services that may start with empty data although they had data elsewhere.
    secrets: the names of the secrets that are set; their values never come here.
    """

    environment: str
    domain: str
    network: NetworkSettings
    roles: Mapping[str, RoleSettings]
    hosts: Mapping[HostName, HostSettings]
    services: Mapping[str, Spec]
    snmp: SnmpSpec
    apps: Mapping[str, AppSpec]
    ssh: SshSettings
    lab: LabSettings | None
    partitions: Mapping[str, PartitionSpec]
    logs: LogsSpec
    alerts: AlertsSpec
    start_empty: tuple[str, ...] = ()
    secrets: frozenset[str]

    def partitions_of(self, host: str) -> dict[str, PartitionSpec]:
        """mount point -> partition, of a host."""
        return dict(sorted({**self.partitions, **self.hosts[host].partitions}.items()))
