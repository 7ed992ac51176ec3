"""Kinds of text that settings may hold. A text that breaks its rule is a fault that says the rule in words.

Every text ends in a config, a unit, a command or a database. Its kind has only characters that all of those
can carry, or the renderer quotes it (``quoting``).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

from pydantic import AfterValidator

__all__ = [
    "AbsolutePath",
    "DebianPackage",
    "EnvironmentName",
    "Identifier",
    "Interface",
    "Jid",
    "Line",
    "LogPath",
    "MailAddress",
    "OptionName",
    "RequestPath",
    "RoutePath",
    "Sha256",
    "Size",
    "TextRule",
    "Url",
    "UserName",
    "matching",
    "up_to_bytes",
]


@dataclass(frozen=True)
class TextRule:
    """A check of a text, for ``AfterValidator``. rule: the rule for the text, in words."""

    rule: str
    is_kept: Callable[[str], bool]

    def __call__(self, value: str) -> str:
        """The text, if it keeps the rule."""
        if not self.is_kept(value):
            raise ValueError(self.rule)
        return value


def matching(pattern: str, rule: str, *, most: int = 0) -> AfterValidator:
    """The whole text matches ``pattern``, and has at most ``most`` characters (0: any). rule: in words."""
    compiled = re.compile(pattern, re.ASCII)

    def is_kept(value: str) -> bool:
        return compiled.fullmatch(value) is not None and (not most or len(value) <= most)

    return AfterValidator(TextRule(rule, is_kept))


def up_to_bytes(most: int, rule: str) -> AfterValidator:
    """The text has at most ``most`` bytes in UTF-8."""

    def check(value: str) -> str:
        if len(value.encode()) > most:
            raise ValueError(f"{rule}; this has {len(value.encode()):,}")
        return value

    check.__doc__ = rule
    return AfterValidator(check)


_NO_CONTROL = r"[^\x00-\x1f\x7f\x85\u2028\u2029]"

# One line: it becomes a line of a unit, of an environment file, or a word of a command. Linux takes words of
# 131,071 bytes (MAX_ARG_STRLEN).
Line = Annotated[
    str, matching(rf"{_NO_CONTROL}*", "one line without control characters, up to 100,000 long", most=100_000)
]
# MySQL takes 64 characters for a database and 80 for a user; 32 fit older servers too.
Identifier = Annotated[
    str,
    matching(r"[A-Za-z_][A-Za-z0-9_]{0,31}", "letters, digits and _, up to 32, not beginning with a digit"),
]
# A module, a command or an option of ejabberd: an Erlang atom without quotes.
OptionName = Annotated[
    str,
    matching(
        r"[a-z][a-z0-9_]*",
        "lower-case letters, digits and _, up to 100 characters, beginning with a letter",
        most=100,
    ),
]
# POSIX, "Base Definitions", 8.1: no limit but that of a line.
EnvironmentName = Annotated[
    str,
    matching(
        r"[A-Za-z_][A-Za-z0-9_]*", "letters, digits and _, up to 255, not beginning with a digit", most=255
    ),
]
# RFC 7622: a localpart without the characters that it forbids, which XEP-0106 writes as \\27 and the like.
Jid = Annotated[
    str,
    matching(
        rf"(?:(?![\"&'/:<>@\s]){_NO_CONTROL})+@[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?",
        "a Jabber address, NAME@DOMAIN, without blanks and \" & ' / : < > in the name",
        most=1023,
    ),
]
# The kernel's IFNAMSIZ is 16, with the byte that ends the text.
Interface = Annotated[
    str, matching(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,14}", "letters, digits and _ . -, up to 15 characters")
]
# Powers of 1024, as logrotate and journald take them; more digits would overflow their 64 bits.
Size = Annotated[str, matching(r"[1-9][0-9]{0,6}[kMG]", "a number with k, M or G, such as 512k, 64M or 4G")]
Sha256 = Annotated[
    str, matching(r"[0-9a-f]{64}", "64 hexadecimal digits in lower case, as sha256sum prints them")
]
Url = Annotated[
    str,
    matching(
        r"https?://[A-Za-z0-9][!-~]*",
        "http:// or https://, then a host and a path, without blanks",
        most=2000,
    ),
]
# deb-control(5) and dpkg's parsehelp.c; a `-` in front would be an option of apt-get.
DebianPackage = Annotated[
    str,
    matching(
        r"[a-z0-9][a-z0-9+.-]+",
        "the name of a Debian package: lower-case letters, digits and + . -, two characters or more",
        most=128,
    ),
]
# useradd's limit of 32 and Debian's NAME_REGEX; systemd takes the same.
UserName = Annotated[
    str,
    matching(
        r"[a-z_][a-z0-9_-]{0,31}",
        "lower-case letters, digits, _ and -, up to 32 characters, beginning with a letter or _",
    ),
]
AbsolutePath = Annotated[
    str,
    matching(
        r"/(?:(?!\.{1,2}(?:/|$))[A-Za-z0-9._@:+,=~-]+(?:/(?!\.{1,2}(?:/|$))[A-Za-z0-9._@:+,=~-]+)*)?",
        "an absolute path of letters, digits and . _ @ : + , = ~ - without // or .. in it",
        most=1024,
    ),
]
# A glob for logrotate, in double quotes there: its parser has no way to write quotes, braces or backslashes.
LogPath = Annotated[
    str,
    matching(
        rf"/(?!(?:bin|boot|dev|etc|lib|proc|run|sbin|sys|usr)(?:/|$)|[*?\[])(?:(?![\"'\\{{}}]){_NO_CONTROL})+",
        "an absolute path, not of the system; * ? and [ ] stand for others; no quotes, braces or backslashes",
        most=1024,
    ),
]
# RFC 3986, path and query, without ' and #, which mean something else in a config of HAProxy.
RequestPath = Annotated[
    str,
    matching(
        r"/[A-Za-z0-9._~!$&()*+,;=:@%/?-]*",
        "begins with /; letters, digits and . _ ~ ! $ & ( ) * + , ; = : @ % / ? - after it",
        most=1000,
    ),
]
# A prefix that HAProxy compares as it is, so one path has one form.
RoutePath = Annotated[
    str,
    matching(
        r"/(?:(?!\.{1,2}(?:/|$))[A-Za-z0-9._~-]+(?:/(?!\.{1,2}(?:/|$))[A-Za-z0-9._~-]+)*/?)?",
        "begins with /; letters, digits and . _ ~ - between slashes; no // and no ..",
        most=500,
    ),
]
# RFC 5321 (64 before the @) and RFC 5322's atext; quoted local parts are not taken.
MailAddress = Annotated[
    str,
    matching(
        r"(?=.{3,254}$)[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*"
        r"@[A-Za-z0-9](?:[A-Za-z0-9-]{0,62})(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]{0,62}))*",
        "a mail address, NAME@DOMAIN, with up to 254 characters",
    ),
]
