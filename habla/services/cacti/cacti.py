"""Cacti on the monitor as a service: Debian's package, its database, its web server, a poller, a sync.

The package's own set-up (dbconfig-common) would need a running database while packages are installed, so it
is told to stay out (``dbconfig-no-thanks``), and programs of ours do it once the daemons run.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from habla.model.lab_forward import Forward
from habla.model.names import MONITOR, PasswordName
from habla.model.offer import Offer
from habla.model.programs import ProgramArchive
from habla.model.service import Log, Port, Scope, Service, ServiceState
from habla.model.site import FleetFacts, Site
from habla.model.snmp import sessions_oid
from habla.model.spec import PortNumber, Spec
from habla.onhost.document import Action, Directory, File, Health, Unit, secret
from habla.services.cacti.texts import (
    SNMP_CLASS,
    apache_ports,
    apache_site,
    database_config,
    database_grants,
    php_config,
    timer,
    worker,
)

__all__ = ["Cacti", "CactiSpec"]

# Where the web server shows the time of the last poll that went well, in seconds since 1970.
_ALIVE_PATH = "/habla-alive"
_URL = "http://127.0.0.1:{port}/cacti/"
_DATA = "/var/lib/habla-cacti"
_ALIVE = f"{_DATA}/alive"
_LOCK = f"{_DATA}/lock"
_READY = f"{_DATA}/ready"
_WANTED = "/etc/habla/cacti.json"
_SETUP = "/etc/habla/cacti-setup.json"
_GRANTS = "/etc/habla/cacti-grants.sql"
_DATABASE = "/etc/mysql/mariadb.conf.d/90-habla-cacti.cnf"
_PHP = "/etc/cacti/debian.php"
_PORTS = "/etc/apache2/ports.conf"
# In the place of the link to Debian's default site, so that there is no other site.
_SITE = "/etc/apache2/sites-enabled/000-default.conf"
_CRON = "/etc/cron.d/cacti"
_SNMP_CLASS = "/usr/local/lib/habla/cacti-snmp-class.php"
_PROGRAMS = "/usr/local/lib/habla/cacti-program"
_PACKAGE = ProgramArchive("habla.onhost.cacti", "cacti")
_POLL, _SYNC = "habla-cacti-poll", "habla-cacti-sync"
_MYSQL_LOGS = "/var/log/mysql"
_SYSTEMD = "/etc/systemd/system"


class CactiSpec(Spec):
    """Cacti on the monitor. Its pages are on the internal address, and its database is on the same host."""

    port: PortNumber = 80
    """The port of its web server."""
    password: PasswordName = "cacti/admin"
    """The secret that holds the password of the user ``admin``."""
    database_password: PasswordName = "cacti/database"
    """The secret that holds the password of Cacti's database user."""


