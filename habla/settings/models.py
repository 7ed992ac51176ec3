"""The settings of a stack: one class per section of ``stacks/Pulumi.ENV.yaml`` (``habla:SECTION``)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from typing import Annotated

from pydantic import AfterValidator, Field

from habla.model.disk import AlertsSpec, LogsSpec, MountPoint, PartitionSpec
from habla.model.names import HostName, SecretName, ServerAddress
from habla.model.releases import Release
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
    """An IPv4 network with a prefix length from 8 to 30, such as 192.168.2.0/24."""
    for kind in ("loopback", "multicast", "link_local", "reserved", "unspecified"):
        if getattr(network, f"is_{kind}"):
            rule = "a network of hosts, such as 192.168.2.0/24"
            raise ValueError(f"{rule}; this one is for {kind.replace('_', '-')} addresses")
    if not 8 <= network.prefixlen <= 30:
        raise ValueError("a prefix length from 8 to 30")
    return network


Network = Annotated[IPv4Network, AfterValidator(_of_hosts)]


class NetworkSettings(Spec):
    """The internal network, which connects all hosts of the fleet."""

    cidr: Network = IPv4Network("192.168.2.0/24")
    """The network. Any network other than a /24 needs ``roles.NAME.ranges`` for each role."""
    interface: Interface = "internal0"
    """The network interface of the hosts in this network."""
    reserved: tuple[IPv4Address, ...] = ()
    """Addresses that habla gives to no host."""


class RoleSettings(Spec):
    """A new role, or a change of a default role. A key that is not set keeps its value."""

    ranges: tuple[RangeText, ...] | None = None
    """The internal addresses of the role's hosts: ranges, networks or single addresses."""
    services: tuple[str, ...] | None = None
    """The services that hosts of the role may run."""
    defaults: tuple[str, ...] | None = None
    """The services that hosts of the role run, unless a host has ``services`` of its own."""
    volatile: bool | None = None
    """Whether hosts of the role may run apps with ``stability: volatile``."""


class BastionSettings(Spec):
    """A machine through which SSH reaches the hosts."""

    address: ServerAddress
    """The name or address of the machine."""
    port: PortNumber = 22
    """The port of its SSH server."""
    user: SshUser = "root"
    """The user who logs in."""
    host_key: HostKey
    """The public host key of the machine. SSH refuses a machine with another key."""


class SshSettings(Spec):
    """How SSH reaches a host."""

    address: ServerAddress | None = None
    """The name or address of the host, without brackets and port. Capital letters have no meaning."""
    port: PortNumber | None = None
    """The port of its SSH server. Without it, the port is 22."""
    user: SshUser | None = None
    """The user who logs in. Without it, the user is root. Any other user needs ``sudo -n``."""
    host_key: HostKey | None = None
    """The public host key. SSH refuses a host with another key. Outside a lab, every host requires it."""
    private_key: SecretName | None = None
    """The secret that holds the private key. Without it, SSH asks the agent at ``SSH_AUTH_SOCK``."""
    bastion: BastionSettings | None = None
    """A machine through which SSH reaches the host."""


class HostSettings(Spec):
    """A host: a machine of the fleet."""

    role: str
    """The role of the machine."""
    address: IPv4Address | None = None
    """A fixed internal address, within the ranges of the role. Without it, habla chooses a free one."""
    services: tuple[str, ...] | None = None
    """The services that the host runs, of those that its role may run. Without it, the host runs the default
    services of its role."""
    outside_address: IPv4Address | None = None
    """The public address of the host. HAProxy listens on it."""
    partitions: dict[MountPoint, PartitionSpec] = Field(default_factory=dict)
    """Partitions of this host, by mount point. They add to those of all hosts, or replace them."""
    ssh: SshSettings | None = None
    """How SSH reaches the host. A host without it belongs to a lab."""
    drained: bool = False
    """Whether HAProxy sends the host no new requests. A drained front host gives up the shared address."""
    unreachable: bool = False
    """Whether habla leaves the machine alone, for example after it broke. The host keeps its address. If you
    remove the host later, habla forgets it without contact."""
    release: Release | None = None
    """The release of Debian on a lab host. Without it, the host has the release of the lab."""


class LabAccount(Spec):
    """An account that people may use in the lab. ``habla lab summary`` shows it with its password."""

    what: Annotated[str, Field(min_length=1)]
    """The purpose of the account."""
    url: str = ""
    """The address of the page to log in."""
    user: Annotated[str, Field(min_length=1)]
    """The user name."""
    secret: SecretName
    """The secret that holds the password."""


class LabSettings(Spec):
    """A lab: hosts that habla makes on this machine, of every host without ``ssh``."""

    directory: Annotated[str, Field(min_length=1)] = ".lab"
    """The directory of the lab's files, relative to the project."""
    release: Release | None = None
    """The release of Debian on the hosts. Without it, they have the release of this machine."""
    ports: dict[str, PortNumber] = Field(default_factory=dict)
    """Ports on 127.0.0.1 that lead to ports of HAProxy, by the name of the port, such as ``www`` or ``bosh``.
    habla chooses the other ports when it makes the lab."""
    accounts: tuple[LabAccount, ...] = ()
    """Accounts that people may use in the lab."""


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
