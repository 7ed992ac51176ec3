"""The pair of HAProxy instances as a service: two configs, two units, two users, two logs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import ClassVar

from habla.errors import Fault, Faults, SettingsError, collected, raise_faults
from habla.model.lab_forward import Forward
from habla.model.names import BALANCER
from habla.model.offer import WEBSITE_URL, Balancer, Offer, OfferedValue, Route
from habla.model.programs import ProgramArchive
from habla.model.public_names import PublicName
from habla.model.service import Log, Port, Scope, Service, ServiceState
from habla.model.site import Endpoints, FleetFacts, Site
from habla.model.spec import ArchiveSpec
from habla.onhost.document import Archive, Directory, File, Health, HostState, Unit, User, secret
from habla.onhost.document import Check as FileCheck
from habla.services.haproxy.dialect import STATS, render
from habla.services.haproxy.haproxy_spec import INSTANCES, HaproxySpec
from habla.services.haproxy.haproxy_units import (
    GUARD,
    GUARD_CONFIG,
    GUARD_UNIT,
    LAUNCHER,
    LOGS,
    MODULES,
    PROGRAM,
    SYSCTL,
    guard_config,
    sysctl_text,
    syslog_text,
    unit_text,
)
from habla.services.haproxy.model import Dialect, Instance
from habla.services.haproxy.pages import unavailable
from habla.services.haproxy.release import binary, built, release_faults, release_states
from habla.services.haproxy.topology import (
    CERTIFICATE,
    UNAVAILABLE,
    jabber_instance,
    www_instance,
)
from habla.services.haproxy.website import website, website_names, website_url
from habla.services.keepalived import FRONT, Keepalived, vrrp_faults

__all__ = ["Haproxy"]

_ROTATED = "/usr/lib/rsyslog/rsyslog-rotate"
_SYSTEM_LOGS = ("syslog", "auth.log", "cron.log", "kern.log", "mail.log", "user.log")
_SYSLOG = "/etc/rsyslog.d/49-haproxy.conf"
_PACKAGE = ProgramArchive("habla.onhost.haproxy", "habla_haproxy")


@dataclass(frozen=True)
class Haproxy(Service):
    """The pair of instances with its settings."""

    kind: ClassVar = "haproxy"
    Settings: ClassVar = HaproxySpec
    section: ClassVar = "load_balancer"
    roles: ClassVar = ("front",)
    default_roles: ClassVar = ("front",)
    beside_balancer: ClassVar = True
    balances: ClassVar = True
    component: ClassVar = BALANCER
    daemon_users: ClassVar = ("haproxy",)
    programs: ClassVar = (_PACKAGE,)

    spec: HaproxySpec = HaproxySpec()
    name: str = "haproxy"

    def offers(self) -> tuple[Offer, ...]:
        """The URL of the website, and a mark by which hosts with one shared address find each other."""
        # No app has a dot in its name, so none can have the name of this offer.
        website = Offer(WEBSITE_URL, 0, values=(OfferedValue(WEBSITE_URL, website_url(self.spec)),))
        return (Offer(FRONT, 0), website) if self.spec.vrrp else (website,)

    def reserved_names(self) -> tuple[str, ...]:
        """Those of its own proxies beside them: the frontend of the www instance, and the statistics page."""
        return (Balancer.WWW, STATS)

    def archives(self) -> Mapping[str, ArchiveSpec]:
        """The releases that hosts build."""
        return {
            f"{self.section}.releases.{version}.path": archive
            for version, archive in built(self.spec).items()
        }

    def companions(self) -> tuple[Service, ...]:
        """keepalived, where hosts share an address."""
        return (Keepalived(self.spec.vrrp),) if self.spec.vrrp is not None else ()

    def ahead(self, site: Site) -> tuple[HostState, ...]:
        """A component for each release that the host builds."""
        return release_states(site.host, self._releases(site))

    def stats_pages(self) -> Mapping[str, int]:
        """Those of both instances."""
        return {name: self.spec.stats_port_of(name) for name in INSTANCES}

    def most_old_processes(self) -> Mapping[str, int]:
        """The limits of both instances."""
        return {name: self.spec.instance(name).old_processes for name in INSTANCES}

    def forwards(self, site: Site) -> Mapping[str, Forward]:
        """Every frontend, and the statistics pages of both instances.

        Only the first of the hosts that share an address has the forwards to it.
        """
        fleet, shared = site.fleet, self.shared_address()
        found = {
            f"stats-{name}": Forward(
                f"itself:127.0.0.1:{port}", f"HAProxy {name}", "http://127.0.0.1:{port}/"
            )
            for name, port in self.stats_pages().items()
        }
        if shared and site.host != fleet.endpoints.named(FRONT)[0].host:
            return found
        jabber = fleet.behind(Balancer.JABBER)
        known = {name: (ends[0].offer.label, ends[0].offer.url) for name, ends in jabber.items()}
        name = website(self.spec, fleet.domain).hosts[0]
        # Without a port of this machine's in it, the website's URL leads nowhere from here.
        here = f"{fleet.website}/" if fleet.published else f"http://127.0.0.1:{{port}}/  (Host: {name})"
        known["www"] = "website", here
        for name, port in self.public_ports(site).items():
            label, url = known.get(name, ("", ""))
            target = f"{shared}:{port}" if shared else port
            found[name] = Forward(target, label or name, url or "127.0.0.1:{port}")
        return found

    def public_names(self, fleet: FleetFacts) -> Iterable[PublicName]:
        """The website, the names that are sent there, and the virtual hosts of services."""
        return map(PublicName, website_names(self.spec, fleet))

    def shared_address(self) -> str:
        """The address that keepalived moves."""
        return str(self.spec.vrrp.address.ip) if self.spec.vrrp is not None else ""

    def fleet_faults(self, sites: Mapping[str, Site]) -> Iterable[Fault]:
        """A shared address that its hosts cannot have."""
        return vrrp_faults(self.spec.vrrp, sites) if self.spec.vrrp is not None else ()

    def notes(self, endpoints: Endpoints) -> Iterable[str]:
        """The faults of a shared address on a single host, and of a website without a server."""
        fronts = endpoints.named(FRONT)
        if self.spec.vrrp is not None and len(fronts) == 1:
            address = self.shared_address()
            yield f"one host, {fronts[0].host}, has the shared address {address}: no other host takes it over"
        offers = {end.offer.name: end.offer for end in endpoints.all if end.offer.balancer is Balancer.WWW}
        if offers and not any(Route() in offer.routes for offer in offers.values()):
            yield "no app has default: true, so HAProxy answers 503 to requests that no route wants"

    def instances(self, site: Site) -> tuple[Instance, Instance]:
        """The www and the jabber instance on a host."""
        return www_instance(self.spec, site), jabber_instance(self.spec, site)

    def _releases(self, site: Site) -> dict[str, Archive]:
        """Version -> archive, of the releases that are built. One that cannot be read is a fault already."""
        archives = site.fleet.archives
        return {version: archives[spec] for version, spec in built(self.spec).items() if spec in archives}

    def state(self, site: Site) -> ServiceState:
        """Two configs and two units. A change of one config reloads only its unit."""
        faults = release_faults(self.spec)
        try:
            instances = self.instances(site)
        except Faults as error:
            raise_faults(SettingsError, [*faults, *error.faults])
            raise
        faults += _port_faults(instances)
        dialects = [Dialect(self.spec.dialect_of(name)) for name in INSTANCES]
        files = {
            UNAVAILABLE: File(unavailable(self.spec.maintenance)),
            _SYSLOG: File(syslog_text(instances)),
            SYSCTL: File(sysctl_text(self.spec)),
            PROGRAM: File(LAUNCHER, "0755"),
            GUARD_CONFIG: File(guard_config(zip(instances, dialects, strict=True))),
            f"/etc/systemd/system/{GUARD}": File(GUARD_UNIT),
        }
        inputs_of_guard = (PROGRAM, MODULES, GUARD_CONFIG, f"/etc/systemd/system/{GUARD}")
        units = {
            "rsyslog.service": Unit(restart_on=(_SYSLOG,)),
            GUARD: Unit(restart_on=inputs_of_guard),
        }
        checks: dict[str, FileCheck] = {}
        health: dict[str, Health] = {}
        for name, instance, dialect in zip(INSTANCES, instances, dialects, strict=True):
            tls = self.spec.instance(name).tls
            config, unit = instance.config, instance.unit
            inputs = [config]
            if instance.unavailable:
                inputs.append(instance.unavailable)
            if tls:
                files[CERTIFICATE] = File(secret(tls.certificate), "0600")
                inputs.append(CERTIFICATE)
            with collected(faults):
                files[config] = File(render(instance, dialect, refused=self.reserved_names()))
            program = binary(self.spec, name, archives=self._releases(site))
            unit_file = f"/etc/systemd/system/{unit}"
            files[unit_file] = File(unit_text(instance, program, dialect=dialect))
            # A new program reads the config before the old one is stopped.
            checks[name] = FileCheck((program, "-c", "-f", f"{{{config}}}"), (*inputs, unit_file))
            units[unit] = Unit(restart_on=(unit_file,), reload_on=tuple(inputs))
            health |= _health(instance, unit, shared=self.spec.vrrp is not None)
        raise_faults(SettingsError, faults)
        return ServiceState(
            # 1.3.14 is not packaged; the distribution's package brings the directories.
            packages=("haproxy", "iproute2", "python3", "rsyslog"),
            users={instance.user: User() for instance in instances},
            directories={LOGS: Directory("0750", owner="root", group="adm")},
            files=files,
            # The agent brings it along.
            archives={MODULES: _PACKAGE.archive},
            stopped=("haproxy.service",),
            units=units,
            checks=checks,
            health=health,
            logs=(
                Log(f"{LOGS}/*.log", "10M", reopen=_ROTATED, rule="haproxy", files=len(instances)),
                # rsyslog's own: its package rotates them once a week at any size.
                *(Log(f"/var/log/{name}", "10M", reopen=_ROTATED, rule="rsyslog") for name in _SYSTEM_LOGS),
            ),
            ports=(
                *(Port(port, Scope.PUBLIC) for port in sorted(_public_ports(instances))),
                *(Port(instance.stats_port, Scope.LOOPBACK) for instance in instances),
            ),
        )

    def public_ports(self, site: Site) -> dict[str, int]:
        """Frontend -> the port that clients outside reach it on; ``https`` where www speaks TLS."""
        www, jabber = self.instances(site)
        ports = {front.name: front.binds[0].port for front in www.frontends}
        ports |= {front.default_backend: front.binds[0].port for front in jabber.frontends}
        tls = self.spec.www.tls
        return ports | ({"https": tls.port} if tls else {})


def _public_ports(instances: Iterable[Instance]) -> set[int]:
    return {bind.port for instance in instances for front in instance.frontends for bind in front.binds}


def _port_faults(instances: Iterable[Instance]) -> list[Fault]:
    """A public port belongs to one frontend, whichever instance it is of."""
    taken: dict[int, str] = {}
    faults = []
    for instance in instances:
        for frontend in instance.frontends:
            for bind in frontend.binds:
                name = f"{instance.name}.{frontend.name}"
                if bind.port in taken:
                    what = f"{taken[bind.port]} and {name} listen on one port"
                    rule = "a public port belongs to one frontend"
                    fix = "change the port of one of them"
                    faults.append(
                        Fault(
                            f"load_balancer.{instance.name}", what, value=str(bind.port), rule=rule, fix=fix
                        )
                    )
                taken[bind.port] = name
    return faults


def _health(instance: Instance, unit: str, *, shared: bool) -> dict[str, Health]:
    """shared: the address may be another host's at the moment, which would answer in this one's place."""
    checks = {f"{instance.name}-stats": Health(unit, address="127.0.0.1", port=instance.stats_port)}
    for frontend in instance.frontends:
        for bind in frontend.binds:
            listens = f"ss -Hltn src {bind.address}:{bind.port} | grep -q ."
            checks[f"{instance.name}-{frontend.name}-{bind.port}"] = (
                Health(unit, command=("sh", "-c", listens))
                if shared
                else Health(unit, address=str(bind.address), port=bind.port)
            )
    return checks
