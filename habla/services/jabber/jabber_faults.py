"""Faults of Jabber's settings in the fleet as a whole. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from habla.errors import Fault, did_you_mean, not_one_of
from habla.model.disk import size_bytes
from habla.model.site import FleetFacts
from habla.services.jabber.ejabberd_modules import KNOWN_MODULES
from habla.services.jabber.jabber_domains import domain_faults, domains_of
from habla.services.jabber.jabber_spec import JabberSpec
from habla.services.jabber.jabber_sql import server_faults, uses_sql
from habla.services.jabber.yaml_config import secret_faults

__all__ = ["jabber_faults"]

# ejabberd's own database keeps the archive in a file of dets, which holds no more.
_DETS = 2**31
# An atom of Erlang has 255 characters: mod_http_upload_ and host and path of the URL.
_URL = 245


def jabber_faults(spec: JabberSpec, fleet: FleetFacts, *, section: str) -> Iterator[Fault]:
    """All faults of the settings of Jabber."""
    yield from domain_faults(spec, fleet.domain, section=section)
    yield from _app_faults(spec, fleet, section=section)
    yield from _module_faults(spec, section=section)
    yield from secret_faults(spec.modules, f"{section}.modules")
    yield from secret_faults(spec.extra, f"{section}.extra")
    if uses_sql(spec):
        yield from server_faults(fleet.endpoints)
    if spec.storage == "mnesia" and size_bytes(spec.archive.size) >= _DETS:
        rule = "ejabberd's own database holds less than 2G of messages"
        fix = "choose less than 2G, or set storage to mysql"
        yield Fault(f"{section}.archive.size", "too large", value=spec.archive.size, rule=rule, fix=fix)
    if spec.upload is not None:
        url = f"{fleet.website}{spec.upload.path}"
        longest = len(url) + max(map(len, domains_of(spec, fleet.domain)))
        if longest > _URL:
            rule = f"the URL of uploads, with the longest domain after it, must not exceed {_URL} characters"
            fix = "choose a shorter path or domain, or set upload to null"
            yield Fault(f"{section}.upload.path", "too long", value=url, rule=rule, fix=fix)
    if spec.upload is not None and size_bytes(spec.upload.largest) > size_bytes(spec.upload.size):
        rule = f"upload.size allows {spec.upload.size} for all files together"
        fix = "make size larger, or largest smaller"
        yield Fault(f"{section}.upload.largest", "too large", value=spec.upload.largest, rule=rule, fix=fix)


def _app_faults(spec: JabberSpec, fleet: FleetFacts, *, section: str) -> Iterator[Fault]:
    """Settings that name an app which no host runs, or which has no port where that is needed."""
    named = [(f"{section}.api.{app}", app, False) for app in spec.api]
    named += [(f"{section}.components.{name}.app", item.app, False) for name, item in spec.components.items()]
    named += [
        (f"{section}.domains.{name}.app", domain.app, True)
        for name, domain in spec.domains.items()
        if domain.app is not None
    ]
    for path, app, needs_port in named:
        ends = fleet.endpoints.named(app)
        if not ends:
            known = sorted({end.offer.name for end in fleet.endpoints.all if "." not in end.offer.name})
            yield not_one_of(path, "no host runs this app", value=app, known=known)
        elif needs_port and not ends[0].offer.port:
            rule = "ejabberd asks the app over HTTP"
            yield Fault(path, "the app has no port", value=app, rule=rule, fix=f"set apps.{app}.port")


def _module_faults(spec: JabberSpec, *, section: str) -> Iterator[Fault]:
    """Modules that no ejabberd of Debian has. Packages of the user's may bring others along."""
    if spec.packages:
        return
    for name in spec.modules:
        if name not in KNOWN_MODULES:
            rule = "a module of ejabberd 23.01 or 24.12, or one that services.jabber.packages brings along"
            fix = did_you_mean(name, KNOWN_MODULES, otherwise="correct the name, or name its package")
            yield Fault(f"{section}.modules.{name}", "unknown module", value=name, rule=rule, fix=fix)
