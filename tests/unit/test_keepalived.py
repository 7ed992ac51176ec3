"""The address that front hosts share: what each host is told, and who is told of whom."""

from __future__ import annotations

import dataclasses
from ipaddress import IPv4Address, IPv4Interface
from pathlib import Path
from typing import Any

import pytest

from habla.errors import SettingsError
from habla.model.site import Endpoint, Endpoints, FleetFacts, Site
from habla.onhost.document import HostState
from habla.plan import FleetPlan, make_plan
from habla.plan.component import plan_component
from habla.services.app import App
from habla.services.app_spec import AppSpec
from habla.services.haproxy import Haproxy
from habla.services.haproxy.haproxy_spec import HaproxySpec, VrrpSpec
from habla.services.keepalived import vrrp_faults
from habla.settings.loading import load_settings

CONFIG = "/etc/keepalived/keepalived.conf"
VRRP = VrrpSpec(address=IPv4Interface("203.0.113.20/24"), interface="outside0")
HAPROXY = Haproxy(HaproxySpec(dialect="2.x", vrrp=VRRP))
APPROVED = (Path(__file__).parent / "keepalived.conf").read_text("utf-8")


def site(number: int, of: int = 2, drained: bool = False) -> Site:
    ends = Endpoints.of(
        Endpoint(HAPROXY.offers()[0], f"front{each}", address=IPv4Address(f"192.168.2.1{each}"))
        for each in range(1, of + 1)
    )
    own = IPv4Address(f"203.0.113.1{number}")
    fleet = FleetFacts(endpoints=ends, interface="eth1")
    address = IPv4Address(f"192.168.2.1{number}")
    return Site(f"front{number}", address, fleet=fleet, outside=own, drained=drained)


def state(where: Site) -> HostState:
    return plan_component("balancer", where, services=[HAPROXY]).state


def plan(hosts: dict[str, Any], **balancer: Any) -> FleetPlan:
    raw = {"lab": {}, "load_balancer": {"dialect": "2.x", **balancer}, "hosts": hosts}
    settings = load_settings("test", raw)
    return make_plan(settings, {}, read_archive=lambda spec: pytest.fail("no archives here"))


def test_the_config_of_one_of_two_hosts_is_as_it_was_approved() -> None:
    """No line of it changes unseen."""
    assert state(site(1)).files[CONFIG].text == APPROVED


def test_hosts_differ_by_name_and_addresses_alone() -> None:
    """Equal hosts: none takes the address from another because of what it is."""
    swapped = APPROVED.replace("router_id front1", "router_id front2")
    swapped = swapped.replace("192.168.2.11", "X").replace("192.168.2.12", "192.168.2.11")
    assert state(site(2)).files[CONFIG].text == swapped.replace("X", "192.168.2.12")


def test_each_of_three_hosts_speaks_to_both_others() -> None:
    """Any number of hosts share an address."""
    text = state(site(2, of=3)).files[CONFIG].text
    assert "unicast_peer {\n        192.168.2.11\n        192.168.2.13\n    }\n" in text


def test_a_host_that_is_alone_has_no_peers() -> None:
    """keepalived warns of an empty list of peers."""
    assert "unicast" not in state(site(1, of=1)).files[CONFIG].text.replace("check_unicast", "")


def test_a_changed_config_reloads_and_never_restarts() -> None:
    """A restart would move the address."""
    unit = state(site(1)).units["keepalived.service"]
    assert (unit.restart_on, unit.reload_on) == ((), (CONFIG,))


def test_a_host_that_the_settings_drain_has_the_flag() -> None:
    """The flag is what the daemon looks at; its config stays the same."""
    drained, other = state(site(1, drained=True)), state(site(1))
    assert drained.files.keys() - other.files.keys() == {"/etc/habla/drained"}
    assert drained.files[CONFIG] == other.files[CONFIG]


def test_health_of_haproxy_does_not_ask_who_has_the_address() -> None:
    """The other host would answer there: what counts is that this one listens."""
    checks = state(site(2)).health
    assert [name for name, check in checks.items() if check.address == "203.0.113.20"] == []
    assert "src 203.0.113.20:80 " in checks["www-www-80"].command[-1]


def test_without_a_shared_address_there_is_no_daemon() -> None:
    """Two front hosts may also have an address each."""
    front = {"role": "front", "services": ["haproxy"]}
    hosts = {f"front{n}": {**front, "outside_address": f"203.0.113.1{n}"} for n in (1, 2)}
    for host in plan(hosts).hosts.values():
        assert CONFIG not in host.states["balancer"].files
        assert f"bind {host.site.outside}:80" in host.states["balancer"].files["/etc/haproxy/www.cfg"].text


def test_the_plan_tells_every_front_host_of_the_others() -> None:
    """Nobody types a peer, and the daemons of front1 stay the only ones of their kind."""
    hosts = {
        "front1": {"role": "front", "outside_address": "203.0.113.11"},
        "front2": {"role": "front", "outside_address": "203.0.113.12", "services": ["haproxy"]},
    }
    fleet = plan(hosts, vrrp={"address": "203.0.113.20/24", "interface": "outside0"})
    peers = {name: host.states["balancer"].files[CONFIG].text for name, host in fleet.hosts.items()}
    assert "unicast_peer {\n        192.168.2.11\n" in peers["front1"]
    assert "unicast_peer {\n        192.168.2.10\n" in peers["front2"]
    assert [end.host for end in fleet.fleet.endpoints.named("mysql")] == ["front1"]
    assert not [note for note in fleet.notes if "shared address" in note]


def test_a_shared_address_with_one_host_is_allowed_and_said() -> None:
    """The second host may come later."""
    hosts = {"front1": {"role": "front", "outside_address": "203.0.113.10"}}
    fleet = plan(hosts, vrrp={"address": "203.0.113.20/24", "interface": "outside0"})
    assert "one host, front1, has the shared address 203.0.113.20: no other host takes it over" in fleet.notes


def test_a_routed_address_is_in_no_network_of_the_hosts() -> None:
    """/32 says that the hosts' own addresses are elsewhere."""
    routed = VRRP.model_copy(update={"address": IPv4Interface("198.51.100.7/32")})
    assert list(vrrp_faults(routed, {"front1": site(1, of=1)})) == []


def test_programs_cannot_name_what_has_no_port() -> None:
    """``${haproxy.address}`` would be an address where nothing listens."""
    spec = AppSpec(roles=("stable",), command=("/bin/a",), environment={"X": "${haproxy.address}"})
    with pytest.raises(SettingsError, match="no service offers this value"):
        App("a", spec).state(dataclasses.replace(site(1), host="stable1"))
