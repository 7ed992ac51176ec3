"""The pair of HAProxy instances as a service: who stands behind them is derived from where services stand."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

from habla.errors import Fault, SettingsError, raise_faults
from habla.model.service import Endpoint, Log, Offer, Port, Route, Scope, ServiceState, Site, Stability
from habla.model.specs import HaproxyInstanceSpec, HaproxySpec
from habla.model.state import Check as FileCheck
from habla.model.state import File, Health, Unit
from habla.services.haproxy.dialect import render
from habla.services.haproxy.model import (
    Acl,
    Backend,
    Bind,
    Check,
    Dialect,
    Frontend,
    Instance,
    Mode,
    Server,
    UseBackend,
)

__all__ = ["Haproxy"]

_UNIT = "/etc/systemd/system/haproxy@.service"
_WWW_PORT = 80
# A Jabber connection lives for as long as the user is at work; keepalives find the dead ones.
_PERSISTENT = 24 * 3600 * 1000


@dataclass(frozen=True)
class Haproxy:
    """The pair of instances with its settings. proxy_protocol: what the jabber backends expect."""

    spec: HaproxySpec = HaproxySpec()
    proxy_protocol: bool = True
    name: str = "haproxy"
    kind: str = "haproxy"
    stability: Stability = Stability.STABLE

    def offers(self) -> tuple[Offer, ...]:
        """Nothing to the rest of the fleet: its clients are outside."""
        return ()

    def state(self, site: Site) -> ServiceState:
        """Two configs, two services of one template unit; a change of one config reloads one of them."""
        if site.outside is None:
            path = f"hosts.{site.host}.outside_address"
            rule = "HAProxy binds to the public address of its host"
            raise SettingsError([Fault(path, "missing", "", rule, "give the host's public address")])
        dialect = Dialect(self.spec.dialect)
        instances = (self.www(site), self.jabber(site))
        faults = [
            Fault(f"load_balancer.{instance.name}", "two services listen on one port", str(port), rule, fix)
            for rule, fix in (("a port of an instance belongs to one frontend", "change one of them"),)
            for instance in instances
            for port in _doubled(bind.port for front in instance.frontends for bind in front.binds)
        ]
        raise_faults(SettingsError, faults)
        files = {_UNIT: File(_unit(self._binary(dialect), dialect))}
        units, checks, health = {}, {}, {}
        for instance in instances:
            config, unit = f"/etc/haproxy/{instance.name}.cfg", f"haproxy@{instance.name}.service"
            files[config] = File(render(instance, dialect))
            units[unit] = Unit(restart_on=(_UNIT,), reload_on=(config,))
            checks[instance.name] = FileCheck((self._binary(dialect), "-c", "-f", f"{{{config}}}"), (config,))
            health[f"{instance.name}-stats"] = Health(unit, address="127.0.0.1", port=instance.stats_port)
            for frontend in instance.frontends:
                for bind in frontend.binds:
                    health[f"{instance.name}-{frontend.name}"] = Health(
                        unit, address=str(bind.address), port=bind.port
                    )
        return ServiceState(
            # 1.3.14 is not packaged; the distribution's package brings user, directories and log set-up.
            packages=("haproxy",),
            files=files,
            stopped=("haproxy.service",),
            units=units,
            checks=checks,
            health=health,
            logs=(Log("/var/log/haproxy.log", size="10M", rule="haproxy"),),
            ports=(
                *(Port(port, Scope.PUBLIC) for port in self.public_ports(site).values()),
                *(Port(instance.stats_port, Scope.LOOPBACK) for instance in instances),
            ),
        )

    def public_ports(self, site: Site) -> dict[str, int]:
        """Frontend -> the port that clients outside reach it on."""
        fronts = (*self.www(site).frontends, *self.jabber(site).frontends)
        return {front.name: front.binds[0].port for front in fronts}

    def www(self, site: Site) -> Instance:
        """WWW connections: one backend per service, chosen by virtual host and path, longest path first."""
        offers = _by_offer(site, "www")
        routes = sorted(
            ((route, name) for name, ends in offers.items() for route in ends[0].offer.routes),
            key=lambda item: (-len(item[0].path), not item[0].host, item[0], item[1]),
        )
        raise_faults(SettingsError, _route_faults(routes))
        acls: dict[str, tuple[Acl, ...]] = {}
        rules = []
        default = ""
        for route, name in routes:
            hosts = (route.host,) if route.host else self.spec.hosts
            if not route.path and not route.host:
                default = name
                continue
            conditions = []
            if route.host or route.path:
                conditions.append(_host_acl(hosts, acls))
            if route.path:
                conditions.append(_path_acl(route.path, acls))
            rules.append(UseBackend(name, tuple(conditions)))
        maxconn, stats_port = _limits(self.spec.www, 2000, 8404)
        frontend = Frontend(
            "www",
            Mode.HTTP,
            _binds(site, _WWW_PORT),
            tuple(acl for lines in acls.values() for acl in lines),
            tuple(rules),
            default,
            maxconn=maxconn,
        )
        backends = tuple(_http_backend(name, ends, maxconn) for name, ends in offers.items())
        return Instance("www", maxconn, stats_port, (frontend,), backends)

    def jabber(self, site: Site) -> Instance:
        """Persistent connections: XMPP as TCP, BOSH and websocket as HTTP with one server per client."""
        frontends, backends = [], []
        maxconn, stats_port = _limits(self.spec.jabber, 8000, 8405)
        two = Dialect(self.spec.dialect) is Dialect.V2
        for name, ends in _by_offer(site, "jabber").items():
            offer = ends[0].offer
            mode = Mode.HTTP if offer.check else Mode.TCP
            check = Check("http", offer.check.path, site.domain) if offer.check else Check("tcp")
            if mode is Mode.TCP and two:
                check = Check("xmpp", domain=site.domain, fall=2)
            frontends.append(
                Frontend(
                    name,
                    mode,
                    _binds(site, offer.public_port),
                    default_backend=name,
                    timeout_client=_PERSISTENT,
                    maxconn=maxconn,
                )
            )
            backends.append(
                Backend(
                    name,
                    mode,
                    _servers(ends),
                    check,
                    # A BOSH session lives on the node that opened it, whatever connection carries it.
                    source_hash=mode is Mode.HTTP,
                    proxy=self.proxy_protocol,
                    timeout_server=_PERSISTENT,
                )
            )
        return Instance("jabber", maxconn, stats_port, tuple(frontends), tuple(backends), tcp_keepalive=True)

    def _binary(self, dialect: Dialect) -> str:
        if self.spec.binary:
            return self.spec.binary
        return "/usr/sbin/haproxy" if dialect is Dialect.V2 else "/opt/haproxy/1.3.14.10/sbin/haproxy"


def _limits(spec: HaproxyInstanceSpec, maxconn: int, stats_port: int) -> tuple[int, int]:
    return spec.maxconn or maxconn, spec.stats_port or stats_port


def _by_offer(site: Site, balancer: str) -> dict[str, tuple[Endpoint, ...]]:
    names = sorted({end.offer.name for end in site.endpoints.all if end.offer.balancer == balancer})
    return {name: site.endpoints.named(name) for name in names}


def _binds(site: Site, port: int) -> tuple[Bind, ...]:
    assert site.outside is not None
    return (Bind(site.outside, port),)


def _servers(ends: tuple[Endpoint, ...]) -> tuple[Server, ...]:
    # minconn at a quarter: at low load requests spread early instead of piling up on one server.
    return tuple(
        Server(end.host, end.address, end.offer.port, (end.offer.maxconn + 3) // 4, end.offer.maxconn)
        for end in ends
    )


def _http_backend(name: str, ends: tuple[Endpoint, ...], maxconn: int) -> Backend:
    offer = ends[0].offer
    check = Check("tcp")
    if offer.check:
        check = Check("http", offer.check.path, offer.check.host, offer.check.expect)
    fullconn = maxconn // 10 if offer.maxconn else 0
    return Backend(name, Mode.HTTP, _servers(ends), check, fullconn)


def _host_acl(hosts: tuple[str, ...], acls: dict[str, tuple[Acl, ...]]) -> str:
    name = f"host_{hosts[0]}"
    # A client on another port than 80 says so in the header.
    with_port = tuple(f"{host}:" for host in hosts)
    acls[name] = (Acl(name, "hdr(host) -i", hosts), Acl(name, "hdr_beg(host) -i", with_port))
    return name


def _path_acl(path: str, acls: dict[str, tuple[Acl, ...]]) -> str:
    bare = path.rstrip("/")
    name = "path" + bare.replace("/", "_").replace("~", "-")
    # ``/rpc`` means /rpc and what lies below it, not /rpcs.
    acls[name] = (Acl(name, "path", (bare or "/",)), Acl(name, "path_beg", (f"{bare}/",)))
    return name


def _route_faults(routes: list[tuple[Route, str]]) -> list[Fault]:
    faults = []
    for (route, name), (other, other_name) in pairwise(routes):
        if route == other:
            value = f"{route.host}{route.path}" or "default"
            fix = "change one of them"
            faults.append(
                Fault(f"apps.{other_name}.routes", f"{name} has it too", value, "a route has one target", fix)
            )
    return faults


def _doubled(numbers: Iterable[int]) -> list[int]:
    seen = list(numbers)
    return sorted({number for number in seen if seen.count(number) > 1})


def _unit(binary: str, dialect: Dialect) -> str:
    """One template, so that the instances differ in their config alone.

    2.x: a master process that starts a new worker on USR2 and lets the old one finish. 1.3.14: a new process
    takes the listening sockets over from the one named by ``-sf``, which finishes its connections.
    """
    match dialect:
        case Dialect.V2:
            start = f"ExecStart={binary} -Ws -f /etc/haproxy/%i.cfg -p /run/haproxy-%i/haproxy.pid"
            service = ["Type=notify", start, "ExecReload=/bin/kill -USR2 $MAINPID", "KillMode=mixed"]
        case Dialect.V1_3_14:
            command = f"{binary} -D -f /etc/haproxy/%i.cfg -p /run/haproxy-%i/haproxy.pid"
            service = [
                "Type=forking",
                "PIDFile=/run/haproxy-%i/haproxy.pid",
                f"ExecStart={command}",
                f"ExecReload={command} -sf $MAINPID",
            ]
    lines = [
        "[Unit]",
        "Description=HAProxy %i",
        "",
        "[Service]",
        "RuntimeDirectory=haproxy-%i",
        f"ExecStartPre={binary} -c -q -f /etc/haproxy/%i.cfg",
        *service,
        "Restart=always",
        "RestartSec=1",
        "LimitNOFILE=100000",
        "",
        "[Install]",
        "WantedBy=multi-user.target",
    ]
    return "\n".join(lines) + "\n"
