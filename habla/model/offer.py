"""Offers of services to the rest of a fleet: ports, routes, health checks."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass, replace
from enum import StrEnum

__all__ = [
    "DRAIN_PORT",
    "WEBSITE_URL",
    "Balancer",
    "HttpCheck",
    "Offer",
    "OfferedValue",
    "Route",
    "XmppCheck",
]

# On this port a host with balanced services answers HAProxy: whether it is drained, and whether they work.
DRAIN_PORT = 8099
# The name of the value that says where the website is.
WEBSITE_URL = "website.url"


class Balancer(StrEnum):
    """The HAProxy instances of a fleet."""

    WWW = "www"
    JABBER = "jabber"


@dataclass(frozen=True)
class HttpCheck:
    """An HTTP health check: GET ``path`` with ``host`` as its Host header must answer ``expect``."""

    path: str
    expect: int = 200
    _: KW_ONLY
    host: str = ""


@dataclass(frozen=True)
class XmppCheck:
    """An XMPP health check: the server must answer a stream of this namespace with its features.

    domain: the domain of the stream; empty: the domain of the fleet. port: the port of the check; the port of
    the offer itself begins with TLS.
    """

    namespace: str = "jabber:client"
    _: KW_ONLY
    domain: str = ""
    port: int = 0


@dataclass(frozen=True, order=True)
class Route:
    """The requests for a service: by virtual host, path prefix, or both; neither means all the rest."""

    host: str = ""
    path: str = ""


@dataclass(frozen=True, order=True)
class OfferedValue:
    """A value that apps may name in their environment, besides address and port of an offer.

    name: as in ``${NAME}``. text: in it ``{address}`` is a host with the offer, ``{app}`` the name of
    the app, ``{domain}`` the fleet's, ``{website}`` the URL of the website, ``{website_scheme}``,
    ``{website_host}`` and ``{website_port}`` (with its colon) its parts, and ``{OFFER_port}`` the port at
    which clients outside reach an offer. Where several hosts have the offer the value has a text for each,
    with commas between them.
    secret: the name of a secret, with ``{app}`` in it, whose value it is in place of a text.
    users: the apps that may name it; None: all.
    """

    name: str
    text: str = ""
    _: KW_ONLY
    secret: str = ""
    users: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Offer:
    """An offer of a service to the rest of the fleet, on one TCP port.

    port: 0 if there is no port to connect to, and only the presence of the service matters.
    balancer: the HAProxy instance in front of it, if any.
    public_port: the port on which that instance offers it, when it is not the instance's own.
    maxconn: requests a server works on at a time; more wait in HAProxy's queue. 0 means no limit.
    proxy_protocol: whether the service expects the PROXY protocol from HAProxy.
    alive_path: the path of a page that changes as long as the service works. The service is then a monitor:
        watchers ask for that page, and every host lets it ask for SNMP.
    by_source: a client always comes to the same server as long as that one is up.
    sessions: connections that are open at once, on all servers together, if that is known.
    values: more values that apps may name, besides its address and port.
    setting: the YAML path of the routes, for faults.
    label: its name for people. In it, and in the hosts of routes and checks, ``{domain}`` becomes the
        fleet's domain. url: its URL on a ``{port}`` of the loopback address.
    """

    name: str
    port: int
    _: KW_ONLY
    balancer: Balancer | None = None
    public_port: int = 0
    routes: tuple[Route, ...] = ()
    check: HttpCheck | XmppCheck | None = None
    maxconn: int = 0
    proxy_protocol: bool = False
    alive_path: str = ""
    setting: str = ""
    by_source: bool = False
    sessions: int = 0
    values: tuple[OfferedValue, ...] = ()
    label: str = ""
    url: str = ""

    def of_domain(self, domain: str) -> Offer:
        """The offer in a fleet of this domain: its name in the place of ``{domain}``."""
        check = self.check
        if isinstance(check, HttpCheck):
            check = replace(check, host=check.host.format(domain=domain))
        return replace(
            self,
            routes=tuple(Route(route.host.format(domain=domain), route.path) for route in self.routes),
            check=check,
            label=self.label.format(domain=domain),
        )
