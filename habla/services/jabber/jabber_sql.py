"""Jabber's data in the fleet's MySQL: a database and an account of its own, and the schema, loaded once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from habla.errors import Fault, SettingsError, raise_faults
from habla.model.site import Database, Endpoint, Endpoints, Site
from habla.onhost.document import secret
from habla.onhost.made_secrets import made_secret
from habla.services.jabber.jabber_spec import JabberSpec

__all__ = ["SCHEMA_LOGIN", "databases", "schema_login", "server_faults", "sql_options", "uses_sql"]

SCHEMA_LOGIN = "/etc/ejabberd/schema.cnf"
_NAME = "jabber"


def uses_sql(spec: JabberSpec) -> bool:
    """Whether Jabber keeps any data in MySQL."""
    return spec.storage == "mysql" or any(domain.auth == "sql" for domain in spec.domains.values())


def databases(spec: JabberSpec) -> tuple[Database, ...]:
    """The database that Jabber needs, if it keeps data in MySQL."""
    return (Database(_NAME, _NAME, password=_password(spec)),) if uses_sql(spec) else ()


def sql_options(spec: JabberSpec, site: Site) -> dict[str, Any]:
    """The options of ejabberd that lead to MySQL. Raises SettingsError without just one MySQL."""
    if not uses_sql(spec):
        return {}
    server = _server(site)
    return {
        "sql_type": "mysql",
        "sql_server": str(server.address),
        "sql_port": server.offer.port,
        "sql_database": _NAME,
        "sql_username": _NAME,
        "sql_password": secret(_password(spec), "json"),
        # Each row has its domain; without this, domains would share their accounts.
        "new_sql_schema": True,
        **({"default_db": "sql"} if spec.storage == "mysql" else {}),
    }


def schema_login(spec: JabberSpec, site: Site) -> str:
    """The options of the client that loads the schema."""
    server = _server(site)
    return (
        f"[client]\nhost={server.address}\nport={server.offer.port}\nuser={_NAME}\n"
        f'password="{secret(_password(spec), "word")}"\ndatabase={_NAME}\n'
    )


def _password(spec: JabberSpec) -> str:
    return made_secret("jabber-mysql", base=spec.cookie)


def server_faults(endpoints: Endpoints) -> Iterator[Fault]:
    """A fault if the fleet has no MySQL, or more than one."""
    found = endpoints.named("mysql")
    if len(found) != 1:
        rule = "Jabber keeps its data in the one MySQL of the fleet"
        fix = "run mysql on one host, or set storage to mnesia and auth to internal"
        value = ", ".join(end.host for end in found) or "none"
        yield Fault("services.jabber.storage", "no single MySQL", value=value, rule=rule, fix=fix)


def _server(site: Site) -> Endpoint:
    endpoints = site.fleet.endpoints
    raise_faults(SettingsError, server_faults(endpoints))
    return endpoints.named("mysql")[0]
