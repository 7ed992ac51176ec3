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
    CookiePolicy,
    Dialect,
    Frontend,
    Instance,
    Mode,
    Redirect,
    Server,
    UseBackend,
)

SERVERS = (Server("stable1", IPv4Address("192.168.2.100"), port=8001, minconn=5, maxconn=20),)
BACKEND = Backend("rpc", Mode.HTTP, servers=SERVERS, check=Check("http", "/rpc/health"), fullconn=200)
FRONTEND = Frontend("www", Mode.HTTP, binds=(Bind(IPv4Address("203.0.113.10"), 80),), default_backend="rpc")
INSTANCE = Instance("www", 2000, stats_port=8404, frontends=(FRONTEND,), backends=(BACKEND,))


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


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"binds": (Bind(IPv4Address("203.0.113.10"), 443, "/x.pem"),)}, "no TLS"),
        ({"redirects": (Redirect("http://www.hab.la"),)}, "no redirect"),
    ],
)
def test_a_frontend_that_1_3_14_cannot_have_is_refused(changes: dict[str, object], what: str) -> None:
    """With the dialect, the option and what to do instead."""
    instance = replace(INSTANCE, frontends=(replace(FRONTEND, **changes),))  # type: ignore[arg-type]
    with pytest.raises(DialectError, match=f"{what} in dialect 1.3.14") as caught:
        render(instance, Dialect.V1_3_14)
    assert "load_balancer.www.dialect to 2.x" in caught.value.faults[0].fix
    assert render(instance, Dialect.V2)


def test_1_3_14_has_no_stats_socket() -> None:
    """A question at it can end a 1.3.14.10; 2.x hands its listeners over by it."""
    assert "stats socket" not in render(INSTANCE, Dialect.V1_3_14)
    assert "stats socket /run/haproxy-www/admin.sock mode 600" in render(INSTANCE, Dialect.V2)


def test_a_websocket_keeps_its_upgrade_in_1_3_14() -> None:
    """`option httpclose` says `Connection: close` in each request; a persistent frontend does without."""
    for persistent in (False, True):
        instance = replace(INSTANCE, frontends=(replace(FRONTEND, persistent=persistent),))
        assert ("option httpclose" in render(instance, Dialect.V1_3_14)) is not persistent


def test_drain_is_an_agent_check_in_2_and_a_404_in_1_3_14() -> None:
    """The host's responder is asked beside the health check, or instead of it."""
    instance = with_backend(responder=8099)
    assert 'agent-check agent-port 8099 agent-inter 2s agent-send "stable1\\n"' in render(
        instance, Dialect.V2
    )
    old = render(instance, Dialect.V1_3_14)
    assert "option httpchk GET /rpc HTTP/1.0\n    http-check disable-on-404\n" in old
    assert "check inter 2s rise 2 fall 3 port 8099" in old


def test_the_responder_makes_checks_that_1_3_14_cannot() -> None:
    """XMPP and other statuses than 200 are no fault once the host itself looks."""
    for check in (Check("xmpp", domain="hab.la"), Check("http", "/", expect=204)):
        assert render(with_backend(check=check, responder=8099), Dialect.V1_3_14)


@pytest.mark.parametrize("dialect", Dialect)
def test_raw_lines_stand_at_the_end_of_their_section(dialect: Dialect) -> None:
    """They are written as they are; one for a section that is not there is refused."""
    raw = {"backend rpc": ("# mine", "retries 5"), "listen stats": ("stats refresh 5s",)}
    text = render(replace(INSTANCE, raw=raw), dialect)
    assert (
        text.index("server stable1") < text.index("    # mine\n    retries 5\n") < text.index("listen stats")
    )
    assert text.rstrip().endswith("stats refresh 5s")
    with pytest.raises(DialectError, match=r"raw.backend web: no such section"):
        render(replace(INSTANCE, raw={"backend web": ("x",)}), dialect)


def test_raw_lines_are_held_to_the_limits_of_1_3_14() -> None:
    """They are lines like all others."""
    with pytest.raises(DialectError, match="too many words"):
        render(replace(INSTANCE, raw={"global": (" ".join("a" * 65),)}), Dialect.V1_3_14)


@pytest.mark.parametrize("dialect", Dialect)
def test_expired_cookies_come_before_the_new_one(dialect: Dialect) -> None:
    """To a browser .www.hab.la and www.hab.la are one domain: what comes last is what stays."""
    policy = CookiePolicy(
        "www.hab.la", ("session",), stale_domains=(".hab.la", ".www.hab.la"), paths=("/", "/forum")
    )
    text = render(replace(INSTANCE, frontends=(replace(FRONTEND, cookies=policy),)), dialect)
    rules = [line for line in text.splitlines() if "session=" in line or "%[var(txn.cookie1)]" in line]
    seen = " ".join(rules).replace("\\ ", " ")
    for old in ("session=; path=/;", "session=; domain=.hab.la; path=/forum;", "domain=.www.hab.la; path=/;"):
        assert seen.index(old) < seen.rindex("\\1" if dialect is Dialect.V1_3_14 else "%[var(txn.cookie1)]")
    assert seen.count("01-Jan-1970") == 6


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


@pytest.mark.parametrize("dialect", Dialect)
@pytest.mark.parametrize(
    ("frontends", "backends", "shared"),
    [
        (["www"], ["www", "rpc"], ["www"]),
        (["www", "www"], ["rpc", "web", "rpc"], ["rpc", "www"]),
        (["www"], ["stats", "rpc"], ["stats"]),
    ],
    ids=["frontend and backend", "two of a kind", "statistics page"],
)
def test_a_name_that_two_sections_have_is_refused(
    dialect: Dialect, frontends: list[str], backends: list[str], shared: list[str]
) -> None:
    """Of two sections with one header the first would be lost, and HAProxy 3.3 refuses the other cases."""
    instance = replace(
        INSTANCE,
        frontends=tuple(replace(FRONTEND, name=name) for name in frontends),
        backends=tuple(replace(BACKEND, name=name) for name in backends),
    )
    with pytest.raises(DialectError, match="several sections have one name") as caught:
        render(instance, dialect)
    assert [fault.value for fault in caught.value.faults] == shared


def test_rules_keep_their_order() -> None:
    """The first rule that holds decides, so order is meaning."""
    acls = (Acl("a", "path", ("/a",)), Acl("b", "path", ("/b",)))
    rules = (UseBackend("rpc", ("b", "a")), UseBackend("rpc", ("a",)))
    text = render(replace(INSTANCE, frontends=(replace(FRONTEND, acls=acls, rules=rules),)), Dialect.V2)
    assert text.index("use_backend rpc if b a") < text.index("use_backend rpc if a\n")
