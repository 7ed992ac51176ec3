"""The programs that ejabberd asks about logins, and their files on a host."""

from __future__ import annotations

import shlex

from habla.model.programs import program_text
from habla.model.site import Site
from habla.onhost.document import File, secret
from habla.onhost.made_secrets import made_secret
from habla.services.jabber.jabber_domains import API_DOMAIN
from habla.services.jabber.jabber_spec import DomainSpec, JabberSpec

__all__ = ["auth_directories", "auth_files", "auth_programs", "key_path"]

_PROGRAM = "/usr/local/lib/habla/jabber-auth"
_TOKENS = "/etc/ejabberd/api-tokens"


def auth_programs(spec: JabberSpec) -> dict[str, str]:
    """Domain -> the program that ejabberd starts. ejabberd splits it at blanks, so it is a path alone."""
    asked = [name for name, domain in spec.domains.items() if domain.auth in ("external", "http")]
    return {name: f"/etc/ejabberd/auth-{name}" for name in (*asked, *([API_DOMAIN] if spec.api else []))}


def auth_directories(spec: JabberSpec) -> dict[str, str]:
    """Domain -> the directory of its program's archive."""
    return {
        name: f"/opt/habla/auth-{name}"
        for name, domain in sorted(spec.domains.items())
        if domain.program and domain.program.archive
    }


def key_path(domain: str) -> str:
    """The file with the JSON Web Key of a domain."""
    return f"/etc/ejabberd/auth-{domain}.jwk"


def auth_files(spec: JabberSpec, site: Site) -> dict[str, File]:
    """Path -> file."""
    files = {}
    for name, path in auth_programs(spec).items():
        words = _command(name, spec=spec, site=site)
        files[path] = _private(f"#!/bin/sh\nexec {shlex.join(words)}\n", "0750")
    for name, domain in sorted(spec.domains.items()):
        if domain.key is not None:
            files[key_path(name)] = _private(secret(domain.key), "0640")
    if spec.api:
        tokens = [
            f"{app}:{secret(made_secret(f'api-{app}', base=spec.cookie))}\n" for app in sorted(spec.api)
        ]
        files[_TOKENS] = _private("".join(tokens), "0640")
    if spec.api or any(domain.auth == "http" for domain in spec.domains.values()):
        files[_PROGRAM] = File(program_text("jabber_auth"), "0755")
    return files


def _command(name: str, *, spec: JabberSpec, site: Site) -> list[str]:
    if name == API_DOMAIN:
        return [_PROGRAM, "tokens", _TOKENS]
    domain = spec.domains[name]
    if domain.program is not None:
        directory = auth_directories(spec).get(name, "")
        return [word.replace("{app}", directory) for word in domain.program.command]
    return [_PROGRAM, "http", *_urls(domain, site)]


def _urls(domain: DomainSpec, site: Site) -> list[str]:
    """Where the app answers, on this host first."""
    ends = site.own_first(end for end in site.fleet.endpoints.named(domain.app or "") if end.offer.port)
    return [f"http://{end.address}:{end.offer.port}{domain.path}" for end in ends]


def _private(text: str, mode: str) -> File:
    return File(text, mode, owner="root", group="ejabberd")
