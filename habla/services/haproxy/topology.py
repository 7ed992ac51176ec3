"""The services of the fleet -> the two load balancers in front of them. Backends are derived, not written."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from ipaddress import IPv4Address
from typing import assert_never

from habla.errors import DialectError, Fault, SettingsError, raise_faults
from habla.model.offer import DRAIN_PORT, Balancer, HttpCheck, XmppCheck
from habla.model.site import Endpoint, Site
from habla.services.haproxy.haproxy_spec import HaproxyInstanceSpec, HaproxySpec
from habla.services.haproxy.model import (
    Acl,
    Backend,
    Bind,
    Check,
    CookiePolicy,
    Dialect,
    Frontend,
    Instance,
    Mode,
    Redirect,
    Server,
    UseBackend,
)
from habla.services.haproxy.website import Website, route_faults, website, website_faults

__all__ = ["CERTIFICATE", "UNAVAILABLE", "bind_address", "jabber_instance", "www_instance"]

CERTIFICATE = "/etc/haproxy/www.pem"
UNAVAILABLE = "/etc/haproxy/unavailable.http"
_WWW_PORT = 80
# A Jabber connection lives for as long as the user is at work; keepalives find the dead ones.
_PERSISTENT = "24h"
# A program that has just started is slower than it will be: its caches are empty.
_SLOW_START = "10s"
_STATIC = "static"


def bind_address(spec: HaproxySpec, site: Site) -> IPv4Address:
    """The public address that HAProxy binds to: the shared one, or the host's. Raises SettingsError."""
    if spec.vrrp is not None:
        return spec.vrrp.address.ip
    if site.outside is None:
        path = f"hosts.{site.host}.outside_address"
        rule = "HAProxy listens on the public address of its host"
        raise SettingsError([Fault(path, "missing", rule=rule, fix="set the public address of the host")])
    return site.outside


def www_instance(spec: HaproxySpec, site: Site) -> Instance:
    """WWW connections: one backend per service, chosen by virtual host and path, longest path first."""
    own = spec.www
    offers, names = site.fleet.behind(Balancer.WWW), website(spec, site.fleet.domain)
    routes = sorted(
        ((route, ends[0].offer) for ends in offers.values() for route in ends[0].offer.routes),
        key=lambda item: (-len(item[0].path), not item[0].host, item[0], item[1].name),
    )
    raise_faults(SettingsError, [*website_faults(names), *route_faults(names, routes)])
    acls: dict[str, tuple[Acl, ...]] = {}
    rules = []
    default = ""
    redirects, elsewhere = _redirects(spec, site, names=names, offers=offers, acls=acls)
    for route, offer in routes:
        if not route.path and not route.host:
            default = offer.name
            continue
        conditions = [_host_acl((route.host,) if route.host else names.hosts, acls)]
        if route.path:
            conditions.append(_path_acl(route.path, acls))
        rules.append(UseBackend(offer.name, tuple(conditions)))
    maxconn = own.maxconn or 2000
    address = bind_address(spec, site)
    binds = [Bind(address, _WWW_PORT)]
    if own.tls:
        binds.append(Bind(address, own.tls.port, CERTIFICATE))
    cookies = spec.cookies
    frontend = Frontend(
        "www",
        Mode.HTTP,
        binds=tuple(binds),
        acls=tuple(acl for lines in acls.values() for acl in lines),
        rules=(*elsewhere, *rules),
        default_backend=default,
        redirects=redirects,
        https=own.tls.port if own.tls and own.tls.redirect else 0,
        cookies=CookiePolicy(
            names.cookie_domain, cookies.names, stale_domains=names.stale_domains, paths=cookies.paths
        ),
        timeout_client=own.timeouts.client or "60s",
        maxconn=maxconn,
    )
    dialect = Dialect(spec.dialect_of("www"))
    backends = tuple(
        _http_backend(name, ends, host=names.hosts[0], own=own, dialect=dialect)
        for name, ends in offers.items()
    )
    return Instance(
        "www",
        maxconn,
        stats_port=spec.stats_port_of("www"),
        frontends=(frontend,),
        backends=backends,
        user="haproxy-www",
        facility="local0",
        timeout_connect=own.timeouts.connect,
        stop_after=spec.stop_after_of("www"),
        unavailable=UNAVAILABLE,
        raw=own.raw,
    )