@dataclass(frozen=True)
class Cacti(Service):
    """Cacti with its settings. It shows all hosts of the fleet."""

    kind: ClassVar = "cacti"
    Settings: ClassVar = CactiSpec
    section: ClassVar = "services.cacti"
    roles: ClassVar = ("monitor",)
    default_roles: ClassVar = ("monitor",)
    component: ClassVar = MONITOR
    daemon_users: ClassVar = ("mysql",)
    programs: ClassVar = (_PACKAGE,)

    spec: CactiSpec = CactiSpec()
    name: str = "cacti"

    def offers(self) -> tuple[Offer, ...]:
        """Its pages; and by this offer, snmpd everywhere knows the monitor."""
        return (Offer(self.name, self.spec.port, alive_path=_ALIVE_PATH),)

    def forwards(self, site: Site) -> Mapping[str, Forward]:
        """Its pages. They are bound to the internal address, so the way to them begins on the host itself."""
        target = f"itself:{site.address}:{self.spec.port}"
        return {self.name: Forward(target, "Cacti", _URL, user="admin", secret=self.spec.password)}

    def data_paths(self) -> tuple[str, ...]:
        """The measured values, and the changes that people made in Cacti."""
        return ("/var/lib/cacti/rra", "/var/lib/mysql")

    def state(self, site: Site) -> ServiceState:
        """The whole of Cacti on one host: pages on the internal address, the database on loopback."""
        files = {
            _WANTED: File(_wanted(site.fleet), "0600"),
            _SETUP: File(_json({"password": secret(self.spec.password, "json")}), "0600"),
            _GRANTS: File(database_grants(self.spec.database_password), "0600"),
            _DATABASE: File(database_config(_MYSQL_LOGS)),
            _PHP: File(php_config(self.spec.database_password), "0640", owner="root", group="www-data"),
            _PORTS: File(apache_ports(site, self.spec.port)),
            _SITE: File(apache_site(site, self.spec.port, alive_path=_ALIVE_PATH, alive=_ALIVE)),
            _CRON: File(f"# {_POLL}.timer polls.\n"),
            _SNMP_CLASS: File(SNMP_CLASS),
        }
        on_the_minute, between = "*:*:00", "*:*:30"
        for name, when, command, user in (
            (_POLL, on_the_minute, _command("poll", _ALIVE, _LOCK), "www-data"),
            (_SYNC, between, _command("sync", _WANTED, _LOCK), "root"),
        ):
            files[f"{_SYSTEMD}/{name}.service"] = File(
                worker(name, command, user=user, ready=_READY, snmp_class=_SNMP_CLASS)
            )
            files[f"{_SYSTEMD}/{name}.timer"] = File(timer(name, when))
        return ServiceState(
            packages=(
                *("apache2", "cacti", "dbconfig-no-thanks", "libapache2-mod-php", "mariadb-client"),
                *("mariadb-server", "php-snmp", "python3", "rrdtool", "snmp"),
            ),
            directories={
                _DATA: Directory("0755", owner="www-data", group="www-data"),
                _MYSQL_LOGS: Directory("2750", owner="mysql", group="adm"),
            },
            files=files,
            # The agent brings them along.
            archives={_PROGRAMS: _PACKAGE.archive},
            units={
                "apache2.service": Unit(restart_on=(_PORTS, _SITE)),
                "mariadb.service": Unit(restart_on=(_DATABASE,)),
                f"{_POLL}.timer": Unit(),
                f"{_SYNC}.timer": Unit(),
            },
            # In the order of their names.
            actions={
                "cacti-1-database": Action(
                    ("mariadb", "--batch", "--user=root", "--protocol=socket"), (_GRANTS,), stdin=_GRANTS
                ),
                "cacti-2-setup": Action(
                    _command("setup", _SETUP, _LOCK, _READY), (_SETUP, _PROGRAMS), timeout=600
                ),
                "cacti-3-sync": Action(_command("sync", _WANTED, _LOCK), (_WANTED, _PROGRAMS), timeout=600),
            },
            health={
                self.name: Health(
                    "apache2.service",
                    address=str(site.address),
                    port=self.spec.port,
                    # Its login page, which asks the database.
                    path="/cacti/index.php",
                ),
            },
            logs=(
                Log(
                    "/var/log/apache2/*.log",
                    reopen="systemctl reload apache2.service",
                    rule="apache2",
                    create="640 root adm",
                    files=3,
                ),
                Log("/var/log/cacti/*.log", rule="cacti", files=4),
                # Of a package that Cacti brings along.
                Log("/var/log/dbconfig-common/dbc.log", "256k", rule="dbconfig-common", rate="64k"),
                Log(
                    f"{_MYSQL_LOGS}/error.log",
                    reopen="mariadb-admin --user=root flush-error-log",
                    rule="mariadb",
                ),
            ),
            ports=(Port(self.spec.port), Port(3306, Scope.LOOPBACK)),
            data=self.data_paths(),
        )


def _wanted(fleet: FleetFacts) -> str:
    """The input of the sync, which makes Cacti so; it names the secrets."""
    own = fleet.snmp
    snmp: dict[str, Any] = {"version": own.version, "port": own.port}
    if own.version == "3":
        snmp |= {
            "user": own.user,
            "auth": secret(own.auth, "json"),
            "privacy": secret(own.privacy, "json"),
        }
    else:
        snmp["community"] = secret(own.community, "json")
    devices = [
        {
            "name": device.name,
            "address": device.address,
            "partitions": sorted(device.partitions),
            "sessions": {name: sessions_oid(name) for name in device.instances},
        }
        for device in sorted(fleet.devices, key=lambda device: device.name)
    ]
    return _json({"snmp": snmp, "devices": devices})


def _command(module: str, *words: str) -> tuple[str, ...]:
    # From a directory of programs, where Python would otherwise leave its compiled files.
    return ("env", f"PYTHONPATH={_PROGRAMS}", "python3", "-B", "-m", f"cacti.{module}", *words)


def _json(value: Any) -> str:
    return json.dumps(value, indent=2, sort_keys=True) + "\n"
