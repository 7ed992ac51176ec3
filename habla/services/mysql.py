"""MySQL, as Debian's MariaDB: one database, one user, reachable from the internal network only."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar

from pydantic import AfterValidator, Field

from habla.errors import Fault
from habla.model.names import CACHE_DB, PasswordName
from habla.model.offer import Offer
from habla.model.quoting import sql_text
from habla.model.service import Log, Port, Service, ServiceState
from habla.model.site import Database, Site
from habla.model.spec import MAX_MB, PortNumber, Spec
from habla.model.text_types import Identifier
from habla.onhost.document import Action, Check, Directory, File, Health, Unit, secret

__all__ = ["Mysql", "MysqlSpec"]

# After Debian's 50-server.cnf, which binds to loopback.
_CONFIG = "/etc/mysql/mariadb.conf.d/90-habla.cnf"
_GRANTS = "/etc/mysql/habla-grants.sql"
_LOGS = "/var/log/mysql"
_LOG = f"{_LOGS}/error.log"
_DATA = "/var/lib/mysql"


# The server's own; rights in them, or a password for them, would open everything else.
_SYSTEM_SCHEMAS = ("information_schema", "mysql", "performance_schema", "sys")
_SYSTEM_USERS = ("mariadb", "mysql", "public", "root")


def _not_of(taken: tuple[str, ...], what: str) -> AfterValidator:
    def check(value: str) -> str:
        if value.lower() in taken:
            raise ValueError(f"{value} is {what}: choose another name")
        return value

    return AfterValidator(check)


class MysqlSpec(Spec):
    """MariaDB, with one database and one user. The user has all rights on the database from the internal
    network."""

    port: PortNumber = 3306
    """The port that MariaDB listens on."""
    database: Annotated[Identifier, _not_of(_SYSTEM_SCHEMAS, "a database of the server itself")] = "habla"
    """The name of the database."""
    user: Annotated[Identifier, _not_of(_SYSTEM_USERS, "a user of the server itself")] = "habla"
    """The name of the user."""
    password: PasswordName = "mysql/habla"
    """The secret that holds the user's password."""
    buffer_pool_mb: Annotated[int, Field(ge=5, le=MAX_MB)] = 128
    """The memory for InnoDB's buffer pool."""
    max_connections: Annotated[int, Field(ge=10, le=100_000)] = 151
    """How many clients may be connected at a time."""


@dataclass(frozen=True)
class Mysql(Service):
    """MySQL with its settings."""

    kind: ClassVar = "mysql"
    Settings: ClassVar = MysqlSpec
    section: ClassVar = "services.mysql"
    roles: ClassVar = ("front",)
    default_roles: ClassVar = ("front",)
    beside_balancer: ClassVar = True
    component: ClassVar = CACHE_DB
    one_per_fleet: ClassVar = True
    daemon_users: ClassVar = ("mysql",)

    spec: MysqlSpec = MysqlSpec()
    name: str = "mysql"

    def offers(self) -> tuple[Offer, ...]:
        """The MySQL protocol on its port."""
        return (Offer("mysql", self.spec.port),)

    def data_paths(self) -> tuple[str, ...]:
        """The files of the server."""
        return (_DATA,)

    def data_name(self, site: Site) -> str:
        """The database."""
        return f"database {self.spec.database}"

    def state(self, site: Site) -> ServiceState:
        """The server's settings, and the grants as SQL that may run any number of times."""
        return ServiceState(
            packages=("mariadb-server", "mariadb-client"),
            # No package makes it. Without it the log would be in the journal, where its rule does not count.
            directories={_LOGS: Directory("2750", owner="mysql", group="adm")},
            files={
                _CONFIG: File(self._config(site)),
                _GRANTS: File(self._grants(site), mode="0600"),
            },
            units={"mariadb.service": Unit(restart_on=(_CONFIG,))},
            checks={
                self.name: Check(
                    # Reads every option and stops; an unknown or malformed one is named on stderr.
                    ("mariadbd", f"--defaults-file={{{_CONFIG}}}", "--user=mysql", "--help", "--verbose"),
                    (_CONFIG,),
                )
            },
            actions={
                "mysql-grants": Action(
                    ("mariadb", "--batch", "--user=root", "--protocol=socket"),
                    inputs=(_GRANTS,),
                    stdin=_GRANTS,
                )
            },
            health={self.name: Health("mariadb.service", address=str(site.address), port=self.spec.port)},
            logs=(Log(_LOG, reopen="mariadb-admin --user=root flush-error-log", rule="mariadb"),),
            ports=(Port(self.spec.port),),
            data=(_DATA,),
        )

    def _config(self, site: Site) -> str:
        lines = [
            "[mariadbd]",
            f"bind-address = {site.address}",
            f"port = {self.spec.port}",
            # Grants name networks, so a lookup of each client's name would only be a way to hang.
            "skip-name-resolve",
            "character-set-server = utf8mb4",
            "collation-server = utf8mb4_unicode_ci",
            f"innodb_buffer_pool_size = {self.spec.buffer_pool_mb}M",
            f"max_connections = {self.spec.max_connections}",
            f"log_error = {_LOG}",
        ]
        return "\n".join(lines) + "\n"

    def fleet_faults(self, sites: Mapping[str, Site]) -> Iterator[Fault]:
        """A fault if its database or user has the name of one that another service has."""
        fleet = next(iter(sites.values())).fleet
        for other in fleet.databases:
            for option, own, name in (
                ("database", self.spec.database, other.name),
                ("user", self.spec.user, other.user),
            ):
                if own == name:
                    rule = f"the {option} {name} belongs to a service of the fleet"
                    path = f"{self.section}.{option}"
                    yield Fault(path, "the name is taken", value=own, rule=rule, fix="choose another name")

    def _grants(self, site: Site) -> str:
        """SQL that may run any number of times, and removes the accounts and grants of earlier settings."""
        where = f"{site.fleet.network.network_address}/{site.fleet.network.netmask}"
        own = Database(self.spec.database, self.spec.user, password=self.spec.password)
        wanted = (own, *site.fleet.databases)
        return "".join(
            [
                *(_account(item, where) for item in wanted),
                _ACCOUNTS,
                *(f"INSERT INTO habla_wanted VALUES ({_row(item, where)});\n" for item in wanted),
                _OLD_ONES,
            ]
        )


