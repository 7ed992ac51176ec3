"""Answers of web servers that set cookies, and the cookies that a browser has after each of them.

The answers go through the cookie rules of HAProxy. Each jar has the cookies of ``EARLIER`` before.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from habla.services.haproxy.cookies import MOST_COOKIES
from habla.services.haproxy.model import CookiePolicy, Dialect

__all__ = ["CASES", "EARLIER", "PAGE", "POLICY", "SITE", "Case", "Jar"]

SITE = "www.hab.la"
#: The path of the page that sets the cookies.
PAGE = "/forum/1"
POLICY = CookiePolicy(
    SITE, ("session", "forum.id"), stale_domains=(".hab.la", f".{SITE}"), paths=("/", "/forum")
)
_LATER = "Expires=Wed, 21 Oct 2099 07:28:00 GMT"
_LONG = "x" * 4000
_MOST = "x" * (4096 - len("session"))

#: Name, path and domain of each cookie -> its value.
Jar = dict[tuple[str, str, str], str]

_OLD_DOMAINS = (*POLICY.stale_domains, SITE)


@dataclass(frozen=True)
class Case:
    """An answer, and the cookies that are in a jar after it."""

    cookies: Sequence[str]
    """The values of its Set-Cookie lines."""
    kept: dict[tuple[str, str], str]
    """Name and path of the new cookies -> value."""
    stale: Sequence[str] = ("forum.id",)
    """The names of the old cookies that are still there."""
    chromium_refuses: str = ""
    """The reason why Chromium keeps none of the new cookies. Python's jar keeps them."""
    before: Sequence[str] = ("Content-Type: text/plain",)
    """Lines of the header ahead of the cookies."""
    after: Sequence[str] = ("Cache-Control: no-store",)
    """Lines of the header behind the cookies."""
    version: str = "1.1"
    chunked: bool = False
    expect: bool = False
    """Whether the request has a body and ``Expect: 100-continue``."""
    header: str = "Set-Cookie"
    only: tuple[Dialect, ...] = (Dialect.V1_3_14, Dialect.V2)
    """The dialects that promise this."""

    def jar(self, *, chromium: bool = False) -> Jar:
        """All cookies in the jar of Python, or of Chromium."""
        old = {
            (name, path, domain): "stale"
            for name in self.stale
            for path in POLICY.paths
            for domain in _OLD_DOMAINS
        }
        new = {
            # Browsers refuse such a cookie with a domain.
            (name, path, SITE if name.startswith("__Host-") else f".{SITE}"): value
            for (name, path), value in self.kept.items()
        }
        return old | ({} if chromium and self.chromium_refuses else new)


#: The answer of earlier days that set the old cookies. It does not go through HAProxy.
EARLIER = Case(
    [
        f"{name}=stale; Path={path}; {_LATER}" + ("" if domain == SITE else f"; Domain={domain}")
        for name in POLICY.names
        for path in POLICY.paths
        for domain in _OLD_DOMAINS
    ],
    {},
    stale=POLICY.names,
    after=("Connection: close",),
)


def _one(text: str, value: str = "new", *, name: str = "session", path: str = "/", **more: object) -> Case:
    """An answer with one cookie."""
    return Case([text], {(name, path): value}, **more)  # type: ignore[arg-type]


