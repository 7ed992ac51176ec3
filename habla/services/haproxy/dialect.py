"""A load balancer -> the text of its config, in one of the dialects.

Both dialects share most lines; where they differ, a ``match`` says so. An option that a dialect does
not have is a fault with the option's name and an alternative; it is never left out.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import assert_never

from habla.errors import DialectError, raise_faults
from habla.services.haproxy.cookies import cookie_rules
from habla.services.haproxy.model import Backend, Bind, Check, Dialect, Frontend, Instance, Mode, Server
from habla.services.haproxy.proxy_faults import line_faults, name_faults, option_faults, raw_faults

__all__ = ["LOG_SOCKET", "STATS", "render"]

# Where the log daemon listens for both instances.
LOG_SOCKET = "/run/haproxy-log/socket"
# The name of the proxy that shows the statistics page, in every instance.
STATS = "stats"
_STATS = f"listen {STATS}"
# How long data may stay unacknowledged before the connection counts as lost.
_CLIENT_UNACKNOWLEDGED = "30s"
_SERVER_UNACKNOWLEDGED = "20s"
_KEEPALIVE_IDLE = "10s"
_KEEPALIVE_INTERVAL = "5s"
_KEEPALIVE_PROBES = 3
# RFC 9110, 9.2.2, but for TRACE, which no website needs. HAProxy sends a request again only if all of it is
# still in its buffer.
_IDEMPOTENT = "GET HEAD OPTIONS PUT DELETE"


def render(instance: Instance, dialect: Dialect, *, refused: Collection[str] = ()) -> str:
    """The config of an instance. Raises DialectError with every fault.

    refused: names that the plan of the fleet refuses for backends, so that they are no second fault here.
    """
    sections: dict[str, Iterable[str]] = {
        "global": _global(instance, dialect),
        "defaults": _defaults(instance, dialect),
        **{f"frontend {item.name}": _frontend(item, dialect) for item in instance.frontends},
        **{f"backend {item.name}": _backend(item, dialect) for item in instance.backends},
        _STATS: _stats(instance, dialect),
    }
    lines: list[str] = []
    for name, body in sections.items():
        # 1.3.14 wants the address here, 2.x refuses it here.
        address = f" 127.0.0.1:{instance.stats_port}"
        lines.append(name + (address if name == _STATS and dialect is Dialect.V1_3_14 else ""))
        lines += [f"    {line}" for line in (*body, *instance.raw.get(name, ()))]
        lines.append("")
    faults = [*name_faults(instance, others=(STATS,), but=refused), *option_faults(instance, dialect)]
    faults += [*raw_faults(instance, list(sections)), *line_faults(instance, lines, dialect=dialect)]
    raise_faults(DialectError, faults)
    return "\n".join(lines)


def _global(instance: Instance, dialect: Dialect) -> Iterator[str]:
    yield f"maxconn {instance.maxconn}"
    yield f"log {LOG_SOCKET} {instance.facility}"
    match dialect:
        case Dialect.V1_3_14:
            # No stats socket: a question there can end the process, for 1.3.14.10 does not initialise such a
            # session whole (``session_free`` after ``uxst_event_accept``). The stats page is an ordinary one.
            pass
        case Dialect.V2:
            # A reload hands the listening sockets over by it, so that no connection is refused.
            yield f"stats socket {instance.run}/admin.sock mode 600 level admin expose-fd listeners"
            yield f"server-state-file {instance.run}/servers"
            yield f"hard-stop-after {instance.stop_after}"
            # 3.4 and later warn of a start without one. In a smaller one, the log's socket would be missing.
            yield "chroot /"
        case _:
            assert_never(dialect)
    yield f"user {instance.user}"
    yield f"group {instance.user}"


def _defaults(instance: Instance, dialect: Dialect) -> Iterator[str]:
    yield f"timeout connect {instance.timeout_connect}"
    yield "retries 3"
    yield "option redispatch"
    yield "option dontlognull"
    if instance.unavailable:
        yield f"errorfile 503 {instance.unavailable}"
    if instance.tcp_keepalive:
        yield "option clitcpka"
        yield "option srvtcpka"
    match dialect:
        case Dialect.V1_3_14:
            pass
        case Dialect.V2:
            if instance.tcp_keepalive:
                # A server that lost its power is found in 25 s. The system's longer times are for clients.
                yield f"srvtcpka-idle {_KEEPALIVE_IDLE}"
                yield f"srvtcpka-intvl {_KEEPALIVE_INTERVAL}"
                yield f"srvtcpka-cnt {_KEEPALIVE_PROBES}"
            yield "load-server-state-from-file global"
        case _:
            assert_never(dialect)


def _frontend(frontend: Frontend, dialect: Dialect) -> Iterator[str]:
    for bind in frontend.binds:
        yield _bind(bind, frontend, dialect=dialect)
    # Not in the defaults: the statistics page is asked every second.
    yield "log global"
    yield f"mode {frontend.mode}"
    yield f"option {'httplog' if frontend.mode is Mode.HTTP else 'tcplog'}"
    yield f"maxconn {frontend.maxconn}"
    yield f"timeout client {frontend.timeout_client}"
    if frontend.mode is Mode.HTTP:
        yield "option forwardfor"
        match dialect:
            case Dialect.V1_3_14:
                # It decides per connection, so a connection carries one request; but a websocket's handshake
                # must keep its `Connection: Upgrade`.
                if not frontend.persistent:
                    yield "option httpclose"
            case Dialect.V2:
                # The server's slot is free as soon as it has answered; the client's connection stays.
                yield "option http-server-close"
            case _:
                assert_never(dialect)
    for acl in frontend.acls:
        yield f"acl {acl.name} {acl.criterion} {' '.join(acl.values)}"
    if any(bind.certificate for bind in frontend.binds):
        yield "http-request set-header X-Forwarded-Proto https if { ssl_fc }"
    for redirect in frontend.redirects:
        condition = f" if {' '.join(redirect.conditions)}" if redirect.conditions else ""
        yield f"http-request redirect prefix {redirect.prefix} code 301{condition}"
    if frontend.https == 443:
        yield "http-request redirect scheme https code 301 unless { ssl_fc }"
    elif frontend.https:
        there = f"https://%[req.hdr(host),field(1,:)]:{frontend.https}%[capture.req.uri]"
        yield f"http-request redirect location {there} code 301 unless {{ ssl_fc }}"
    if frontend.cookies:
        yield from cookie_rules(frontend.cookies, dialect)
    for rule in frontend.rules:
        yield f"use_backend {rule.backend} if {' '.join(rule.conditions)}"
    if frontend.default_backend:
        yield f"default_backend {frontend.default_backend}"


def _bind(bind: Bind, frontend: Frontend, *, dialect: Dialect) -> str:
    words = [f"bind {bind.address}:{bind.port}"]
    if bind.certificate:
        words.append(f"ssl crt {bind.certificate} alpn h2,http/1.1")
    if frontend.persistent and dialect is Dialect.V2:
        words.append(f"tcp-ut {_CLIENT_UNACKNOWLEDGED}")
    return " ".join(words)


def _backend(backend: Backend, dialect: Dialect) -> Iterator[str]:
    yield f"mode {backend.mode}"
    yield f"timeout server {backend.timeout_server}"
    yield f"timeout queue {backend.timeout_queue}"
    if backend.source_hash:
        yield "balance source"
    else:
        match dialect:
            case Dialect.V1_3_14:
                # With minconn and maxconn below, the server that frees a slot first takes the next request.
                yield "balance roundrobin"
            case Dialect.V2:
                yield "balance leastconn"
            case _:
                assert_never(dialect)
    if backend.fullconn:
        yield f"fullconn {backend.fullconn}"
    yield from _retries(backend, dialect)
    if backend.responder and dialect is Dialect.V1_3_14:
        yield f"option httpchk GET /{backend.name} HTTP/1.0"
        yield "http-check disable-on-404"
    else:
        yield from _check(backend.check, dialect)
    if dialect is Dialect.V2:
        yield f"default-server {' '.join(_server_defaults(backend, dialect))}"
    for server in backend.servers:
        yield _server(server, backend, dialect=dialect)


def _retries(backend: Backend, dialect: Dialect) -> Iterator[str]:
    """The lines for requests that a server fails to answer."""
    several = len(backend.servers) > 1
    match dialect:
        case Dialect.V1_3_14:
            # Only the last try goes to another server. By then the checks have found the one that died.
            if several:
                yield "retries 2"
        case Dialect.V2:
            if several:
                yield "option redispatch 1"
            if backend.mode is Mode.HTTP and not backend.persistent:
                yield "retry-on conn-failure empty-response"
                yield f"http-request disable-l7-retry unless {{ method {_IDEMPOTENT} }}"
        case _:
            assert_never(dialect)


def _check(check: Check, dialect: Dialect) -> Iterator[str]:
    if dialect is Dialect.V2:
        yield f"timeout check {check.inter}"
    match check.kind:
        case "http":
            match dialect:
                case Dialect.V1_3_14:
                    host = f"\\r\\nHost:\\ {check.host}" if check.host else ""
                    yield f"option httpchk GET {check.path} HTTP/1.0{host}"
                case Dialect.V2:
                    yield "option httpchk"
                    host = f" hdr Host {check.host}" if check.host else ""
                    yield f"http-check send meth GET uri {check.path} ver HTTP/1.1{host}"
                    yield f"http-check expect status {check.expect}"
                case _:
                    assert_never(dialect)
        case "xmpp":
            yield "option tcp-check"
            stream = (
                f"<stream:stream to='{check.domain}' xmlns='{check.namespace}'"
                " xmlns:stream='http://etherx.jabber.org/streams' version='1.0'>"
            )
            # In double quotes, or HAProxy takes the single ones for its own.
            yield f'tcp-check send "{stream}"'
            yield "tcp-check expect string </stream:features>"
        case "tcp":
            pass
        case _:
            assert_never(check.kind)


def _server_defaults(backend: Backend, dialect: Dialect) -> list[str]:
    """The words that all server lines of a backend share."""
    check = backend.check
    fast = f" fastinter {check.fast}" if check.fast and dialect is Dialect.V2 else ""
    words = [f"check inter {check.inter}{fast} rise {check.rise} fall {check.fall}"]
    if backend.slow_start:
        words.append(f"slowstart {backend.slow_start}")
    match dialect:
        case Dialect.V1_3_14:
            if backend.responder:
                words.append(f"port {backend.responder}")
        case Dialect.V2:
            if check.port:
                words.append(f"port {check.port}")
            if backend.persistent:
                # A connection to a lost server would hang until its client gives up; closed, it comes back.
                words.append("on-marked-down shutdown-sessions")
            elif len(backend.servers) > 1:
                # Between two checks, three requests are enough to find out that the port is closed.
                words.append("observe layer4 error-limit 3 on-error mark-down")
            if backend.proxy:
                words.append("send-proxy check-send-proxy")
        case _:
            assert_never(dialect)
    return words


def _server(server: Server, backend: Backend, *, dialect: Dialect) -> str:
    words = [f"server {server.name} {server.address}:{server.port}"]
    if server.minconn:
        words.append(f"minconn {server.minconn}")
    if server.maxconn:
        words.append(f"maxconn {server.maxconn}")
    match dialect:
        case Dialect.V1_3_14:
            # It has no lines of defaults.
            words += _server_defaults(backend, dialect)
        case Dialect.V2:
            if backend.responder:
                words.append(f"agent-check agent-port {backend.responder} agent-inter {backend.check.inter}")
                words.append(f'agent-send "{server.name}\\n"')
            if backend.persistent:
                # Not among the defaults, where 2.6.12 ignores it: strace shows no TCP_USER_TIMEOUT.
                words.append(f"tcp-ut {_SERVER_UNACKNOWLEDGED}")
        case _:
            assert_never(dialect)
    return " ".join(words)


def _stats(instance: Instance, dialect: Dialect) -> Iterator[str]:
    match dialect:
        case Dialect.V1_3_14:
            # It has no servers, and 1.3.14 will not do without a way to choose one.
            yield "balance roundrobin"
        case Dialect.V2:
            yield f"bind 127.0.0.1:{instance.stats_port}"
        case _:
            assert_never(dialect)
    yield "mode http"
    yield "timeout client 10s"
    yield "timeout server 10s"
    yield "stats enable"
    yield "stats uri /"