def jabber_instance(spec: HaproxySpec, site: Site) -> Instance:
    """Persistent connections: XMPP as TCP, BOSH and websocket as HTTP with one server per client."""
    own = spec.jabber
    if own.tls is not None:
        rule = "ejabberd encrypts Jabber connections itself (STARTTLS)"
        fault = Fault(
            "load_balancer.jabber.tls", "the jabber instance has no tls", rule=rule, fix="remove it"
        )
        raise SettingsError([fault])
    offered = site.fleet.behind(Balancer.JABBER)
    maxconn = own.maxconn or _jabber_maxconn(offered)
    dialect = Dialect(spec.dialect_of("jabber"))
    frontends, backends = [], []
    for name, ends in offered.items():
        offer = ends[0].offer
        mode = Mode.HTTP if isinstance(offer.check, HttpCheck) else Mode.TCP
        frontends.append(
            Frontend(
                # HAProxy 3.3 and later allow no frontend and backend of one name.
                f"{name}-in",
                mode,
                binds=(Bind(bind_address(spec, site), offer.public_port),),
                default_backend=name,
                persistent=True,
                timeout_client=own.timeouts.client or _PERSISTENT,
                maxconn=maxconn,
            )
        )
        backends.append(
            Backend(
                name,
                mode,
                servers=_servers(ends, dialect=dialect),
                check=replace(_check(ends[0], site.fleet.domain), fall=2, fast="500ms"),
                # To the node that has a client's BOSH session; another one would have to ask that.
                source_hash=offer.by_source,
                persistent=True,
                proxy=offer.proxy_protocol,
                slow_start="" if offer.by_source else _SLOW_START,
                responder=DRAIN_PORT,
                timeout_server=own.timeouts.server or _PERSISTENT,
                timeout_queue=own.timeouts.queue,
            )
        )
    return Instance(
        "jabber",
        maxconn,
        stats_port=spec.stats_port_of("jabber"),
        frontends=tuple(frontends),
        backends=tuple(backends),
        user="haproxy-jabber",
        facility="local1",
        timeout_connect=own.timeouts.connect,
        stop_after=spec.stop_after_of("jabber"),
        tcp_keepalive=True,
        raw=own.raw,
    )


