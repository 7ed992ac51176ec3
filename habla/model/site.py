"""Where services run: the facts of one host, and those that are the same for all hosts of a fleet."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import KW_ONLY, dataclass, field, replace
from functools import cached_property
from ipaddress import IPv4Address, IPv4Network
from urllib.parse import urlsplit

from habla.model.disk import AlertsSpec, LogsSpec, PartitionSpec
from habla.model.names import DEFAULT_DOMAIN
from habla.model.offer import WEBSITE_URL, Balancer, Offer, OfferedValue
from habla.model.snmp import SnmpSpec
from habla.model.spec import ArchiveSpec
from habla.onhost.document import Archive

__all__ = ["Database", "Device", "Endpoint", "Endpoints", "FleetFacts", "Site"]


@dataclass(frozen=True)
class Endpoint:
    """An offer on a certain host."""

    offer: Offer
    host: str
    _: KW_ONLY
    address: IPv4Address


@dataclass(frozen=True)
class Endpoints:
    """All offers of the fleet, in the order of offer and host name."""

    all: tuple[Endpoint, ...] = ()

    @staticmethod
    def of(endpoints: Iterable[Endpoint]) -> Endpoints:
        """Sorted, so that the order in which hosts were declared never shows in a config."""
        return Endpoints(tuple(sorted(endpoints, key=lambda end: (end.offer.name, end.host))))

    def __add__(self, other: Endpoints) -> Endpoints:
        return Endpoints.of({(end.offer.name, end.host): end for end in (*self.all, *other.all)}.values())

    @cached_property
    def by_offer(self) -> Mapping[str, tuple[Endpoint, ...]]:
        """Offer -> its endpoints, by host name."""
        found: dict[str, list[Endpoint]] = {}
        for end in self.all:
            found.setdefault(end.offer.name, []).append(end)
        return {name: tuple(ends) for name, ends in found.items()}

    @cached_property
    def monitors(self) -> tuple[Endpoint, ...]:
        """The endpoints of services that show whether all other hosts work."""
        return tuple(end for end in self.all if end.offer.alive_path)

    def named(self, name: str) -> tuple[Endpoint, ...]:
        """All endpoints of the offer ``name``, by host name."""
        return self.by_offer.get(name, ())


@dataclass(frozen=True)
class Device:
    """A host as a monitor shows it.

    partitions: its mount points; without any, the monitor shows all partitions of the host. instances: the
    HAProxy instances on the host.
    """

    name: str
    address: str
    _: KW_ONLY
    partitions: tuple[str, ...] = ()
    instances: tuple[str, ...] = ()


@dataclass(frozen=True, order=True)
class Database:
    """A database in the fleet's MySQL that a service needs, and the account that has all rights on it.

    password: the name of the secret that holds the password of the account.
    """

    name: str
    user: str
    _: KW_ONLY
    password: str


@dataclass(frozen=True, kw_only=True)
class FleetFacts:
    """The facts that all hosts of a fleet share. One value for a whole plan, so it is computed once.

    environment: the name of the stack, for messages. interface: the hosts' in the internal network.
    published: offer of HAProxy -> the port at which clients outside reach it, where that is not HAProxy's.
    hosts: all hosts with their internal addresses. devices: the same for a monitor. databases: those that
    services need in MySQL. archives: the archives of services, by the settings that name them.
    """

    network: IPv4Network = IPv4Network("192.168.2.0/24")
    interface: str = "internal0"
    domain: str = DEFAULT_DOMAIN
    environment: str = ""
    published: Mapping[str, int] = field(default_factory=dict)
    hosts: Mapping[str, IPv4Address] = field(default_factory=dict)
    endpoints: Endpoints = Endpoints()
    devices: tuple[Device, ...] = ()
    databases: tuple[Database, ...] = ()
    archives: Mapping[ArchiveSpec, Archive] = field(default_factory=dict)
    logs: LogsSpec = LogsSpec()
    snmp: SnmpSpec = SnmpSpec()
    alerts: AlertsSpec = AlertsSpec()

    @cached_property
    def etc_hosts(self) -> str:
        """The text of /etc/hosts: every host knows every other one without a DNS."""
        lines = ["127.0.0.1\tlocalhost", "::1\tlocalhost ip6-localhost ip6-loopback", ""]
        lines += [
            f"{address}\t{name}" for name, address in sorted(self.hosts.items(), key=lambda item: item[1])
        ]
        return "\n".join(lines) + "\n"

    def behind(self, balancer: Balancer) -> dict[str, tuple[Endpoint, ...]]:
        """Offer -> its endpoints, of all offers that an HAProxy instance fronts, by name."""
        return {
            name: tuple(replace(end, offer=end.offer.of_domain(self.domain)) for end in ends)
            for name, ends in self.endpoints.by_offer.items()
            if ends[0].offer.balancer == balancer
        }

    @cached_property
    def website(self) -> str:
        """The URL of the website, without a slash at its end."""
        values = [value for end in self.endpoints.all for value in end.offer.values]
        text = next((value.text for value in values if value.name == WEBSITE_URL), "http://www.{domain}")
        url = urlsplit(text.format(domain=self.domain))
        port = self.published.get("www" if url.scheme == "http" else "https")
        return url._replace(netloc=f"{url.hostname}:{port}").geturl() if port else url.geturl()

    @cached_property
    def words(self) -> Mapping[str, str]:
        """The texts that replace the words in braces in offers: see ``OfferedValue``."""
        url = urlsplit(self.website)
        words = {
            "domain": self.domain,
            "website": self.website,
            "website_scheme": url.scheme,
            "website_host": url.hostname or "",
            "website_port": f":{url.port}" if url.port else "",
        }
        ports = {end.offer.name: end.offer.public_port for end in self.endpoints.all}
        return words | {f"{name}_port": str(port) for name, port in (ports | dict(self.published)).items()}

    def text_of(self, value: OfferedValue, end: Endpoint, *, app: str) -> str:
        """A value as an app gets it. end: the endpoint that offers it. app: the name of the app."""
        if value.name == WEBSITE_URL:
            return self.website
        return value.text.format(address=end.address, app=app, **self.words)

    @cached_property
    def guardian(self) -> str:
        """The host that watches the monitors: the first one with snmpd that is no monitor; "" without one."""
        monitors = {end.host for end in self.endpoints.monitors}
        return next((end.host for end in self.endpoints.named("snmp") if end.host not in monitors), "")


@dataclass(frozen=True)
class Site:
    """The host on which a service runs: everything that its config may depend on besides its own settings.

    outside: the public address of the host, if it has one. drained: HAProxy sends the host no new requests.
    partitions: mount point -> partition, as declared.
    """

    host: str
    address: IPv4Address
    _: KW_ONLY
    fleet: FleetFacts = FleetFacts()
    outside: IPv4Address | None = None
    drained: bool = False
    partitions: Mapping[str, PartitionSpec] = field(default_factory=dict)

    def own_first(self, ends: Iterable[Endpoint]) -> list[Endpoint]:
        """The endpoints in their order, those of this host before the others: a program asks them first."""
        return sorted(ends, key=lambda end: end.host != self.host)
