"""Jabber: ejabberd as one cluster over all hosts that run it. The cluster forms and heals by itself.

The settings rely on these facts (ejabberd 23.01). A packaged node starts by itself under another name, so its
database is emptied once before ours starts; ``ERL_DIST_PORT`` makes the nodes talk without epmd;
``net_ticktime`` bounds how long logins wait for a node that was lost.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar

from habla.errors import Fault
from habla.model.offer import Offer
from habla.model.programs import ProgramArchive, program_text
from habla.model.public_names import PublicName
from habla.model.service import AdminPage, DataBound, Log, Port, Scope, Service, ServiceState
from habla.model.site import Database, Endpoints, FleetFacts, Site
from habla.model.spec import ArchiveSpec
from habla.onhost.document import Action, Archive, Check, Directory, File, Health, Unit, secret
from habla.services.jabber.component_gate import JabberGate
from habla.services.jabber.ejabberd_config import Paths, ejabberd_config, restart_options
from habla.services.jabber.jabber_domains import domains_of, main_domain
from habla.services.jabber.jabber_faults import jabber_faults
from habla.services.jabber.jabber_offers import jabber_names, jabber_offers
from habla.services.jabber.jabber_spec import JabberSpec
from habla.services.jabber.jabber_sql import SCHEMA_LOGIN, databases, schema_login, uses_sql
from habla.services.jabber.jabber_units import (
    BOUNDS,
    CERTIFICATE,
    CHECKER,
    CLUSTER_PROGRAMS,
    CLUSTER_SETTINGS,
    CLUSTER_TOOL,
    CONFIG,
    CONTROL,
    DATA,
    HEAL,
    KEEP,
    LAUNCHER,
    SCHEMA,
    cluster_settings,
    control_file,
    unit_files,
)
from habla.services.jabber.login_programs import auth_directories, auth_files, auth_programs, key_path
from habla.services.jabber.user_files import FILES_DATA, JabberFiles
from habla.services.jabber.yaml_config import yaml_config

__all__ = ["Jabber"]

_RESTART = "/etc/ejabberd/restart-options.yml"
_COOKIE = f"{DATA}/.erlang.cookie"
_SYSTEMD = "/etc/systemd/system/"
_PACKAGE = ProgramArchive("habla.onhost.jabber", "habla_jabber")


@dataclass(frozen=True)
class Jabber(Service):
    """ejabberd with its settings."""

    kind: ClassVar = "jabber"
    Settings: ClassVar = JabberSpec
    section: ClassVar = "services.jabber"
    roles: ClassVar = ("stable",)
    default_roles: ClassVar = ("stable",)
    home_role: ClassVar = "stable"
    daemon_users: ClassVar = ("ejabberd", "epmd")
    programs: ClassVar = (_PACKAGE,)
    # The database belongs to the Erlang node ejabberd@HOST.
    data_needs_host_name: ClassVar = True

    spec: JabberSpec = JabberSpec()
    name: str = "jabber"

    def offers(self) -> tuple[Offer, ...]:
        """XMPP for clients and servers, BOSH, websocket and files, and the offers to apps."""
        return jabber_offers(self.spec, section=self.section)

    def companions(self) -> tuple[Service, ...]:
        """The program that keeps files, and the gate for components."""
        gate = (JabberGate(self.spec, self.section),) if self.spec.components else ()
        return (JabberFiles(self.spec, self.section), *gate)

    def archives(self) -> Mapping[str, ArchiveSpec]:
        """The programs that ejabberd asks for logins."""
        return {
            f"{self.section}.domains.{name}.program.archive": domain.program.archive
            for name, domain in self.spec.domains.items()
            if domain.program and domain.program.archive
        }

    def public_names(self, fleet: FleetFacts) -> Iterable[PublicName]:
        """Its domains, and the services of domains that other servers may reach."""
        return jabber_names(self.spec, fleet)

    def admin_page(self) -> AdminPage | None:
        """The admin page of ejabberd."""
        port = self.spec.admin_port
        return None if port is None else AdminPage(port, "/admin/", self.spec.admins)

    def databases(self) -> tuple[Database, ...]:
        """A database of its own in MySQL, if it keeps data there."""
        return databases(self.spec)

    def fleet_faults(self, sites: Mapping[str, Site]) -> Iterable[Fault]:
        """Names that clash, apps that are not there, modules that ejabberd does not have."""
        fleet = next(iter(sites.values())).fleet
        return jabber_faults(self.spec, fleet, section=self.section)

    def notes(self, endpoints: Endpoints) -> Iterable[str]:
        """A note about a cluster of one node."""
        nodes = endpoints.named("c2s")
        if len(nodes) == 1:
            yield f"the Jabber cluster has one node, {nodes[0].host}: nobody can log in while it is down"

    def data_paths(self) -> tuple[str, ...]:
        """Accounts, rosters, messages and files. A host that joins the cluster gets them from the others."""
        return (DATA, FILES_DATA) if self.spec.upload else (DATA,)

    def data_name(self, site: Site) -> str:
        """The domain of the accounts, and the storage: data does not move to another one by itself."""
        where = " in MySQL" if self.spec.storage == "mysql" else ""
        return f"domain {main_domain(self.spec, site.fleet.domain)}{where}"

    def state(self, site: Site) -> ServiceState:
        """Config, certificates, cookie, and the tools that keep node, cluster and data in order."""
        config = ejabberd_config(self.spec, site, paths=self._paths(site))
        programs = auth_files(self.spec, site)
        files = {
            CONFIG: File(yaml_config(config), "0640", owner="root", group="ejabberd"),
            _RESTART: File(restart_options(config)),
            CONTROL: File(control_file(self.spec, site)),
            _COOKIE: File(secret(self.spec.cookie, "ascii"), "0400", owner="ejabberd", group="ejabberd"),
            CLUSTER_TOOL: File(LAUNCHER, "0755"),
            CLUSTER_SETTINGS: File(cluster_settings(self.spec, site)),
            CHECKER: File(program_text("jabber_config"), "0755"),
            BOUNDS: File(program_text("jabber_bounds"), "0755"),
            **{f"{_SYSTEMD}{name}": File(text) for name, text in unit_files(self.spec, site).items()},
            **programs,
            **dict(self._certificates(site)),
        }
        if uses_sql(self.spec):
            files[SCHEMA_LOGIN] = File(schema_login(self.spec, site), "0600")
            files[SCHEMA] = File(program_text("jabber_schema"), "0755")
        certificates = [path for path in files if path.endswith(".pem")]
        return ServiceState(
            packages=tuple(sorted(self._packages())),
            directories={DATA: Directory("0750", owner="ejabberd", group="ejabberd")},
            files=files,
            archives=dict(self._archives(site)),
            stopped=("epmd.service", "epmd.socket"),
            units={
                "ejabberd.service": Unit(
                    restart_on=(CONTROL, _COOKIE, _RESTART),
                    reload_on=(CONFIG, *sorted({*certificates, *programs})),
                ),
                f"{HEAL}.timer": Unit(restart_on=(f"{_SYSTEMD}{HEAL}.timer",)),
                f"{KEEP}.timer": Unit(restart_on=(f"{_SYSTEMD}{KEEP}.timer",)),
            },
            # A node beside the running one, with all modules; the tool may be as new as the config.
            checks={
                "ejabberd": Check(
                    ("python3", f"{{{CHECKER}}}", "check", f"{{{CONFIG}}}"),
                    (CONFIG, CHECKER, *certificates, *sorted(programs)),
                )
            },
            actions={
                "jabber-cluster": Action(
                    (CLUSTER_TOOL, "settle"),
                    inputs=(f"{_SYSTEMD}{HEAL}.service", CONTROL, CLUSTER_PROGRAMS, CLUSTER_SETTINGS),
                )
            },
            # A node that waits for a host that is deployed later is well; that host's apply proves both.
            health={
                name: Health(
                    "ejabberd.service",
                    command=(CLUSTER_TOOL, "well", str(site.address), str(port)),
                    deadline=60,
                )
                for name, port in (("c2s", self.spec.c2s_port), ("http", self.spec.http_port))
            },
            logs=(
                Log(
                    "/var/log/ejabberd/*.log",
                    size="10M",
                    reopen="ejabberdctl reopen-log",
                    rule="ejabberd",
                    files=3,
                ),
            ),
            ports=tuple(self._ports()),
            data=(DATA,),
            bounds=()
            if self.spec.storage == "mysql"
            else (DataBound(DATA, self.spec.archive.size, setting=f"{self.section}.archive.size"),),
        )

    def _packages(self) -> Iterator[str]:
        yield from ("ejabberd", "openssl", *self.spec.packages)
        if uses_sql(self.spec):
            yield from ("erlang-p1-mysql", "mariadb-client")
        for domain in self.spec.domains.values():
            yield from domain.program.packages if domain.program else ()

    def _ports(self) -> Iterator[Port]:
        spec = self.spec
        public = (spec.c2s_port, spec.direct_tls_port, spec.s2s_port, spec.http_port, spec.https_port)
        yield from (Port(number) for number in (*public, spec.cluster_port) if number is not None)
        if spec.api:
            yield Port(spec.api_port)
        if spec.admin_port is not None:
            yield Port(spec.admin_port, Scope.LOOPBACK)

    def _paths(self, site: Site) -> Paths:
        domains = domains_of(self.spec, site.fleet.domain)
        return Paths(
            certificates=(
                CERTIFICATE,
                *(_certificate(name) for name in domains if domains[name].certificate),
            ),
            auth=auth_programs(self.spec),
            keys={name: key_path(name) for name, domain in domains.items() if domain.key},
        )

    def _certificates(self, site: Site) -> Iterator[tuple[str, File]]:
        if self.spec.certificate is not None:
            yield CERTIFICATE, _pem(self.spec.certificate)
        for name, domain in domains_of(self.spec, site.fleet.domain).items():
            if domain.certificate is not None:
                yield _certificate(name), _pem(domain.certificate)

    def _archives(self, site: Site) -> Iterator[tuple[str, Archive]]:
        # The agent brings it along.
        yield CLUSTER_PROGRAMS, _PACKAGE.archive
        for name, directory in auth_directories(self.spec).items():
            program = self.spec.domains[name].program
            if program and program.archive and program.archive in site.fleet.archives:
                yield directory, site.fleet.archives[program.archive]


def _certificate(domain: str) -> str:
    return f"/etc/ejabberd/habla-{domain}.pem"


def _pem(name: str) -> File:
    return File(secret(name), "0640", owner="root", group="ejabberd")
