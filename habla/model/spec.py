"""The settings of each service: frozen, strict, unknown keys refused.

They are what stands under ``habla:services`` and ``habla:apps`` in a stack, and what a user of the library
hands to a component. Sizes are in MB (1,000,000 bytes are not meant: 1 MB = 2**20 bytes), times in seconds.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from habla.model.names import AbsolutePath, DnsName, SecretName, ServiceName

__all__ = [
    "AppSpec",
    "ArchiveSpec",
    "HealthSpec",
    "Interface",
    "JabberSpec",
    "LimitsSpec",
    "Line",
    "LogSize",
    "LogSpec",
    "MemcachedSpec",
    "MemqdSpec",
    "MysqlSpec",
    "PortNumber",
    "RouteSpec",
    "Spec",
    "StaticSpec",
]

PortNumber = Annotated[int, Field(ge=1, le=65535)]
Interface = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]{1,15}$")]
LogSize = Annotated[str, Field(pattern=r"^[1-9][0-9]*[kMG]$")]
Identifier = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,31}$")]
# One line, no control characters: it becomes a line of a unit or of an environment file.
Line = Annotated[str, Field(pattern=r"^[^\x00-\x1f\x7f]*$")]


class Spec(BaseModel):
    """Base of all settings."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")


class MemcachedSpec(Spec):
    """memcached, on the internal address only."""

    port: PortNumber = 11211
    memory_mb: Annotated[int, Field(ge=1)] = 64
    max_connections: Annotated[int, Field(ge=1)] = 1024


class MemqdSpec(Spec):
    """The fleet's queue daemon. ``beanstalkd`` writes every job to its log before it answers."""

    engine: Literal["beanstalkd"] = "beanstalkd"
    port: PortNumber = 11300
    max_job_bytes: Annotated[int, Field(ge=1)] = 65535


class MysqlSpec(Spec):
    """MySQL (MariaDB): one database and one user who may do everything in it, from the internal network.

    password: the name of the secret that holds the user's password.
    """

    port: PortNumber = 3306
    database: Identifier = "habla"
    user: Identifier = "habla"
    password: SecretName = "mysql/habla"
    buffer_pool_mb: Annotated[int, Field(ge=5)] = 128
    max_connections: Annotated[int, Field(ge=10)] = 151


class JabberSpec(Spec):
    """ejabberd, one cluster over all the hosts that run it.

    certificate: the secret that holds private key and certificate chain as PEM; when it is not given each
        host signs one for itself, which clients cannot verify.
    cookie: the secret that holds the Erlang cookie, which lets a node into the cluster.
    net_ticktime: seconds until a lost node is given up; logins on the others wait for as long.
    s2s_port: for other XMPP servers; null turns that off.
    proxy_protocol: HAProxy hands on the client's address. HAProxy 1.3 cannot: then it must be false.
    """

    c2s_port: PortNumber = 5222
    s2s_port: PortNumber | None = 5269
    http_port: PortNumber = 5280
    cluster_port: PortNumber = 5210
    certificate: SecretName | None = None
    cookie: SecretName = "jabber/cookie"
    net_ticktime: Annotated[int, Field(ge=4, le=120)] = 8
    proxy_protocol: bool = True
    admins: tuple[str, ...] = ()
    max_sessions_per_user: Annotated[int, Field(ge=1)] = 10


class ArchiveSpec(Spec):
    """A directory or tar archive beside the stack (``path``), or one that hosts fetch (``url``).

    include: directories whose files go into it too, such as what several programs share.
    """

    path: str | None = None
    include: tuple[str, ...] = ()
    url: Annotated[str, Field(pattern=r"^https?://\S+$")] | None = None
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = None

    @model_validator(mode="after")
    def _one_source(self) -> ArchiveSpec:
        if (self.path is None) == (self.url is None):
            raise ValueError("give either path or url")
        if self.include and self.path is None:
            raise ValueError("include goes with path")
        if self.url is not None and self.sha256 is None:
            raise ValueError("a url needs the sha256 of what it serves")
        return self


class StaticSpec(Spec):
    """nginx for static images. ``host`` is the virtual host that HAProxy sends to it."""

    host: DnsName = "static.hab.la"
    port: PortNumber = 8080
    content: ArchiveSpec | None = None
    max_age: Annotated[int, Field(ge=0)] = 3600


class HealthSpec(Spec):
    """An HTTP GET of ``path`` must answer with status ``expect``, within ``deadline`` seconds of a start."""

    path: Annotated[str, Field(pattern=r"^/\S*$")]
    expect: Annotated[int, Field(ge=100, le=599)] = 200
    deadline: Annotated[int, Field(ge=1, le=600)] = 30


class RouteSpec(Spec):
    """Requests for this virtual host, this path prefix, or both."""

    host: DnsName | None = None
    path: Annotated[str, Field(pattern=r"^/[A-Za-z0-9._~/-]*$")] | None = None

    @model_validator(mode="after")
    def _something(self) -> RouteSpec:
        if self.host is None and self.path is None:
            raise ValueError("give a host, a path or both")
        return self


class LogSpec(Spec):
    """Log files (a glob), rotated by size: ``keep`` old ones of ``size`` each.

    rate: how much one of them grows in a minute at most. files: how many files the glob stands for.
    """

    path: AbsolutePath
    size: LogSize = "1M"
    keep: Annotated[int, Field(ge=1, le=100)] = 3
    rate: LogSize | None = None
    files: Annotated[int, Field(ge=1, le=1000)] = 1


class LimitsSpec(Spec):
    """What a program may use at most: memory, processes and threads, share of one CPU in %, open files."""

    memory_mb: Annotated[int, Field(ge=16)] = 512
    tasks: Annotated[int, Field(ge=1)] = 256
    cpu_percent: Annotated[int, Field(ge=1)] | None = None
    open_files: Annotated[int, Field(ge=64)] = 4096


class AppSpec(Spec):
    """A program of the user's own, run by systemd as a user of its own.

    roles: the roles whose hosts run it. command: the program and its arguments; ``{app}`` is where the
    archive was unpacked. environment: values may name what other services offer, as ``${mysql.address}`` or
    ``${mysql.port}``, and this host, as ``${host.address}`` or ``${host.name}``. secrets: environment
    variable -> name of a secret. routes: requests that HAProxy's www instance sends here; ``default: true``
    takes what no other route wants. maxconn: requests one server works on at a time (0: no limit).
    """

    roles: Annotated[tuple[str, ...], Field(min_length=1)]
    command: Annotated[tuple[Line, ...], Field(min_length=1)]
    stability: Literal["stable", "volatile"] = "stable"
    archive: ArchiveSpec | None = None
    packages: tuple[str, ...] = ()
    user: ServiceName | None = None
    port: PortNumber | None = None
    environment: dict[Identifier, Line] = Field(default_factory=dict)
    secrets: dict[Identifier, SecretName] = Field(default_factory=dict)
    health: HealthSpec | None = None
    routes: tuple[RouteSpec, ...] = ()
    default: bool = False
    maxconn: Annotated[int, Field(ge=0)] = 0
    logs: tuple[LogSpec, ...] = ()
    limits: LimitsSpec = LimitsSpec()

    @property
    def balanced(self) -> bool:
        """Whether HAProxy sends requests to it."""
        return bool(self.routes) or self.default
