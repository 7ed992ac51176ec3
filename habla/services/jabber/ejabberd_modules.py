"""The modules of each domain: the features that today's clients expect (XEP-0479), within the bounds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from habla.model.disk import size_bytes
from habla.onhost.document import secret
from habla.onhost.made_secrets import made_secret
from habla.services.jabber.jabber_domains import main_domain, service_names
from habla.services.jabber.jabber_spec import DomainSpec, JabberSpec

__all__ = ["KNOWN_MODULES", "NO_ARCHIVE", "account_modules", "changed", "domain_modules", "upload_secret"]

Modules = dict[str, dict[str, Any]]

# Modules of ejabberd 23.01 (Debian 12) and 24.12 (Debian 13).
KNOWN_MODULES = tuple(
    f"mod_{name}"
    for line in (
        "adhoc admin_extra admin_update_sql announce auth_fast avatar block_strangers blocking bosh caps",
        "carboncopy client_state configure conversejs delegation disco fail2ban host_meta http_api",
        "http_fileserver http_upload http_upload_quota jidprep last legacy_auth mam matrix_gw metrics",
        "mix mix_pam mqtt mqtt_bridge muc muc_admin muc_log muc_occupantid muc_rtbl multicast offline",
        "ping pres_counter privacy private privilege proxy65 pubsub push push_keepalive register",
        "register_web roster s2s_bidi s2s_dialback scram_upgrade service_log shared_roster",
        "shared_roster_ldap sic sip stats stream_mgmt stun_disco time vcard vcard_ldap vcard_xupdate",
        "version",
    )
    for name in line.split()
)


# ejabberd's command that deletes old messages fails as soon as one domain has no archive.
NO_ARCHIVE: Modules = {"mod_mam": {"default": "never"}}
# The modules of visitors: they have no account in which anything could be kept.
_VISITORS = ("mod_adhoc", "mod_bosh", "mod_caps", "mod_ping", "mod_stream_mgmt", "mod_time")


def upload_secret(spec: JabberSpec) -> str:
    """The name of the secret that ejabberd and the program that keeps files share."""
    return made_secret("jabber-upload", base=spec.cookie)


def account_modules(spec: JabberSpec, *, put_url: str) -> Modules:
    """The modules of domains with accounts. put_url: where the www instance takes and serves files."""
    modules: Modules = {
        "mod_adhoc": {},
        "mod_admin_extra": {},
        "mod_avatar": {},
        "mod_blocking": {},
        "mod_bosh": {},
        "mod_caps": {},
        "mod_carboncopy": {},
        "mod_client_state": {},
        "mod_disco": {},
        "mod_last": {},
        "mod_mam": {"assume_mam_usage": True, "default": "always"},
        "mod_muc": {
            "access_admin": "admin",
            "access_create": "muc_create",
            "access_persistent": "muc_create",
            "history_size": spec.rooms.history,
            "max_user_conferences": spec.rooms.per_user,
            "max_users": spec.rooms.most_users,
            "default_room_options": {"mam": True, "max_users": spec.rooms.most_users},
        },
        "mod_muc_admin": {},
        "mod_offline": {"access_max_user_messages": "max_user_offline_messages"},
        "mod_ping": {},
        "mod_privacy": {},
        "mod_private": {},
        "mod_pubsub": {
            "access_createnode": "local",
            "last_item_cache": False,
            "plugins": ["flat", "pep"],
            # The bookmarks and keys that a client keeps there stay private.
            "force_node_config": {
                "eu.siacs.conversations.axolotl.*": {"access_model": "open"},
                "storage:bookmarks": {"access_model": "whitelist"},
            },
        },
        "mod_push": {},
        "mod_push_keepalive": {},
        "mod_roster": {"versioning": True},
        "mod_s2s_dialback": {},
        "mod_stream_mgmt": {"resend_on_timeout": "if_offline"},
        "mod_time": {},
        "mod_vcard": {},
        "mod_vcard_xupdate": {},
        "mod_version": {"show_os": False},
    }
    if spec.upload is not None:
        modules["mod_http_upload"] = {
            "access": "local",
            "external_secret": secret(upload_secret(spec), "json"),
            "max_size": size_bytes(spec.upload.largest),
            "put_url": put_url,
        }
    if spec.api:
        modules["mod_http_api"] = {}
    return dict(sorted(modules.items()))


def domain_modules(
    name: str, domain: DomainSpec, *, spec: JabberSpec, fleet_domain: str, accounts: Modules
) -> Modules | None:
    """The modules of one domain; None where they are those of all domains with accounts.

    accounts: those, with the changes of the user.
    """
    if domain.visitors:
        kept: Modules = {key: accounts[key] for key in _VISITORS if key in accounts}
        main = main_domain(spec, fleet_domain)
        theirs = service_names(main, DomainSpec(), upload=spec.upload is not None)
        # A visitor's client finds rooms and files of the operators where it looks.
        kept |= NO_ARCHIVE if "mod_mam" in accounts else {}
        kept["mod_disco"] = {"extra_domains": sorted(theirs.keys() - {f"pubsub.{main}"})}
        for option, module in (("roster", "mod_roster"), ("rooms", "mod_muc")):
            if domain.allows(option) and module in accounts:
                kept[module] = accounts[module]
        return dict(sorted(kept.items()))
    gone = {
        module
        for option, modules in (("roster", ("mod_roster",)), ("rooms", ("mod_muc", "mod_muc_admin")))
        if not domain.allows(option)
        for module in modules
    }
    if not gone:
        return None
    return {key: options for key, options in accounts.items() if key not in gone}


def changed(modules: Modules, changes: Mapping[str, dict[str, Any] | None]) -> Modules:
    """The modules with the changes of the user: options are added one by one, null removes a module."""
    merged = {
        name: {**modules.get(name, {}), **options} for name, options in changes.items() if options is not None
    }
    kept = {name: options for name, options in modules.items() if name not in changes}
    return dict(sorted({**kept, **merged}.items()))
