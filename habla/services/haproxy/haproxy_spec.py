"""The settings of the load balancer: ``habla:load_balancer`` of a stack, or ``LoadBalancerPairArgs.haproxy``.

Times are HAProxy's own: a number with ``ms``, ``s``, ``m``, ``h`` or ``d``.
"""

from __future__ import annotations

import re
from ipaddress import IPv4Interface
from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, Field, model_validator

from habla.model.names import DnsName, SecretName
from habla.model.spec import ArchiveSpec, PortNumber, Spec
from habla.model.text_types import AbsolutePath, Interface, Sha256, Url, matching, up_to_bytes

__all__ = [
    "DISTRIBUTION",
    "INSTANCES",
    "CookiesSpec",
    "DialectName",
    "HaproxyInstanceSpec",
    "HaproxySpec",
    "InstanceName",
    "ReleaseSpec",
    "TimeoutsSpec",
    "TlsSpec",
    "VrrpSpec",
    "seconds_of",
]

# The version of the distribution's package.
DISTRIBUTION = "distribution"
DialectName = Literal["1.3.14", "2.x"]
InstanceName = Literal["www", "jabber"]
INSTANCES: tuple[InstanceName, ...] = ("www", "jabber")
_STATS_PORTS = {"www": 8404, "jabber": 8405}
_STOP_AFTER = {"www": "10m", "jabber": "24h"}
Version = Annotated[
    str, matching(r"distribution|[0-9]+(\.[0-9]+){1,3}", "a version such as 2.6.12, or distribution", most=32)
]
_UNITS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
# HAProxy counts milliseconds in 32 bits with a sign (2.6 refuses more, PARSE_TIME_OVER; 1.3 wraps around).
_LONGEST = 2**31 - 1


def _milliseconds(value: str) -> int:
    found = re.fullmatch(r"([1-9][0-9]{0,9})(ms|s|m|h|d)", value, re.ASCII)
    if found is None:
        raise ValueError("a whole number with ms, s, m, h or d, such as 30s")
    return int(found[1]) * _UNITS[found[2]]


def _duration(value: str) -> str:
    """A whole number with ms, s, m, h or d, such as 30s. The most is 24d."""
    if _milliseconds(value) > _LONGEST:
        raise ValueError("at most 24d, or 2147483647ms: HAProxy counts milliseconds with 31 bits")
    return value