_ATTRIBUTES = {
    "bare": "",
    "path": "; Path=/",
    "http-only": "; HttpOnly; Path=/",
    "same-site-lax": "; SameSite=Lax; Path=/",
    "same-site-strict": "; Path=/; SameSite=Strict",
    "same-site-none": "; Path=/; SameSite=None; Secure",
    "same-site-none-insecure": "; Path=/; SameSite=None",
    "secure": "; Secure; Path=/",
    "partitioned": "; Path=/; Secure; Partitioned",
    "partitioned-insecure": "; Path=/; Partitioned",
    "max-age": "; Path=/; Max-Age=3600",
    "expires": f"; {_LATER}; Path=/",
    "expires-last": f"; Path=/; {_LATER}",
    "domain-parent": "; Domain=.hab.la; Path=/",
    "domain-own": "; Path=/; Domain=www.hab.la",
    "domain-lower": "; path=/; domain=hab.la; httponly",
    "domain-no-space": ";Domain=.hab.la;Path=/",
    "domain-upper": "; DOMAIN=.HAB.LA; Path=/",
    "domain-spaced": "; Path=/ ; Domain = .hab.la",
    "domain-twice": "; Domain=.hab.la; Path=/; Domain=.www.hab.la",
    "domain-foreign": "; Domain=.evil.example; Path=/",
    "priority": "; Path=/; Priority=High",
}
# Of these attributes. Python's jar does not know the rules.
_REFUSED = {
    "same-site-none-insecure": "SameSite=None needs Secure",
    "partitioned-insecure": "Partitioned needs Secure",
}
_PLACES = {
    "first": {"before": ()},
    "middle": {},
    "last": {"after": ()},
    "alone": {"before": (), "after": ()},
}
CASES: dict[str, Case] = {
    **{
        # Without a path a cookie is for the directory of the page.
        f"{place}-{name}": _one(
            f"session=new{text}",
            path="/" if "path" in text.lower() else "/forum",
            chromium_refuses=_REFUSED.get(name, ""),
            **where,
        )
        for place, where in _PLACES.items()
        for name, text in _ATTRIBUTES.items()
        if place in ("first", "middle") or name in ("bare", "expires", "domain-parent")
    },
    "lower-case-header": _one("session=new; Path=/", header="set-cookie"),
    "upper-case-header": _one("session=new; Path=/", header="SET-COOKIE"),
    "empty-value": _one("session=; Path=/", ""),
    "quoted": _one('session="new"; Path=/', '"new"'),
    "space-around-equals": _one("session = new; Path=/"),
    "tab-before-equals": _one("session\t=new; Path=/"),
    "the-second-name-spaced": Case(["forum.id =7; Path=/"], {("forum.id", "/"): "7"}, stale=("session",)),
    "comma-in-value": _one("session=a,b,c; Path=/", "a,b,c"),
    "comma-and-the-name": Case(
        ["other=1,session=2; Path=/"], {("other", "/"): "1,session=2"}, stale=POLICY.names
    ),
    "equals-in-value": _one("session=a=b==; Path=/", "a=b=="),
    "four-kilobytes": _one(f"session={_LONG}; Path=/", _LONG),
    "most-bytes-of-chromium": _one(f"session={_MOST}; Path=/", _MOST),
    "one-byte-more": _one(
        f"session={_MOST}x; Path=/",
        f"{_MOST}x",
        chromium_refuses="name and value have more than 4,096 bytes together",
    ),
    "another-case-of-the-name": Case(["SESSION=x; Path=/"], {("SESSION", "/"): "x"}, stale=POLICY.names),
    "another-name": Case(["other=x; Path=/"], {("other", "/"): "x"}, stale=POLICY.names),
    "a-longer-name": Case(["session2=x; Path=/"], {("session2", "/"): "x"}, stale=POLICY.names),
    "the-name-within-a-name": Case(["mysession=x; Path=/"], {("mysession", "/"): "x"}, stale=POLICY.names),
    "no-dot-in-the-name": Case(["forumxid=x; Path=/"], {("forumxid", "/"): "x"}, stale=POLICY.names),
    "no-cookie": Case([], {}, stale=POLICY.names),
    "the-second-name": Case(["forum.id=7; Path=/"], {("forum.id", "/"): "7"}, stale=("session",)),
    "both-names": Case(
        ["session=new; Path=/", "forum.id=7; Path=/"],
        {("session", "/"): "new", ("forum.id", "/"): "7"},
        stale=(),
    ),
    "both-names-turned": Case(
        ["forum.id=7; Path=/", "session=new; Path=/"],
        {("session", "/"): "new", ("forum.id", "/"): "7"},
        stale=(),
    ),
    "with-others-around": Case(
        ["a=1; Path=/", "session=new; Path=/", "b=2; Path=/"],
        {("a", "/"): "1", ("session", "/"): "new", ("b", "/"): "2"},
    ),
    "two-paths": Case(
        ["session=new; Path=/", "session=deep; Path=/forum"],
        {("session", "/"): "new", ("session", "/forum"): "deep"},
        only=(Dialect.V2,),
    ),
    "twice-the-same": Case(["session=old; Path=/", "session=new; Path=/"], {("session", "/"): "new"}),
    "deleted-by-the-server": Case(["session=; Path=/; Max-Age=0"], {}),
    "deleted-by-a-date": Case(["session=; Path=/; Expires=Thu, 01 Jan 1970 00:00:00 GMT"], {}),
    "deep-path": _one("session=new; Path=/forum", path="/forum"),
    "as-many-as-fit": Case(
        [*(f"c{number}=1; Path=/" for number in range(MOST_COOKIES - 1)), "session=new; Path=/"],
        {**{(f"c{number}", "/"): "1" for number in range(MOST_COOKIES - 1)}, ("session", "/"): "new"},
    ),
    "expect-100": _one("session=new; Path=/; Domain=.hab.la", expect=True),
    "chunked": _one("session=new; Path=/", chunked=True),
    "http-1.0": _one("session=new; Path=/", version="1.0"),
    "host-prefix-other-name": Case(
        ["__Host-csrf=x; Path=/; Secure"], {("__Host-csrf", "/"): "x"}, stale=POLICY.names
    ),
    "secure-prefix": Case(
        ["__Secure-id=x; Path=/; Secure; Domain=.hab.la"], {("__Secure-id", "/"): "x"}, stale=POLICY.names
    ),
}
