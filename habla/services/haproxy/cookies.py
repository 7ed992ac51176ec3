"""A cookie policy -> rules of a frontend, so that browsers only ever get cookies for one domain.

Browsers take a cookie for ``www.hab.la`` and one of the same name for ``.hab.la`` for two, and send both:
with an old one in front, a user who logs in is not logged in. So an answer that sets a cookie also expires
the old ones. Order matters: to a browser ``.www.hab.la`` and ``www.hab.la`` are one domain, so what expires
comes first.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import assert_never

from habla.services.haproxy.model import CookiePolicy, Dialect

__all__ = ["cookie_rules"]

_PAST = "expires=Thu, 01-Jan-1970 00:00:00 GMT"
_SPACE = "[[:space:]]*"


def cookie_rules(policy: CookiePolicy, dialect: Dialect) -> Iterator[str]:
    """The lines, for a frontend. A second Domain that a server wrote stays, but the last one counts: ours."""
    match dialect:
        case Dialect.V1_3_14:
            yield f"rspirep ^(Set-Cookie:.*);{_SPACE}domain=[^;]*(.*)$ \\1\\2"
            yield f"rspirep ^(Set-Cookie:.*)$ \\1;\\ domain={policy.domain}"
            for name in policy.names:
                # One header becomes several: 1.3 writes the line ends as they stand.
                lines = [f"Set-Cookie: {old}" for old in _expired(policy, name)]
                new = "".join(line.replace(" ", "\\ ") + "\\r\\n" for line in lines)
                yield f"rspirep ^(Set-Cookie:{_SPACE}{_literal(name)}=.*)$ {new}\\1"
        case Dialect.V2:
            domain = "[Dd][Oo][Mm][Aa][Ii][Nn]"
            yield f"http-response replace-header Set-Cookie '^(.*);{_SPACE}{domain}=[^;]*(.*)$' '\\1\\2'"
            yield f"http-response replace-header Set-Cookie '^(.*)$' '\\1; domain={policy.domain}'"
            for number, name in enumerate(policy.names):
                yield from _reordered(policy, name, variable=f"txn.cookie{number}")
        case _:
            assert_never(dialect)


def _reordered(policy: CookiePolicy, name: str, *, variable: str) -> Iterator[str]:
    """2.x can only append headers: the new cookie is put aside, made an expired one, and comes back last."""
    first, *others = _expired(policy, name)
    pattern = f'regsub("(?is)^.*\\nset-cookie: *({_literal(name)}=[^\\r\\n]*).*$","\\1")'
    yield (
        f"http-response set-var({variable}) 'res.hdrs,{pattern}' if {{ res.hdr(set-cookie) -m beg {name}= }}"
    )
    condition = f"if {{ var({variable}) -m found }}"
    yield f"http-response replace-header Set-Cookie '^{_literal(name)}=.*$' '{first}'"
    for old in others:
        yield f"http-response add-header Set-Cookie '{old}' {condition}"
    yield f"http-response add-header Set-Cookie %[var({variable})] {condition}"


def _expired(policy: CookiePolicy, name: str) -> list[str]:
    """Every old cookie of this name, as what makes a browser forget it. The host's own comes first."""
    domains = ["", *(f"; domain={domain}" for domain in policy.stale_domains)]
    return [f"{name}={domain}; path={path}; {_PAST}" for domain in domains for path in policy.paths]


def _literal(name: str) -> str:
    """Of what a cookie's name may have, only the dot means something to a regular expression."""
    return name.replace(".", "[.]")
