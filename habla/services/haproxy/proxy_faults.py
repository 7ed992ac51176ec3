"""Faults of a load balancer in one dialect: names, missing options, lines that it cannot read.

HAProxy 1.3.14 crashes on a line of too many words, so words and length are counted here (``cfgparse.c``:
LINESIZE 2048, MAX_LINE_ARGS 64); its own checker cannot.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence

from habla.errors import Fault
from habla.model.names import is_haproxy_name
from habla.services.haproxy.model import Backend, Dialect, Frontend, Instance

__all__ = ["line_faults", "name_faults", "option_faults", "raw_faults"]

_LINE_BYTES = 2047
_LINE_WORDS = 64
_TO_2 = "or set load_balancer.{}.dialect to 2.x"


def name_faults(
    instance: Instance, *, others: Iterable[str] = (), but: Collection[str] = ()
) -> Iterator[Fault]:
    """Names that HAProxy does not take, and names that several proxies have.

    others: the proxies that are not in the model. but: names that several proxies may have.
    """
    path = f"load_balancer.{instance.name}"
    names = [frontend.name for frontend in instance.frontends]
    names += [backend.name for backend in instance.backends]
    servers = [server.name for backend in instance.backends for server in backend.servers]
    for name in (*names, *servers):
        if not is_haproxy_name(name):
            rule = "HAProxy allows letters, digits and . : _ -"
            yield Fault(path, "not a name for HAProxy", value=name, rule=rule, fix="rename it")
    for name, count in Counter([*names, *others]).items():
        if count > 1 and name not in but:
            rule = "HAProxy 3.3 and later want a name of its own for each frontend, backend and listen"
            fix = "rename one of them"
            yield Fault(path, "several sections have one name", value=name, rule=rule, fix=fix)


def option_faults(instance: Instance, dialect: Dialect) -> Iterator[Fault]:
    """Options that the model needs and the dialect does not have."""
    if dialect is not Dialect.V1_3_14:
        return
    otherwise = _TO_2.format(instance.name)
    for frontend in instance.frontends:
        yield from _frontend_faults(f"load_balancer.{instance.name}", frontend, otherwise=otherwise)
    for backend in instance.backends:
        yield from _backend_faults(
            f"load_balancer.{instance.name}.backend {backend.name}", backend, otherwise=otherwise
        )


def _frontend_faults(path: str, frontend: Frontend, *, otherwise: str) -> Iterator[Fault]:
    if any(bind.certificate for bind in frontend.binds):
        fix = f"put a TLS proxy in front and remove tls, {otherwise}"
        yield Fault(
            f"{path}.tls",
            "no TLS in dialect 1.3.14",
            value=frontend.name,
            rule="HAProxy has it since 1.5",
            fix=fix,
        )
    for redirect in frontend.redirects:
        fix = f"let a server answer with the redirect, {otherwise}"
        yield Fault(
            path,
            "no redirect in dialect 1.3.14",
            value=redirect.prefix,
            rule="HAProxy has it since 1.3.15",
            fix=fix,
        )


def _backend_faults(path: str, backend: Backend, *, otherwise: str) -> Iterator[Fault]:
    if backend.proxy:
        fix = f"set services.jabber.proxy_protocol to false, {otherwise}"
        yield Fault(
            path,
            "no PROXY protocol in dialect 1.3.14",
            value="send-proxy",
            rule="HAProxy has it since 1.5",
            fix=fix,
        )
    if backend.responder:
        # The responder makes the check and answers in words that 1.3.14 understands.
        return
    if backend.check.kind == "xmpp":
        yield Fault(
            path,
            "no tcp-check in dialect 1.3.14",
            value="xmpp",
            rule="HAProxy has it since 1.5",
            fix=f"use a tcp check, {otherwise}",
        )
    if backend.check.kind == "http" and backend.check.expect != 200:
        rule = "its httpchk accepts every status 2xx and 3xx"
        value = str(backend.check.expect)
        fix = f"answer 200 when healthy, {otherwise}"
        yield Fault(path, "no expected status in dialect 1.3.14", value=value, rule=rule, fix=fix)


def raw_faults(instance: Instance, sections: Sequence[str]) -> Iterator[Fault]:
    """Raw lines for a section that is not there would vanish."""
    for name in instance.raw:
        if name not in sections:
            rule = f"the sections of this config are {', '.join(sections)}"
            path = f"load_balancer.{instance.name}.raw.{name}"
            yield Fault(path, "no such section", value=name, rule=rule, fix="correct the section's name")


def line_faults(instance: Instance, lines: Iterable[str], *, dialect: Dialect) -> Iterator[Fault]:
    """Lines that 1.3.14 would cut off, or crash on."""
    if dialect is not Dialect.V1_3_14:
        return
    for number, line in enumerate(lines, 1):
        path = f"load_balancer.{instance.name}.line {number}"
        if len(line.encode()) > _LINE_BYTES:
            rule = f"HAProxy 1.3.14 reads at most {_LINE_BYTES} bytes of a line"
            yield Fault(
                path, "the line is too long", value=line[:40] + "…", rule=rule, fix="shorten it or split it"
            )
        # A blank behind a backslash does not end a word.
        if len(re.split(r"(?<!\\)\s+", line.strip())) > _LINE_WORDS:
            rule = f"HAProxy 1.3.14 reads at most {_LINE_WORDS} words of a line"
            yield Fault(path, "the line has too many words", value=line[:40] + "…", rule=rule, fix="split it")
