"""Who watches whom, as it follows from the settings of a stack."""

from __future__ import annotations

import json
from typing import Any

from habla.model.spec import ArchiveSpec
from habla.onhost.document import Archive
from habla.plan import FleetPlan, make_plan
from habla.settings.loading import load_settings

HOSTS: dict[str, dict[str, Any]] = {
    "front1": {"role": "front", "outside_address": "203.0.113.10"},
    "monitor1": {"role": "monitor"},
    "web1": {"role": "web"},
}


def plan(hosts: dict[str, dict[str, Any]], **instances: dict[str, Any]) -> FleetPlan:
    """The plan of a stack with these hosts. instances: settings of HAProxy's instances."""

    def no_archive(spec: ArchiveSpec) -> Archive:
        raise OSError("none is needed")

    raw = {"lab": {}, "hosts": hosts, "load_balancer": {"dialect": "2.x", **instances}}
    return make_plan(load_settings("lab", raw), {}, read_archive=no_archive)


def asked(fleet: FleetPlan) -> dict[str, list[str]]:
    """Host -> whom its watcher asks for a sign of life."""
    found = {}
    for name, host in fleet.hosts.items():
        config = json.loads(host.states["watch"].files["/etc/habla/watch.json"].text)
        found[name] = [peer["name"] for peer in config["peers"]]
    return found


def test_the_monitor_asks_every_host_and_one_host_asks_the_monitor() -> None:
    """So a dead host is noticed, and a dead monitor too."""
    assert asked(plan(HOSTS)) == {"front1": ["monitor1"], "monitor1": ["front1", "web1"], "web1": []}


def test_a_host_that_is_given_up_watches_nobody_and_is_not_missed() -> None:
    """Another one takes over to ask the monitor."""
    hosts = {**HOSTS, "front1": {**HOSTS["front1"], "unreachable": True}}
    assert asked(plan(hosts)) == {"front1": [], "monitor1": ["web1"], "web1": ["monitor1"]}


def test_without_a_monitor_nobody_is_asked() -> None:
    """And no host has snmpd."""
    fleet = plan({name: host for name, host in HOSTS.items() if name != "monitor1"})
    assert asked(fleet) == {"front1": [], "web1": []}
    assert not any("snmpd" in host.packages for host in fleet.hosts.values())


def test_what_watches_comes_after_what_it_watches() -> None:
    """By then logs have their rules, so a deployment alarms nobody."""
    for host in plan(HOSTS).hosts.values():
        assert list(host.states)[-1] == "watch"


def test_data_that_grows_is_no_log() -> None:
    """Of each service that stands beside the watcher."""
    config = plan(HOSTS).hosts["front1"].states["watch"].files["/etc/habla/watch.json"].text
    assert {"/var/lib/mysql", "/var/lib/beanstalkd"} <= set(json.loads(config)["data"])


def test_only_front_hosts_count_the_processes_of_haproxy() -> None:
    """With the limit of each instance."""
    limits = {
        name: json.loads(host.states["watch"].files["/etc/habla/watch.json"].text).get("old_processes")
        for name, host in plan(HOSTS, jabber={"old_processes": 1}).hosts.items()
    }
    assert limits == {"front1": {"www": 4, "jabber": 1}, "monitor1": None, "web1": None}


def test_alerts_to_nobody_are_said() -> None:
    """A fleet may do without, but not by oversight."""
    assert any("habla:alerts names nobody" in note for note in plan(HOSTS).notes)