def _jabber_maxconn(offered: Mapping[str, tuple[Endpoint, ...]]) -> int:
    """Room for all expected sessions, and a quarter more: clients come back before their old ones end."""
    expected = max((ends[0].offer.sessions for ends in offered.values()), default=0)
    return max(8000, expected * 5 // 4)


def _servers(ends: tuple[Endpoint, ...], *, dialect: Dialect) -> tuple[Server, ...]:
    return tuple(
        Server(
            end.host,
            end.address,
            port=end.offer.port,
            minconn=_minconn(end.offer.maxconn, dialect),
            maxconn=end.offer.maxconn,
        )
        for end in ends
    )


def _minconn(maxconn: int, dialect: Dialect) -> int:
    """The requests that a server works on at low load."""
    match dialect:
        case Dialect.V1_3_14:
            # It gives requests to servers in turn, so only a full server makes it choose the faster one.
            return min(1, maxconn)
        case Dialect.V2:
            # At a quarter, requests spread early instead of piling up on one server.
            return (maxconn + 3) // 4
        case _:
            assert_never(dialect)


def _check(end: Endpoint, host: str) -> Check:
    """host: the ``Host`` header of a check, unless the service names one."""
    match end.offer.check:
        case HttpCheck(path=path, expect=expect, host=asked):
            return Check("http", path, asked or host, expect)
        case XmppCheck(namespace, domain=domain, port=port):
            return Check("xmpp", domain=domain or host, namespace=namespace, port=port)
        case None:
            return Check("tcp")


def _http_backend(
    name: str, ends: tuple[Endpoint, ...], *, host: str, own: HaproxyInstanceSpec, dialect: Dialect
) -> Backend:
    offer = ends[0].offer
    check = _check(ends[0], host)
    if len(ends) > 1:
        # Another server can take over at once. A single one may start anew before its visitors give up.
        inter = "1s" if dialect is Dialect.V2 else "500ms"
        check = replace(check, inter=inter, fast="250ms", fall=2)
    return Backend(
        name,
        Mode.HTTP,
        servers=_servers(ends, dialect=dialect),
        check=check,
        slow_start=_SLOW_START if len(ends) > 1 else "",
        # With as many requests as the servers can take together, each works at its full limit.
        fullconn=offer.maxconn * len(ends),
        responder=DRAIN_PORT,
        timeout_server=own.timeouts.server or "60s",
        timeout_queue=own.timeouts.queue,
    )


def _redirects(
    spec: HaproxySpec,
    site: Site,
    *,
    names: Website,
    offers: dict[str, tuple[Endpoint, ...]],
    acls: dict[str, tuple[Acl, ...]],
) -> tuple[tuple[Redirect, ...], tuple[UseBackend, ...]]:
    """The redirects to the website's virtual host. HAProxy sends them; for 1.3.14 the static servers do."""
    if not names.redirects:
        return (), ()
    condition = _host_acl(names.redirects, acls)
    if Dialect(spec.dialect_of("www")) is Dialect.V2:
        return (Redirect(site.fleet.website, (condition,)),), ()
    raise_faults(DialectError, _redirect_faults(names, site, offers=offers))
    return (), (UseBackend(_STATIC, (condition,)),)


def _redirect_faults(
    names: Website, site: Site, *, offers: dict[str, tuple[Endpoint, ...]]
) -> Iterator[Fault]:
    path = "load_balancer.redirects"
    fix = "set redirects to [], or load_balancer.www.dialect to 2.x"
    domain = site.fleet.domain
    rule = f"in dialect 1.3.14 the static image servers redirect {domain} to www.{domain}, and nothing else"
    if _STATIC not in offers:
        value = ", ".join(names.redirects)
        yield Fault(path, "no static image server", value=value, rule=rule, fix=fix)
    for host in names.redirects:
        if host != domain or names.hosts[0] != f"www.{domain}":
            what = f"no redirect to {names.hosts[0]} in dialect 1.3.14"
            yield Fault(path, what, value=host, rule=rule, fix=fix)


def _host_acl(hosts: tuple[str, ...], acls: dict[str, tuple[Acl, ...]]) -> str:
    """The ACL for virtual hosts. Its name is that of the host, or of the first of several and no other's."""
    name = f"host{'s' if len(hosts) > 1 else ''}_{hosts[0]}"
    # A client on another port than 80 says so in the header.
    with_port = tuple(f"{host}:" for host in hosts)
    acls[name] = (Acl(name, "hdr(host) -i", hosts), Acl(name, "hdr_beg(host) -i", with_port))
    return name


def _path_acl(path: str, acls: dict[str, tuple[Acl, ...]]) -> str:
    """The ACL for a path. Names have no ``/`` or ``~``, and paths no ``:``, so each path has its own."""
    bare = path.rstrip("/")
    name = "path" + bare.replace("_", ":u").replace("~", ":t").replace("/", "_")
    # ``/rpc`` means /rpc and the paths below it, not /rpcs.
    acls[name] = (Acl(name, "path", (bare or "/",)), Acl(name, "path_beg", (f"{bare}/",)))
    return name
