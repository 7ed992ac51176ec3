"""A load balancer in HAProxy's words. Values only; ``dialect`` turns them into lines.

Timeouts and intervals are in milliseconds, as in HAProxy itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv4Address

__all__ = [
    "Acl",
    "Backend",
    "Bind",
    "Check",
    "Dialect",
    "Frontend",
    "Instance",
    "Mode",
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
    """An address and port to listen on."""

    address: IPv4Address
    port: int


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
class Check:
    """How a server is found to be up.

    kind: ``tcp`` a connection, ``http`` a GET, ``xmpp`` the answer to a stream header (2.x only).
    inter: between two checks; fall, rise: how many of one kind change the state.
    """

    kind: str = "tcp"
    path: str = ""
    host: str = ""
    expect: int = 200
    domain: str = ""
    inter: int = 2000
    fall: int = 3
    rise: int = 2


@dataclass(frozen=True)
class Server:
    """A server. minconn, maxconn: requests at a time at low and at full load; 0 means no limit."""

    name: str
    address: IPv4Address
    port: int
    minconn: int = 0
    maxconn: int = 0


@dataclass(frozen=True)
class Backend:
    """Servers that do the same. source_hash: a client's address decides; proxy: the PROXY protocol, v1."""

    name: str
    mode: Mode
    servers: tuple[Server, ...]
    check: Check
    fullconn: int = 0
    source_hash: bool = False
    proxy: bool = False
    timeout_server: int = 60_000
    timeout_queue: int = 30_000


@dataclass(frozen=True)
class Frontend:
    """What clients connect to. The first rule that holds decides; otherwise ``default_backend``."""

    name: str
    mode: Mode
    binds: tuple[Bind, ...]
    acls: tuple[Acl, ...] = ()
    rules: tuple[UseBackend, ...] = ()
    default_backend: str = ""
    timeout_client: int = 60_000
    maxconn: int = 2000


@dataclass(frozen=True)
class Instance:
    """One HAProxy process: its config, apart from every other's.

    stats_port: of the stats page, on the loopback address. socket: of the admin commands.
    """

    name: str
    maxconn: int
    stats_port: int
    frontends: tuple[Frontend, ...]
    backends: tuple[Backend, ...]
    tcp_keepalive: bool = False

    @property
    def socket(self) -> str:
        """The path of its stats socket."""
        return f"/run/haproxy-{self.name}/admin.sock"
