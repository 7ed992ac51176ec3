"""The records that a fleet needs in the DNS, as ``habla dns`` prints them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from small_stack import changed, planned

from habla.cli import main
from habla.plan.dns_records import dns_lines

ROOT = Path(__file__).parents[2]
_RECORD = re.compile(r"(\S+\.) IN (?:A ([\d.]+)|SRV 0 5 (\d+) (\S+\.))")


def records(changes: dict[str, Any]) -> list[tuple[str, str]]:
    """(name, address or port and target), of all records."""
    found = []
    for line in dns_lines(planned(changed(changes))):
        if line and not line.startswith((";", "$TTL ")):
            match = _RECORD.fullmatch(line)
            assert match, line
            found.append((match[1], match[2] or f"{match[3]} {match[4]}"))
    return found


def test_a_fleet_is_found_by_website_images_and_jabber() -> None:
    """Other servers find its rooms too; the target of each record has an address."""
    found = records({})
    assert found[:2] == [("www.hab.la.", "203.0.113.10"), ("hab.la.", "203.0.113.10")]
    assert ("static.hab.la.", "203.0.113.10") in found
    assert ("_xmpp-client._tcp.hab.la.", "5222 www.hab.la.") in found
    assert ("_xmpps-client._tcp.hab.la.", "5223 www.hab.la.") in found
    assert ("_xmpp-server._tcp.hab.la.", "5269 www.hab.la.") in found
    assert ("_xmpp-server._tcp.conference.hab.la.", "5269 www.hab.la.") in found


def test_what_is_turned_off_is_not_there() -> None:
    """No port of servers, and none that begins with TLS."""
    jabber = {"s2s_port": None, "direct_tls_port": None, "domains": {"hab.la": {"s2s": False}}}
    names = [name for name, _ in records({"services|jabber": jabber})]
    assert [name for name in names if name.startswith("_")] == ["_xmpp-client._tcp.hab.la."]


def test_visitors_are_for_clients_only() -> None:
    """Their domain has no address, because clients in a browser ask the website where Jabber is."""
    domains = {"hab.la": {}, "visitors.hab.la": {"auth": "anonymous"}}
    found = [name for name, _ in records({"services|jabber": {"domains": domains}}) if "visitors" in name]
    assert found == ["_xmpp-client._tcp.visitors.hab.la.", "_xmpps-client._tcp.visitors.hab.la."]


def test_hosts_that_share_an_address_are_found_there() -> None:
    """And two without a shared address at both of theirs."""
    front2 = {"role": "front", "services": ["haproxy"], "outside_address": "203.0.113.11"}
    assert records({"hosts|front2": front2})[:2] == [
        ("www.hab.la.", "203.0.113.10"),
        ("www.hab.la.", "203.0.113.11"),
    ]
    vrrp = {"address": "203.0.113.20/24", "interface": "eth0"}
    found = records({"hosts|front2": front2, "load_balancer|vrrp": vrrp})
    assert found[:2] == [("www.hab.la.", "203.0.113.20"), ("hab.la.", "203.0.113.20")]


def test_a_fleet_without_a_public_address_has_no_records(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The command says so, with exit status 1."""
    (tmp_path / "stacks").mkdir()
    (tmp_path / "Pulumi.yaml").write_text("name: habla\n")
    stack = "config: {habla:lab: {}, habla:hosts: {stable1: {role: stable}}}\n"
    (tmp_path / "stacks" / "Pulumi.lab.yaml").write_text(stack)
    assert main(["-C", str(tmp_path), "dns", "-s", "lab"]) == 1
    assert "nothing of this fleet is in the DNS" in capsys.readouterr().out
    assert main(["-C", str(ROOT), "dns", "-s", "lab"]) == 0
