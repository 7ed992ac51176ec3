"""The values of ejabberd's config, from the settings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, assert_never

from habla.model.site import Site
from habla.onhost.document import secret
from habla.onhost.made_secrets import made_secret
from habla.services.jabber.ejabberd_modules import NO_ARCHIVE, account_modules, changed, domain_modules
from habla.services.jabber.jabber_domains import API_DOMAIN, domains_of
from habla.services.jabber.jabber_spec import DomainSpec, JabberSpec
from habla.services.jabber.jabber_sql import sql_options
from habla.services.jabber.yaml_config import merged, with_secrets, yaml_config

__all__ = ["RESTART_OPTIONS", "Paths", "ejabberd_config", "restart_options"]

# ejabberd reads these at its start only (ejabberd_logger, ejabberd_cluster, ejabberd_sql, p1_queue); a reload
# takes in all others.
RESTART_OPTIONS = (
    "cluster_backend",
    "cluster_nodes",
    "default_ram_db",
    "fqdn",
    "log_burst_limit_count",
    "log_burst_limit_window_time",
    "log_rotate_count",
    "log_rotate_size",
    "new_sql_schema",
    "oauth_db_type",
    "queue_dir",
    "router_db_type",
    "sm_db_type",
    "update_sql_schema",
)


@dataclass(frozen=True)
class Paths:
    """Files on a host that the config names. auth: domain -> the program that ejabberd asks for its logins.

    certificates: of the server, and of domains with their own. keys: domain -> file with its JSON Web Key.
    """

    certificates: tuple[str, ...]
    auth: Mapping[str, str] = field(default_factory=dict)
    keys: Mapping[str, str] = field(default_factory=dict)


def ejabberd_config(spec: JabberSpec, site: Site, *, paths: Paths) -> dict[str, Any]:
    """Option -> value of ejabberd.yml, in the order of the file."""
    domains = domains_of(spec, site.fleet.domain)
    modules = changed(account_modules(spec, put_url=upload_url(spec, site)), with_secrets(spec.modules))
    config: dict[str, Any] = {
        "hosts": [*domains, *([API_DOMAIN] if spec.api else [])],
        "loglevel": spec.log_level,
        # logrotate rotates by size and asks for a new file.
        "log_rotate_count": 0,
        "certfiles": list(paths.certificates),
        # Certificates are secrets of the stack, or signed by the host.
        "acme": {"auto": False},
        "listen": list(_listeners(spec, site)),
        # Seconds until a lost node is given up; its peers' logins wait for as long.
        "net_ticktime": spec.net_ticktime,
        "s2s_use_starttls": "required",
        **_ciphers(spec),
        "auth_method": "internal",
        "auth_password_format": "scram",
        "disable_sasl_mechanisms": ["digest-md5"],
        "registration_timeout": spec.limits.registrations,
        **sql_options(spec, site),
        **_access(spec, site, domains=domains),
    }
    hosts = {
        name: options
        for name, domain in domains.items()
        if (options := _host_options(name, domain, spec=spec, site=site, paths=paths, modules=modules))
    }
    if spec.api:
        hosts[API_DOMAIN] = {**_external(paths.auth[API_DOMAIN]), "s2s_access": "none"}
        hosts[API_DOMAIN]["modules"] = NO_ARCHIVE if "mod_mam" in modules else {}
    if hosts:
        config["host_config"] = hosts
    config["modules"] = modules
    result: dict[str, Any] = merged(config, with_secrets(spec.extra))
    return result


def restart_options(config: Mapping[str, Any]) -> str:
    """The text of a file that holds just the options that need a restart."""
    head = "# ejabberd reads these options of ejabberd.yml at its start only: a change here restarts it.\n"
    return head + yaml_config({key: config[key] for key in RESTART_OPTIONS if key in config})


def upload_url(spec: JabberSpec, site: Site) -> str:
    """The URL below which the www instance takes and serves files."""
    path = spec.upload.path.rstrip("/") if spec.upload else ""
    # ejabberd needs a URL for each domain, or all but one of them stay without uploads.
    return f"{site.fleet.website}{path}/@HOST@"


def _listeners(spec: JabberSpec, site: Site) -> Iterator[dict[str, Any]]:
    address, proxied = str(site.address), spec.proxy_protocol
    c2s = {
        "module": "ejabberd_c2s",
        "max_stanza_size": spec.limits.stanza,
        "shaper": "c2s_shaper",
        "access": "c2s",
    }
    yield _listener(spec.c2s_port, address, **c2s, starttls_required=True, use_proxy_protocol=proxied)
    if spec.direct_tls_port is not None:
        yield _listener(spec.direct_tls_port, address, **c2s, tls=True, use_proxy_protocol=proxied)
    if spec.s2s_port is not None:
        yield _listener(
            spec.s2s_port,
            address,
            module="ejabberd_s2s_in",
            max_stanza_size=2 * spec.limits.stanza,
            shaper="s2s_shaper",
            use_proxy_protocol=proxied,
        )
    web = {"/bosh": "mod_bosh", "/websocket": "ejabberd_http_ws"}
    http = {"module": "ejabberd_http", "use_proxy_protocol": proxied, "request_handlers": web}
    yield _listener(spec.http_port, address, **http)
    if spec.https_port is not None:
        yield _listener(spec.https_port, address, tls=True, **http)
    if spec.api:
        yield _listener(
            spec.api_port, address, module="ejabberd_http", request_handlers={"/api": "mod_http_api"}
        )
    if spec.components:
        # The gate in front of it lets in the hosts of the components' apps only.
        yield _listener(
            spec.component_port,
            "127.0.0.1",
            module="ejabberd_service",
            hosts={
                name: {
                    "password": secret(made_secret(f"component-{component.app}", base=spec.cookie), "json")
                }
                for name, component in sorted(spec.components.items())
            },
            global_routes=False,
        )
    if spec.admin_port is not None:
        yield _listener(
            spec.admin_port,
            "127.0.0.1",
            module="ejabberd_http",
            request_handlers={"/admin": "ejabberd_web_admin"},
        )


def _listener(port: int, address: str, **options: Any) -> dict[str, Any]:
    return {"port": port, "ip": address, **options}


def _ciphers(spec: JabberSpec) -> dict[str, Any]:
    return {"c2s_ciphers": spec.ciphers, "s2s_ciphers": spec.ciphers} if spec.ciphers else {}


def _access(spec: JabberSpec, site: Site, *, domains: Mapping[str, DomainSpec]) -> dict[str, Any]:
    """The options for rights, and for the amount that each client may send."""
    # Visitors come to the rooms of operators; they make none, unless their domain has a service for that.
    visitors = [name for name, domain in domains.items() if not domain.allows("rooms") and domain.visitors]
    acl: dict[str, Any] = {"local": {"user_regexp": ""}, "loopback": {"ip": ["127.0.0.0/8"]}}
    if spec.admins:
        acl["admin"] = {"user": list(spec.admins)}
    if visitors:
        acl["visitors"] = {"server": visitors}
    if spec.api:
        acl["programs"] = {"server": [API_DOMAIN]}
    closed = [{"deny": name} for name in ("visitors", "programs") if name in acl]
    rules: dict[str, Any] = {
        "local": {"allow": "local"},
        "admin": {"allow": "admin"} if spec.admins else {"deny": "all"},
        "c2s": [{"deny": "blocked"}, *([{"deny": "programs"}] if spec.api else []), {"allow": "all"}],
        "muc_create": [*closed, {"allow": "local"}],
        "register": {"allow": "loopback"},
    }
    found: dict[str, Any] = {"acl": acl, "access_rules": rules}
    if spec.api:
        found["api_permissions"] = dict(_api_permissions(spec, site))
    limits = spec.limits
    found["shaper"] = {"normal": {"rate": limits.rate, "burst_size": limits.burst}, "fast": 100_000}
    found["shaper_rules"] = {
        "max_user_sessions": spec.max_sessions_per_user,
        "max_user_offline_messages": limits.offline_messages,
        "c2s_shaper": {"normal": "all"},
        "s2s_shaper": "fast",
    }
    return found


def _api_permissions(spec: JabberSpec, site: Site) -> Iterator[tuple[str, Any]]:
    """Each app may call its commands, with its token, and from its hosts only."""
    yield "console commands", {"from": "ejabberd_ctl", "who": "all", "what": "*"}
    for app, client in sorted(spec.api.items()):
        # A rule takes all of its conditions, so each address has one of its own.
        user = f"{app}@{API_DOMAIN}"
        ends = site.fleet.endpoints.named(app)
        allowed = [{"allow": {"user": user, "ip": str(end.address)}} for end in ends]
        yield (
            f"app {app}",
            {"from": "mod_http_api", "who": {"access": allowed}, "what": list(client.commands)},
        )


def _host_options(
    name: str,
    domain: DomainSpec,
    *,
    spec: JabberSpec,
    site: Site,
    paths: Paths,
    modules: dict[str, dict[str, Any]],
) -> dict[str, Any]:
    """The options of one domain that differ from those of the server."""
    options: dict[str, Any] = {}
    match domain.auth:
        case "internal":
            pass
        case "anonymous":
            options = {
                "auth_method": "anonymous",
                "anonymous_protocol": "sasl_anon",
                "allow_multiple_connections": True,
            }
        case "sql":
            options = {"auth_method": "sql"}
        case "jwt":
            options = {"auth_method": "jwt", "jwt_key": paths.keys[name]}
        case "external" | "http":
            options = _external(paths.auth[name])
        case _:
            assert_never(domain.auth)
    if not domain.allows("s2s"):
        options["s2s_access"] = "none"
    own = domain_modules(name, domain, spec=spec, fleet_domain=site.fleet.domain, accounts=modules)
    if own is not None:
        options["modules"] = own
    return options


def _external(program: str) -> dict[str, Any]:
    # Without the cache, or a changed password or token would go on being refused.
    return {"auth_method": "external", "extauth_program": program, "auth_use_cache": False}
