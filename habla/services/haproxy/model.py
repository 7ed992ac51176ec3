"""A load balancer in HAProxy's words. Values only; ``dialect`` turns them into lines.

Times are texts with a unit, as HAProxy reads them: ``5s``, ``24h``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass, field
from enum import StrEnum
from ipaddress import IPv4Address
from typing import Literal

from habla.onhost.haproxy.instances import directory, unit

__all__ = [
    "Acl",
    "Backend",
    "Bind",
    "Check",
    "CookiePolicy",
    "Dialect",
    "Frontend",
    "Instance",
    "Mode",
    "Redirect",
    "Server",
    "UseBackend",
]


class Dialect(StrEnum):
    """A configuration language, by the version that introduced it."""

    V1_3_14 = "1.3.14"
    V2 = "2.x"


class Mode(StrEnum):
    """Which protocol a proxy understands."""

    HTTP = "http"
    TCP = "tcp"


@dataclass(frozen=True)
class Bind:
    """An address and port to listen on. certificate: a file with key and chain, for TLS."""

    address: IPv4Address
    port: int
    certificate: str = ""


@dataclass(frozen=True)
class Acl:
    """A named condition: ``acl NAME CRITERION VALUES``. Lines of the same name add up."""

    name: str
    criterion: str
    values: tuple[str, ...]


@dataclass(frozen=True)
class UseBackend:
    """Requests that meet all the ACLs go to the backend."""

    backend: str
    conditions: tuple[str, ...]


@dataclass(frozen=True)
class Redirect:
    """Requests that meet the ACLs are answered with 301 to ``prefix`` and their own path."""

    prefix: str
    conditions: tuple[str, ...] = ()


@dataclass(frozen=True)
class CookiePolicy:
    """Cookies are for ``domain`` only, even if a server asks for another domain.

    When a server sets one of ``names``, cookies of that name for one of ``stale_domains``, or for the host
    alone, with one of ``paths``, are expired in the same answer, ahead of the new one.
    """

    domain: str
    names: tuple[str, ...] = ()
    _: KW_ONLY
    stale_domains: tuple[str, ...] = ()
    paths: tuple[str, ...] = ("/",)


@dataclass(frozen=True)
class Check:
    """How a server is found to be up.

    kind: ``tcp`` a connection, ``http`` a GET, ``xmpp`` the answer to a stream header of ``namespace``.
    port: where it asks, in place of the server's. inter: between two checks, and the time for one; fast: in
    place of ``inter`` while the state changes, in 2.x. fall, rise: how many of one kind change the state.
    """

    kind: Literal["tcp", "http", "xmpp"] = "tcp"
    path: str = ""
    host: str = ""
    expect: int = 200
    domain: str = ""
    namespace: str = "jabber:client"
    port: int = 0
    inter: str = "2s"
    fast: str = ""
    fall: int = 3
    rise: int = 2


@dataclass(frozen=True)
class Server:
    """A server. minconn, maxconn: requests at a time at low and at full load; 0 means no limit."""

    name: str
    address: IPv4Address
    _: KW_ONLY
    port: int
    minconn: int = 0
    maxconn: int = 0


@dataclass(frozen=True)
class Backend:
    """Servers that do the same. source_hash: a client's address decides; proxy: the PROXY protocol, v1.

    persistent: connections last for as long as their server is up. slow_start: the time in which a server
    that is up again reaches its full share; empty: at once. responder: the port where each server's host says
    whether it is drained, and, to a dialect whose own checks cannot do it, whether the service is
    well (``habla/services/drain_responder.py``); 0: none.
    """

    name: str
    mode: Mode
    _: KW_ONLY
    servers: tuple[Server, ...]
    check: Check
    fullconn: int = 0
    source_hash: bool = False
    persistent: bool = False
    proxy: bool = False
    slow_start: str = ""
    responder: int = 0
    timeout_server: str = "60s"
    timeout_queue: str = "30s"


@dataclass(frozen=True)
class Frontend:
    """The address that clients connect to, and its rules.

    Redirects come first, then the first rule that holds, or ``default_backend``.

    https: the port that requests without TLS are sent on to; 0: none. persistent: its connections last, and
    may change from HTTP to another protocol (websocket).
    """

    name: str
    mode: Mode
    _: KW_ONLY
    binds: tuple[Bind, ...]
    acls: tuple[Acl, ...] = ()
    rules: tuple[UseBackend, ...] = ()
    default_backend: str = ""
    redirects: tuple[Redirect, ...] = ()
    https: int = 0
    cookies: CookiePolicy | None = None
    persistent: bool = False
    timeout_client: str = "60s"
    maxconn: int = 2000


@dataclass(frozen=True)
class Instance:
    """One HAProxy process: its config, apart from every other's.

    user: the Unix user and group it runs as. facility: of its log. stats_port: of the stats page, on the
    loopback address. stop_after: when a process ends that a reload has replaced. unavailable: the file with
    the answer that is given while no server is left.
    raw: section -> lines put at its end as they are.
    """

    name: str
    maxconn: int
    _: KW_ONLY
    stats_port: int
    frontends: tuple[Frontend, ...]
    backends: tuple[Backend, ...]
    user: str = "haproxy"
    facility: str = "local0"
    timeout_connect: str = "1s"
    stop_after: str = "10m"
    unavailable: str = ""
    tcp_keepalive: bool = False
    raw: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def run(self) -> str:
        """Its directory below /run."""
        return directory(self.name)

    @property
    def config(self) -> str:
        """The path of its config, as habla writes it."""
        return f"/etc/haproxy/{self.name}.cfg"

    @property
    def unit(self) -> str:
        """Its unit of systemd."""
        return unit(self.name)
