"""A load balancer -> the text of its config, in one of the dialects.

Both dialects share most lines; where they differ, a ``match`` says so. What a dialect cannot say is a fault
with the option and what to do instead, never left out. HAProxy 1.3.14 crashes on a line of too many words, so
words and length are counted here (``cfgparse.c``: LINESIZE 2048, MAX_LINE_ARGS 64).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import assert_never

from habla.errors import DialectError, Fault, raise_faults
from habla.model.names import is_haproxy_name
from habla.services.haproxy.model import Backend, Check, Dialect, Frontend, Instance, Mode, Server

__all__ = ["render"]

_LINE_BYTES = 2047
_LINE_WORDS = 64


def render(instance: Instance, dialect: Dialect) -> str:
    """The config of an instance. Raises DialectError with every fault."""
    faults = [*_name_faults(instance), *_option_faults(instance, dialect)]
    lines = [*_head(instance, dialect)]
    for frontend in instance.frontends:
        lines += ["", *_frontend(frontend, dialect)]
    for backend in instance.backends:
        lines += ["", *_backend(backend, dialect)]
    lines += ["", *_stats(instance, dialect)]
    raise_faults(DialectError, [*faults, *_line_faults(instance, lines, dialect)])
    return "\n".join(lines) + "\n"


def _head(instance: Instance, dialect: Dialect) -> Iterator[str]:
    yield "global"
    yield f"    maxconn {instance.maxconn}"
    match dialect:
        case Dialect.V1_3_14:
            yield "    log 127.0.0.1 local0"
            yield f"    stats socket {instance.socket} mode 600"
        case Dialect.V2:
            yield "    log /dev/log local0"
            yield f"    stats socket {instance.socket} mode 600 level admin"
        case _:
            assert_never(dialect)
    yield "    user haproxy"
    yield "    group haproxy"
    yield ""
    yield "defaults"
    yield "    log global"
    yield "    timeout connect 5000"
    yield "    retries 3"
    yield "    option redispatch"
    yield "    option dontlognull"
    if instance.tcp_keepalive:
        yield "    option clitcpka"
        yield "    option srvtcpka"


def _frontend(frontend: Frontend, dialect: Dialect) -> Iterator[str]:
    yield f"frontend {frontend.name}"
    for bind in frontend.binds:
        yield f"    bind {bind.address}:{bind.port}"
    yield f"    mode {frontend.mode}"
    yield f"    option {'httplog' if frontend.mode is Mode.HTTP else 'tcplog'}"
    yield f"    maxconn {frontend.maxconn}"
    yield f"    timeout client {frontend.timeout_client}"
    if frontend.mode is Mode.HTTP:
        yield "    option forwardfor"
        match dialect:
            case Dialect.V1_3_14:
                # It decides per connection, so a connection carries one request.
                yield "    option httpclose"
            case Dialect.V2:
                # The server's slot is free as soon as it has answered; the client's connection stays.
                yield "    option http-server-close"
            case _:
                assert_never(dialect)
    for acl in frontend.acls:
        yield f"    acl {acl.name} {acl.criterion} {' '.join(acl.values)}"
    for rule in frontend.rules:
        yield f"    use_backend {rule.backend} if {' '.join(rule.conditions)}"
    if frontend.default_backend:
        yield f"    default_backend {frontend.default_backend}"


def _backend(backend: Backend, dialect: Dialect) -> Iterator[str]:
    yield f"backend {backend.name}"
    yield f"    mode {backend.mode}"
    yield f"    timeout server {backend.timeout_server}"
    yield f"    timeout queue {backend.timeout_queue}"
    if backend.source_hash:
        yield "    balance source"
    else:
        match dialect:
            case Dialect.V1_3_14:
                # With minconn and maxconn below, whoever frees a slot first takes the next request.
                yield "    balance roundrobin"
            case Dialect.V2:
                yield "    balance leastconn"
            case _:
                assert_never(dialect)
    if backend.fullconn:
        yield f"    fullconn {backend.fullconn}"
    yield from _check(backend.check, dialect)
    for server in backend.servers:
        yield f"    {_server(server, backend, dialect)}"


def _check(check: Check, dialect: Dialect) -> Iterator[str]:
    match check.kind:
        case "http":
            match dialect:
                case Dialect.V1_3_14:
                    host = f"\\r\\nHost:\\ {check.host}" if check.host else ""
                    yield f"    option httpchk GET {check.path} HTTP/1.0{host}"
                case Dialect.V2:
                    yield "    option httpchk"
                    host = f" hdr Host {check.host}" if check.host else ""
                    yield f"    http-check send meth GET uri {check.path} ver HTTP/1.1{host}"
                    yield f"    http-check expect status {check.expect}"
                case _:
                    assert_never(dialect)
        case "xmpp":
            yield "    option tcp-check"
            stream = (
                f"<stream:stream to='{check.domain}' xmlns='jabber:client'"
                " xmlns:stream='http://etherx.jabber.org/streams' version='1.0'>"
            )
            # In double quotes, or HAProxy takes the single ones for its own.
            yield f'    tcp-check send "{stream}"'
            yield "    tcp-check expect string </stream:features>"
        case _:
            pass


def _server(server: Server, backend: Backend, dialect: Dialect) -> str:
    words = [f"server {server.name} {server.address}:{server.port}"]
    if server.minconn:
        words.append(f"minconn {server.minconn}")
    if server.maxconn:
        words.append(f"maxconn {server.maxconn}")
    check = backend.check
    words.append(f"check inter {check.inter} rise {check.rise} fall {check.fall}")
    if backend.proxy:
        words.append("send-proxy check-send-proxy")
    if backend.mode is Mode.TCP and dialect is Dialect.V2:
        # A connection to a lost server would hang until its client gives up; closed, the client comes back.
        words.append("on-marked-down shutdown-sessions")
    return " ".join(words)


def _stats(instance: Instance, dialect: Dialect) -> Iterator[str]:
    match dialect:
        case Dialect.V1_3_14:
            yield f"listen stats 127.0.0.1:{instance.stats_port}"
            # It has no servers, and 1.3.14 will not do without a way to choose one.
            yield "    balance roundrobin"
        case Dialect.V2:
            yield "listen stats"
            yield f"    bind 127.0.0.1:{instance.stats_port}"
        case _:
            assert_never(dialect)
    yield "    mode http"
    yield "    timeout client 10000"
    yield "    timeout server 10000"
    yield "    stats enable"
    yield "    stats uri /"


def _name_faults(instance: Instance) -> Iterator[Fault]:
    names = [frontend.name for frontend in instance.frontends]
    for backend in instance.backends:
        names += [backend.name, *(server.name for server in backend.servers)]
    for name in names:
        if not is_haproxy_name(name):
            rule = "HAProxy allows letters, digits and . : _ -"
            yield Fault(f"load_balancer.{instance.name}", "not a name for HAProxy", name, rule, "rename it")


def _option_faults(instance: Instance, dialect: Dialect) -> Iterator[Fault]:
    if dialect is not Dialect.V1_3_14:
        return
    for backend in instance.backends:
        path = f"load_balancer.{instance.name}.backend {backend.name}"
        if backend.proxy:
            fix = "set services.jabber.proxy_protocol to false, or load_balancer.dialect to 2.x"
            yield Fault(path, "no PROXY protocol in dialect 1.3.14", "send-proxy", "1.5 brought it", fix)
        if backend.check.kind == "xmpp":
            fix = "use a tcp check, or load_balancer.dialect 2.x"
            yield Fault(path, "no tcp-check in dialect 1.3.14", "xmpp", "1.5 brought it", fix)
        if backend.check.kind == "http" and backend.check.expect not in (200, 0):
            rule = "its httpchk takes any 2xx or 3xx for up"
            value = str(backend.check.expect)
            yield Fault(path, "no expected status in dialect 1.3.14", value, rule, "answer 200 when healthy")


def _line_faults(instance: Instance, lines: list[str], dialect: Dialect) -> Iterator[Fault]:
    if dialect is not Dialect.V1_3_14:
        return
    for number, line in enumerate(lines, 1):
        path = f"load_balancer.{instance.name}.line {number}"
        if len(line.encode()) > _LINE_BYTES:
            rule = f"1.3.14 reads {_LINE_BYTES} bytes a line"
            yield Fault(path, "the line is too long", line[:40] + "…", rule, "shorten it or split it")
        if len(line.split()) > _LINE_WORDS:
            rule = f"1.3.14 reads {_LINE_WORDS} words a line"
            yield Fault(path, "the line has too many words", line[:40] + "…", rule, "split it")
