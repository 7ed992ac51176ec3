"""A cookie policy -> rules of a frontend, so that browsers only ever get cookies for one domain.

For a browser, two cookies of one name for ``www.hab.la`` and ``.hab.la`` are different, and it sends both. If
the old one comes first, the user's login fails. So an answer that sets a cookie also expires
the old ones. The order matters, because ``.www.hab.la`` and ``www.hab.la`` are one domain to a browser: the
expired cookies come first.

Each rule looks at one Set-Cookie line by itself, never at the header block, because a value may contain
commas and other cookies, and any line may be the first. A cookie whose name begins with ``__Host-`` is left
alone: a browser refuses it with a domain, and no other domain can have one.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import assert_never

from habla.services.haproxy.model import CookiePolicy, Dialect

__all__ = ["MOST_COOKIES", "cookie_rules"]

#: So many cookies of one answer can be put behind those that expire. With more of them nothing is expired.
MOST_COOKIES = 16

_PAST = "expires=Thu, 01-Jan-1970 00:00:00 GMT"
_SPACE = "[[:space:]]*"
_HOST_PREFIX = "__Host-"
# How often a server may write a Domain into one cookie. Browsers do not agree on which of two counts.
_MOST_DOMAINS = 2
# The beginning of a name that is not that prefix, in any case. 1.3 has no look-ahead, so this lists every way
# to differ from it.
_NOT_HOST = (
    "([^_[:space:]]|_[^_]|__[^Hh]|__[Hh][^Oo]|__[Hh][Oo][^Ss]|__[Hh][Oo][Ss][^Tt]|__[Hh][Oo][Ss][Tt][^-])"
)
_DOMAIN = f"[Dd][Oo][Mm][Aa][Ii][Nn]{_SPACE}"
_SET_COOKIE = "[Ss][Ee][Tt]-[Cc][Oo][Oo][Kk][Ii][Ee]"


def cookie_rules(policy: CookiePolicy, dialect: Dialect) -> Iterator[str]:
    """The lines, for a frontend."""
    names = [name for name in policy.names if not name.startswith(_HOST_PREFIX)]
    match dialect:
        case Dialect.V1_3_14:
            # It would take the answer 100 for the whole answer, and let the cookies of the real one pass.
            yield "reqidel ^Expect:"
            line = f"({_SET_COOKIE}:{_SPACE}{_NOT_HOST}"
            for _ in range(_MOST_DOMAINS):
                yield f"rsprep ^{line}.*);{_SPACE}{_DOMAIN}=[^;]*(.*)$ \\1\\3"
            yield f"rsprep ^{line}.*)$ \\1;\\ domain={policy.domain}"
            for name in names:
                # One header becomes several: 1.3 writes the line ends as they stand.
                lines = [f"Set-Cookie: {old}" for old in _expired(policy, name)]
                new = "".join(line.replace(" ", "\\ ") + "\\r\\n" for line in lines)
                yield f"rsprep ^({_SET_COOKIE}:{_SPACE}{_beginning(name)}.*)$ {new}\\1"
        case Dialect.V2:
            replace = "http-response replace-header Set-Cookie"
            for _ in range(_MOST_DOMAINS):
                yield f"{replace} '^({_NOT_HOST}.*);{_SPACE}{_DOMAIN}=[^;]*(.*)$' '\\1\\3'"
            yield f"{replace} '^({_NOT_HOST}.*)$' '\\1; domain={policy.domain}'"
            if names:
                yield from _reordered(policy, names)
        case _:
            assert_never(dialect)


def _reordered(policy: CookiePolicy, names: list[str]) -> Iterator[str]:
    """2.x can only append headers: all new cookies are put aside and come back behind those that expire."""
    numbers = range(1, MOST_COOKIES + 1)
    few = f"{{ res.fhdr_cnt(Set-Cookie) le {MOST_COOKIES} }}"
    for index, name in enumerate(names):
        condition = f"{{ res.fhdr(Set-Cookie) -m reg ^{_beginning(name)} }}"
        yield f"http-response set-var(txn.sets{index}) bool(true) if {condition} {few}"
    found = " || ".join(f"{{ var(txn.sets{index}) -m bool }}" for index in range(len(names)))
    for number in numbers:
        yield f"http-response set-var(txn.cookie{number}) res.fhdr(Set-Cookie,{number}) if {found}"
    yield f"http-response del-header Set-Cookie if {found}"
    for index, name in enumerate(names):
        for old in _expired(policy, name):
            yield f"http-response add-header Set-Cookie '{old}' if {{ var(txn.sets{index}) -m bool }}"
    for number in numbers:
        variable = f"var(txn.cookie{number})"
        yield f"http-response add-header Set-Cookie %[{variable}] if {{ {variable} -m found }}"


def _expired(policy: CookiePolicy, name: str) -> list[str]:
    """The ``Set-Cookie`` values that make browsers forget all old cookies of a name, the host's own first."""
    domains = ["", *(f"; domain={domain}" for domain in policy.stale_domains)]
    return [f"{name}={domain}; path={path}; {_PAST}" for domain in domains for path in policy.paths]


def _beginning(name: str) -> str:
    """The regular expression of a cookie with this name. Browsers ignore spaces behind the name."""
    # Of the characters that a name may have, only the dot has a meaning in a regular expression.
    return f"{name.replace('.', '[.]')}{_SPACE}="
