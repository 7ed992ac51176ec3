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
]

# The version that the distribution's package has, whatever its number.
DISTRIBUTION = "distribution"
DialectName = Literal["1.3.14", "2.x"]
InstanceName = Literal["www", "jabber"]
INSTANCES: tuple[InstanceName, ...] = ("www", "jabber")
_STATS_PORTS = {"www": 8404, "jabber": 8405}
Version = Annotated[
    str, matching(r"distribution|[0-9]+(\.[0-9]+){1,3}", "a version such as 2.6.12, or distribution", most=32)
]
_UNITS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
# HAProxy counts milliseconds in 32 bits with a sign (2.6 refuses more, PARSE_TIME_OVER; 1.3 wraps around).
_LONGEST = 2**31 - 1


def _duration(value: str) -> str:
    found = re.fullmatch(r"([1-9][0-9]{0,9})(ms|s|m|h|d)", value, re.ASCII)
    if found is None:
        raise ValueError("a whole number with ms, s, m, h or d, such as 30s")
    if int(found[1]) * _UNITS[found[2]] > _LONGEST:
        raise ValueError("at most 24d, or 2147483647ms: HAProxy counts milliseconds with 31 bits")
    return value


Duration = Annotated[str, AfterValidator(_duration)]
# Two descriptors each, and the kernel's fs.nr_open is 1,048,576 unless somebody raised it.
Connections = Annotated[int, Field(ge=1, le=250_000)]
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
    """Where one version of HAProxy comes from.

    Either ``path``, the upstream release archive beside the stack; or ``url`` and ``sha256``, which hosts
    fetch and check; or ``binary``, a HAProxy that is on the hosts already. Archives are built on the host.
    """

    is_alternative: ClassVar[bool] = True
    path: str | None = None
    url: Url | None = None
    sha256: Sha256 | None = None
    binary: AbsolutePath | None = None

    @model_validator(mode="after")
    def _one_source(self) -> ReleaseSpec:
        if [self.path, self.url, self.binary].count(None) != 2:
            raise ValueError("give one of path, url and binary")
        if (self.url is None) != (self.sha256 is None):
            raise ValueError("url and sha256 go together")
        return self

    @property
    def archive(self) -> ArchiveSpec | None:
        """The archive to build from; None where the binary is there already."""
        if self.binary is not None:
            return None
        return ArchiveSpec(path=self.path, url=self.url, sha256=self.sha256)


class TimeoutsSpec(Spec):
    """connect: until a server takes a connection. queue: for a free server. client, server: of silence."""

    connect: Duration = "5s"
    client: Duration | None = None
    server: Duration | None = None
    queue: Duration = "30s"


class TlsSpec(Spec):
    """HTTPS of the www instance, in dialect 2.x.

    certificate: the secret that holds private key and certificate chain as PEM. redirect: what comes by HTTP
    is sent to HTTPS.
    """

    certificate: SecretName
    port: PortNumber = 443
    redirect: bool = True


class CookiesSpec(Spec):
    """Which cookies browsers get: only ever for ``domain``, whatever a backend says.

    domain: the website's name by default. stale_domains: that domain and the one above it by default.
    names: the cookies of which old ones may be around, set for ``stale_domains`` or for the host alone, with
    one of ``paths``. Whenever a backend sets one of them, the old ones are expired in the same answer.
    """

    domain: DnsName | None = None
    names: tuple[CookieName, ...] = ()
    stale_domains: tuple[CookieDomain, ...] | None = None
    paths: Annotated[tuple[CookiePath, ...], Field(min_length=1)] = ("/",)


class HaproxyInstanceSpec(Spec):
    """One HAProxy instance. dialect, version: when they differ from the pair's.

    maxconn: connections at a time; each takes two file descriptors. stats_port: on the loopback address. What
    is not given is 2000 connections and port 8404 for www, 8000 and 8405 for jabber.
    raw: section (``global``, ``defaults``, ``frontend www``, ``backend rpc`` …) -> lines that are put at its
    end as they are.
    """

    dialect: DialectName | None = None
    version: Version | None = None
    maxconn: Connections | None = None
    stats_port: PortNumber | None = None
    timeouts: TimeoutsSpec = TimeoutsSpec()
    tls: TlsSpec | None = None
    raw: dict[str, tuple[RawLine, ...]] = Field(default_factory=dict)


class VrrpSpec(Spec):
    """An address that two front hosts share; one of them has it at a time.

    address: with its prefix length. interface: the hosts' interface that it moves on. router: the VRRP
    number, one of its own for each pair in a network.
    """

    address: IPv4Interface
    interface: Interface
    router: Annotated[int, Field(ge=1, le=255)] = 51


class HaproxySpec(Spec):
    """The pair of HAProxy instances.

    dialect: the configuration language, which follows the version that runs. version: 1.3.14.10 for dialect
    1.3.14, the distribution's for 2.x; any other is one of ``releases``.
    hosts: the virtual hosts of the website, the first is its name; ``www.DOMAIN`` by default.
    redirects: those that are sent there; ``DOMAIN`` by default.
    maintenance: the page (HTML) that is shown while no server is left.
    """

    dialect: DialectName = "1.3.14"
    version: Version | None = None
    releases: dict[Version, ReleaseSpec] = Field(default_factory=dict)
    hosts: Annotated[tuple[DnsName, ...], Field(min_length=1)] | None = None
    redirects: tuple[DnsName, ...] | None = None
    cookies: CookiesSpec = CookiesSpec()
    maintenance: Page | None = None
    www: HaproxyInstanceSpec = HaproxyInstanceSpec()
    jabber: HaproxyInstanceSpec = HaproxyInstanceSpec()
    vrrp: VrrpSpec | None = None

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

    def stats_port_of(self, name: InstanceName) -> int:
        """The port of an instance's stats page, on the loopback address."""
        return self.instance(name).stats_port or _STATS_PORTS[name]
