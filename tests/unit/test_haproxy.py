"""HAProxy's model lowered to its dialects: the limits and differences that its own checker does not see."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address

import pytest

from habla.errors import DialectError
from habla.services.haproxy.dialect import render
from habla.services.haproxy.model import (
    Acl,
    Backend,
    Bind,
    Check,
    Dialect,
    Frontend,
    Instance,
    Mode,
    Server,
    UseBackend,
)

SERVERS = (Server("stable1", IPv4Address("192.168.2.100"), 8001, 5, 20),)
BACKEND = Backend("rpc", Mode.HTTP, SERVERS, Check("http", "/rpc/health"), fullconn=200)
FRONTEND = Frontend("www", Mode.HTTP, (Bind(IPv4Address("203.0.113.10"), 80),), default_backend="rpc")
INSTANCE = Instance("www", 2000, 8404, (FRONTEND,), (BACKEND,))


def with_backend(**changes: object) -> Instance:
    return replace(INSTANCE, backends=(replace(BACKEND, **changes),))  # type: ignore[arg-type]


def test_1_3_14_takes_the_fastest_server_by_limits_and_a_queue() -> None:
    """It has no leastconn: round robin, with minconn, maxconn and fullconn."""
    text = render(INSTANCE, Dialect.V1_3_14)
    assert "    balance roundrobin\n    fullconn 200\n" in text
    assert "minconn 5 maxconn 20" in text


def test_2_takes_the_fastest_server_by_leastconn_with_the_same_limits() -> None:
    """The limits stay, so that a small server is protected in both dialects."""
    text = render(INSTANCE, Dialect.V2)
    assert "    balance leastconn\n    fullconn 200\n" in text
    assert "minconn 5 maxconn 20" in text


@pytest.mark.parametrize(
    ("changes", "option"),
    [
        ({"proxy": True}, "send-proxy"),
        ({"check": Check("xmpp", domain="hab.la")}, "xmpp"),
        ({"check": Check("http", "/", expect=204)}, "204"),
    ],
)
def test_what_1_3_14_lacks_is_refused_with_what_to_do_instead(
    changes: dict[str, object], option: str
) -> None:
    """Nothing that was asked for is left out silently."""
    with pytest.raises(DialectError) as caught:
        render(with_backend(**changes), Dialect.V1_3_14)
    assert [fault.value for fault in caught.value.faults] == [option]
    assert caught.value.faults[0].fix
    assert render(with_backend(**changes), Dialect.V2)


@pytest.mark.parametrize("count", [60, 61])
def test_a_line_of_more_words_than_1_3_14_reads_is_refused(count: int) -> None:
    """At the 65th word its parser crashes; the line has four words besides the values."""
    acls = (Acl("many", "hdr(host) -i", tuple(f"h{number}" for number in range(count))),)
    instance = replace(INSTANCE, frontends=(replace(FRONTEND, acls=acls),))
    if count == 60:
        assert "h59" in render(instance, Dialect.V1_3_14)
        return
    with pytest.raises(DialectError, match="too many words"):
        render(instance, Dialect.V1_3_14)
    assert render(instance, Dialect.V2)


def test_a_line_longer_than_1_3_14_reads_is_refused() -> None:
    """It reads 2,047 bytes a line and drops the rest."""
    acls = (Acl("long", "path_beg", ("/" + "x" * 2040,)),)
    with pytest.raises(DialectError, match="too long"):
        render(replace(INSTANCE, frontends=(replace(FRONTEND, acls=acls),)), Dialect.V1_3_14)


def test_names_that_haproxy_does_not_take_are_refused_all_at_once() -> None:
    """Letters, digits and . : _ - in both dialects."""
    bad = replace(BACKEND, name="rpc server", servers=(replace(SERVERS[0], name="stable/1"),))
    with pytest.raises(DialectError) as caught:
        render(replace(INSTANCE, backends=(bad,)), Dialect.V2)
    assert [fault.value for fault in caught.value.faults] == ["rpc server", "stable/1"]


def test_rules_keep_their_order() -> None:
    """The first rule that holds decides, so order is meaning."""
    acls = (Acl("a", "path", ("/a",)), Acl("b", "path", ("/b",)))
    rules = (UseBackend("rpc", ("b", "a")), UseBackend("rpc", ("a",)))
    text = render(replace(INSTANCE, frontends=(replace(FRONTEND, acls=acls, rules=rules),)), Dialect.V2)
    assert text.index("use_backend rpc if b a") < text.index("use_backend rpc if a\n")