def seconds_of(duration: str) -> int:
    """The seconds of a time such as 24h, rounded up."""
    return -(-_milliseconds(duration) // 1000)


Duration = Annotated[str, AfterValidator(_duration)]
# Two descriptors each, and the kernel's fs.nr_open is 1,048,576 unless it was raised.
Connections = Annotated[int, Field(ge=1, le=250_000)]
OldProcesses = Annotated[int, Field(ge=0, le=1000)]
# With the head of the answer it must fit HAProxy's buffer of 16,384 bytes (2.6 takes pages of 16,117).
Page = Annotated[str, up_to_bytes(16_000, "a page has at most 16,000 bytes in UTF-8")]
# One line of a config. A tab or blank in front is not needed.
RawLine = Annotated[str, matching(r"[^\x00-\x1f\x7f]+", "one line without control characters", most=2000)]
CookieName = Annotated[
    str, matching(r"[A-Za-z0-9_.-]{1,64}", "letters, digits and . _ -, up to 64 characters")
]
CookieDomain = Annotated[
    str,
    matching(
        r"\.?[a-z0-9-]+(\.[a-z0-9-]+)+",
        "a domain of lower-case letters, digits, hyphens and dots, with or without a dot in front",
        most=254,
    ),
]
CookiePath = Annotated[
    str, matching(r"/[A-Za-z0-9._~/-]*", "begins with /; letters, digits and . _ ~ / -", most=500)
]


class ReleaseSpec(Spec):
    """The source of one version of HAProxy: a ``path``, a ``url``, or a ``binary``. The host builds an
    archive."""

    is_alternative: ClassVar[bool] = True
    path: str | None = None
    """The path of the upstream release archive, or of a directory with its sources, in the project."""
    url: Url | None = None
    """Where the host fetches the release archive. ``sha256`` is then required."""
    sha256: Sha256 | None = None
    """The SHA-256 of the archive at ``url``. The host refuses an archive with another one."""
    binary: AbsolutePath | None = None
    """The path of a HAProxy program that the host has already."""

    @model_validator(mode="after")
    def _one_source(self) -> ReleaseSpec:
        if [self.path, self.url, self.binary].count(None) != 2:
            raise ValueError("set exactly one of path, url and binary")
        if (self.url is None) != (self.sha256 is None):
            raise ValueError("set both url and sha256, or neither")
        return self

    @property
    def archive(self) -> ArchiveSpec | None:
        """The archive to build from; None where the binary is there already."""
        if self.binary is not None:
            return None
        return ArchiveSpec(path=self.path, url=self.url, sha256=self.sha256)


class TimeoutsSpec(Spec):
    """The timeouts of an instance. A connection that is silent for longer is closed."""

    connect: Duration = "1s"
    """How long HAProxy waits until a server accepts a connection. Then it tries another server."""
    client: Duration | None = None
    """How long a client may be silent: 60s for www and 24h for jabber, unless you set it."""
    server: Duration | None = None
    """How long a server may be silent: 60s for www and 24h for jabber, unless you set it."""
    queue: Duration = "30s"
    """How long a request waits for a free server."""


class TlsSpec(Spec):
    """HTTPS of the www instance. It requires dialect 2.x."""

    certificate: SecretName
    """The secret that holds the private key and the certificate chain as PEM."""
    port: PortNumber = 443
    """The port for HTTPS."""
    redirect: bool = True
    """Whether HAProxy redirects requests from HTTP to HTTPS."""


class CookiesSpec(Spec):
    """The cookies that browsers get. HAProxy replaces the domain that a backend gives a cookie."""

    domain: DnsName | None = None
    """The domain of all cookies. Without it, the domain is the website's name."""
    names: tuple[CookieName, ...] = ()
    """The cookies of which browsers may have old ones. When a backend sets one of these, HAProxy expires the
    old ones in the same answer."""
    stale_domains: tuple[CookieDomain, ...] | None = None
    """The domains that old cookies may have. Without it, they are ``.DOMAIN`` and ``.www.DOMAIN``."""
    paths: Annotated[tuple[CookiePath, ...], Field(min_length=1)] = ("/",)
    """The paths that old cookies may have."""


class HaproxyInstanceSpec(Spec):
    """One of the two HAProxy instances."""

    dialect: DialectName | None = None
    """The dialect of this instance. Without it, the instance has the dialect of the pair."""
    version: Version | None = None
    """The version of this instance. Without it, the instance has the version of the pair."""
    maxconn: Connections | None = None
    """How many connections may be open at a time: 2000 for www and 8000 for jabber, unless you set it."""
    stats_port: PortNumber | None = None
    """The port of the stats page on 127.0.0.1: 8404 for www and 8405 for jabber, unless you set it."""
    timeouts: TimeoutsSpec = TimeoutsSpec()
    """The timeouts of this instance."""
    stop_after: Duration | None = None
    """How long a process that a reload has replaced may go on with its connections: 10m for www and 24h for
    jabber, unless you set it. Then it ends and closes them."""
    tls: TlsSpec | None = None
    """HTTPS. Only www can have it, in dialect 2.x."""
    old_processes: OldProcesses = 4
    """The number of old processes that the instance may have after reloads. If it has more, the front host
    sends an alert."""
    raw: dict[str, tuple[RawLine, ...]] = Field(default_factory=dict)
    """Lines that habla puts at the end of a section of the config, unchanged. A key is the section, such as
    ``global``, ``defaults``, ``frontend www`` or ``backend rpc``."""


class VrrpSpec(Spec):
    """An address that the front hosts share. keepalived gives it to one of them at a time."""

    address: IPv4Interface
    """The shared address with its prefix length. This is the address that clients find in the DNS."""
    interface: Interface
    """The network interface of the hosts that gets the address."""
    router: Annotated[int, Field(ge=1, le=255)] = 51
    """The VRRP router number. Each pair of front hosts in an internal network needs a number of its own."""


class HaproxySpec(Spec):
    """The HAProxy instances of a front host: www serves requests, and jabber serves lasting connections."""

    dialect: DialectName = "1.3.14"
    """The configuration language: that of HAProxy 1.3.14, or that of HAProxy 2.6 and later."""
    version: Version | None = None
    """The version that runs: one of ``releases``, or ``distribution`` for Debian's package. Without it,
    dialect 1.3.14 runs 1.3.14.10, and dialect 2.x runs ``distribution``."""
    releases: dict[Version, ReleaseSpec] = Field(default_factory=dict)
    """Versions of HAProxy other than Debian's, and the source of each."""
    hosts: Annotated[tuple[DnsName, ...], Field(min_length=1)] | None = None
    """The virtual hosts of the website. The first is the website's name. Without it, that is
    ``www.DOMAIN``."""
    redirects: tuple[DnsName, ...] | None = None
    """The virtual hosts that lead to the website by a redirect. Without it, this is ``DOMAIN``, unless
    ``hosts`` contains it."""
    cookies: CookiesSpec = CookiesSpec()
    """The cookies of the website."""
    maintenance: Page | None = None
    """The HTML page that visitors see while no server is available. Without it, they see a plain page."""
    www: HaproxyInstanceSpec = HaproxyInstanceSpec()
    """The instance for requests."""
    jabber: HaproxyInstanceSpec = HaproxyInstanceSpec()
    """The instance for XMPP, BOSH and websocket connections."""
    vrrp: VrrpSpec | None = None
    """The address that several front hosts share."""

    def instance(self, name: InstanceName) -> HaproxyInstanceSpec:
        """The settings of one of the two instances."""
        return self.www if name == "www" else self.jabber

    def dialect_of(self, name: InstanceName) -> DialectName:
        """The dialect of an instance: its own, or the pair's."""
        return self.instance(name).dialect or self.dialect

    def version_of(self, name: InstanceName) -> str:
        """The version that an instance runs."""
        dialect = self.dialect_of(name)
        # A version of the pair fits an instance only while that has the pair's dialect.
        shared = self.version if dialect == self.dialect else None
        default = "1.3.14.10" if dialect == "1.3.14" else DISTRIBUTION
        return self.instance(name).version or shared or default

    def stop_after_of(self, name: InstanceName) -> str:
        """The time after which a replaced process of an instance ends."""
        return self.instance(name).stop_after or _STOP_AFTER[name]

    def stats_port_of(self, name: InstanceName) -> int:
        """The port of an instance's stats page, on the loopback address."""
        return self.instance(name).stats_port or _STATS_PORTS[name]
