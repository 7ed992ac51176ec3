"""What a service says about itself once it stands on a host; everything that cuts across is derived from it.

Bind addresses, logrotate rules, HAProxy backends, port clashes and placement come from these values and are
never written a second time.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv4Address, IPv4Network
from typing import Protocol

from habla.model.disk import LogsSpec
from habla.onhost.document import Parts

__all__ = [
    "DRAIN_PORT",
    "Endpoint",
    "Endpoints",
    "HttpCheck",
    "Log",
    "Offer",
    "Port",
    "Route",
    "Scope",
    "Service",
    "ServiceState",
    "Site",
    "Stability",
    "XmppCheck",
]

# Where a host with balanced services tells HAProxy whether it is drained, and whether they are well.
DRAIN_PORT = 8099


class Stability(StrEnum):
    """Whether a service can run away with a machine (row 2 of the fleet's rules)."""

    STABLE = "stable"
    VOLATILE = "volatile"


class Scope(StrEnum):
    """Who can reach a port."""

    LOOPBACK = "loopback"
    INTERNAL = "internal"
    PUBLIC = "public"


@dataclass(frozen=True, order=True)
class Port:
    """A TCP port that a service listens on."""

    number: int
    scope: Scope = Scope.INTERNAL


@dataclass(frozen=True)
class Log:
    """Log files (a glob) of a service, rotated by size: ``keep`` old files of ``size`` each.

    reopen: a command that makes the daemon open its log anew. create: mode, owner and group of the new file,
    as logrotate takes them, where nobody else makes it. With neither the file is copied and truncated.
    rule: the rule's name in /etc/logrotate.d; the name of the package's own rule replaces that rule.
    rate: how much one file grows in a minute at most; empty: as the stack's settings say.
    files: how many files the glob stands for.
    """

    path: str
    size: str = "1M"
    keep: int = 3
    reopen: str = ""
    rule: str = ""
    create: str = ""
    rate: str = ""
    files: int = 1


@dataclass(frozen=True)
class HttpCheck:
    """An HTTP health check: GET ``path`` with ``host`` as its Host header must answer ``expect``."""

    path: str
    expect: int = 200
    host: str = ""


@dataclass(frozen=True)
class XmppCheck:
    """An XMPP health check: a stream of this namespace must be answered with the server's features."""

    namespace: str = "jabber:client"


@dataclass(frozen=True, order=True)
class Route:
    """Which requests go to a service: a virtual host, a path prefix, or both; neither means all the rest."""

    host: str = ""
    path: str = ""


@dataclass(frozen=True)
class Offer:
    """What a service offers to the rest of the fleet, on one TCP port.

    balancer: the HAProxy instance that fronts it, ``www`` or ``jabber``; empty when none does.
    public_port: the port on which that instance offers it, when it is not the instance's own.
    maxconn: requests a server works on at a time; more wait in HAProxy's queue. 0 means no limit.
    port: 0 where nothing can be connected to, and it only matters who is there.
    """

    name: str
    port: int
    balancer: str = ""
    public_port: int = 0
    routes: tuple[Route, ...] = ()
    check: HttpCheck | XmppCheck | None = None
    maxconn: int = 0


@dataclass(frozen=True)
class Endpoint:
    """An offer as it stands on a host."""

    offer: Offer
    host: str
    address: IPv4Address


@dataclass(frozen=True)
class Endpoints:
    """Who offers what in the fleet, in the order of service and host name."""

    all: tuple[Endpoint, ...] = ()

    @staticmethod
    def of(endpoints: Iterable[Endpoint]) -> Endpoints:
        """Sorted, so that the order in which hosts were declared never shows in a config."""
        return Endpoints(tuple(sorted(endpoints, key=lambda end: (end.offer.name, end.host))))

    def __add__(self, other: Endpoints) -> Endpoints:
        return Endpoints.of({(end.offer.name, end.host): end for end in (*self.all, *other.all)}.values())

    def named(self, name: str) -> tuple[Endpoint, ...]:
        """All endpoints of the offer ``name``, by host name."""
        return tuple(end for end in self.all if end.offer.name == name)


@dataclass(frozen=True)
class Site:
    """Where a service is being placed: all that its config may depend on besides its own settings.

    outside: the public address of the host, where it has one. drained: HAProxy is to send it nothing new.
    interface: the host's in the internal network. logs: how logs are rotated here.
    """

    host: str
    address: IPv4Address
    network: IPv4Network
    domain: str
    endpoints: Endpoints = Endpoints()
    outside: IPv4Address | None = None
    drained: bool = False
    interface: str = "internal0"
    logs: LogsSpec = LogsSpec()


@dataclass(frozen=True)
class ServiceState(Parts):
    """One service on one host, with its ports and logs.

    data: directories whose files are its data: they grow, but no rule of rotation may touch them.
    """

    logs: tuple[Log, ...] = ()
    ports: tuple[Port, ...] = ()
    data: tuple[str, ...] = ()


class Service(Protocol):
    """A service of the fleet, with its settings, not yet on a host."""

    @property
    def name(self) -> str:
        """Unique on a host; the user's word for it in the settings."""

    @property
    def kind(self) -> str:
        """What a role allows: ``memcached``, ``jabber`` …; ``app`` for the user's own programs."""

    @property
    def stability(self) -> Stability:
        """Whether it can run away with a machine."""

    def offers(self) -> tuple[Offer, ...]:
        """What it offers to the rest of the fleet; the same on every host."""

    def state(self, site: Site) -> ServiceState:
        """What it is on one host. Pure."""