def _pattern(database: str) -> str:
    """Escape a name for a GRANT, where ``_`` matches any character."""
    return database.replace("_", "\\_")


def _account(item: Database, where: str) -> str:
    account = f"'{item.user}'@'{where}'"
    return f"""\
CREATE DATABASE IF NOT EXISTS `{item.name}`;
CREATE USER IF NOT EXISTS {account};
ALTER USER {account} IDENTIFIED BY '{secret(item.password, "sql")}';
GRANT ALL PRIVILEGES ON `{_pattern(item.name)}`.* TO {account};
"""


def _row(item: Database, where: str) -> str:
    return f"'{item.user}', '{where}', '{sql_text(_pattern(item.name))}'"


_ACCOUNTS = """\
CREATE TABLE IF NOT EXISTS mysql.habla_accounts
    (User VARCHAR(128) NOT NULL, Host VARCHAR(255) NOT NULL, PRIMARY KEY (User, Host));
USE mysql;
CREATE TEMPORARY TABLE habla_wanted (User VARCHAR(128), Host VARCHAR(255), Pattern VARCHAR(255));
"""
_OLD_ONES = """\
-- Accounts from before there was this table.
INSERT IGNORE INTO habla_accounts
    SELECT old.User, old.Host FROM user old JOIN habla_wanted wanted ON old.User = wanted.User
    WHERE old.Host LIKE '%/%';
INSERT IGNORE INTO habla_accounts SELECT User, Host FROM habla_wanted;
DELIMITER //
BEGIN NOT ATOMIC
    FOR old IN (SELECT User, Host FROM habla_accounts
                WHERE (User, Host) NOT IN (SELECT User, Host FROM habla_wanted)) DO
        EXECUTE IMMEDIATE CONCAT('DROP USER IF EXISTS ', QUOTE(old.User), '@', QUOTE(old.Host));
        DELETE FROM habla_accounts WHERE User = old.User AND Host = old.Host;
    END FOR;
    FOR old IN (SELECT db.User, db.Host, db.Db FROM db JOIN habla_wanted wanted
                ON db.User = wanted.User AND db.Host = wanted.Host WHERE db.Db <> wanted.Pattern) DO
        EXECUTE IMMEDIATE CONCAT('REVOKE ALL PRIVILEGES ON `', old.Db, '`.* FROM ',
                                 QUOTE(old.User), '@', QUOTE(old.Host));
    END FOR;
END //
DELIMITER ;
"""
