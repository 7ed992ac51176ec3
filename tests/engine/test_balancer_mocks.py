"""A LoadBalancerPair on several hosts under Pulumi's mocks: its parts, their names and their order."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import mocks
import pulumi
import pytest
from pulumi.runtime.mocks import MockMonitor

from habla import (
    CacheDbNode,
    CacheDbNodeArgs,
    ExistingHost,
    HaproxySpec,
    Host,
    HostArgs,
    InternalSubnet,
    InternalSubnetArgs,
    LoadBalancerPair,
    LoadBalancerPairArgs,
    Member,
    VrrpSpec,
)
from habla.components.agent_bundle import short_document
from habla.components.fleet import deploy_fleet
from habla.errors import Faults
from habla.plan import make_plan
from habla.settings.loading import load_settings

CONFIG = "/etc/keepalived/keepalived.conf"
VRRP = {"address": "203.0.113.20/24", "interface": "eth0"}
HAPROXY = HaproxySpec(dialect="2.x", vrrp=VrrpSpec.model_validate_json(json.dumps(VRRP)))


class Recorder(mocks.Recorder):
    """Keeps also which others each resource waits for, and its former names."""

    def __init__(self) -> None:
        super().__init__()
        self.waits: dict[str, set[str]] = {}
        self.aliases: dict[str, list[str]] = {}


class Monitor(MockMonitor):
    """Mocks are not told of dependencies; the engine, which this stands for, is."""

    def RegisterResource(self, request: Any) -> Any:  # noqa: N802
        recorder = self.mocks
        assert isinstance(recorder, Recorder)
        recorder.waits[request.name] = {urn.rsplit("::", 1)[1] for urn in request.dependencies}
        recorder.aliases[request.name] = [alias.spec.name for alias in request.aliases]
        return super().RegisterResource(request)


@pytest.fixture
def recorder() -> Recorder:
    made = Recorder()
    pulumi.runtime.set_mocks(made, project="habla", stack="test", preview=False, monitor=Monitor(made))
    return made


def fronts(count: int) -> tuple[list[Host], InternalSubnet]:
    hosts = [
        Host(
            f"front{number}",
            HostArgs(
                ExistingHost(f"198.51.100.{number}", "ssh-ed25519 A", private_key="key"),
                f"203.0.113.1{number}",
            ),
        )
        for number in range(1, count + 1)
    ]
    return hosts, InternalSubnet("net", InternalSubnetArgs([Member(host, "front") for host in hosts]))


@pulumi.runtime.test
def test_two_hosts_are_two_commands_of_one_component_one_after_the_other(recorder: Recorder) -> Any:
    """Each host runs the pair and knows the other; the second waits for the first."""
    hosts, subnet = fronts(2)
    pair = LoadBalancerPair("balancer", LoadBalancerPairArgs(hosts, subnet, haproxy=HAPROXY))
    configs = {name: state.files[CONFIG].text for name, state in pair.states.items()}
    assert "unicast_peer {\n        192.168.2.11\n" in configs["front1"]
    assert "unicast_peer {\n        192.168.2.10\n" in configs["front2"]

    def check(reports: dict[str, str]) -> None:
        assert list(reports) == ["front1", "front2"]
        assert {"balancer-front1-state", "balancer-front2-state"} <= recorder.inputs.keys()
        assert "balancer-state" not in recorder.inputs
        assert "balancer-front1-state" in recorder.waits["balancer-front2-state"]
        assert "balancer-front2-state" not in recorder.waits["balancer-front1-state"]

    return pair.reports.apply(check)


@pulumi.runtime.test
def test_a_second_host_leaves_the_first_one_its_resource(recorder: Recorder) -> Any:
    """From one host to several and back, the part on the first host is known by its former name."""
    hosts, subnet = fronts(3)
    one = LoadBalancerPair("one", LoadBalancerPairArgs(hosts[2], subnet, haproxy=HAPROXY))
    two = LoadBalancerPair("two", LoadBalancerPairArgs(hosts[:2], subnet, haproxy=HAPROXY))

    def check(_: Any) -> None:
        assert recorder.aliases["one-state"] == ["one-front3-state"]
        assert recorder.aliases["two-front1-state"] == ["two-state"]
        assert recorder.aliases["two-front2-state"] == []

    return pulumi.Output.all(one.reports, two.reports).apply(check)


def test_faults_of_a_shared_address_come_before_any_resource(recorder: Recorder) -> None:
    """A program of one's own is told as a stack is."""
    hosts, subnet = fronts(2)
    wrong = HAPROXY.model_copy(
        update={"vrrp": HAPROXY.vrrp and HAPROXY.vrrp.model_copy(update={"interface": "internal0"})}
    )
    with pytest.raises(Faults, match=r"load_balancer\.vrrp\.interface"):
        LoadBalancerPair("balancer", LoadBalancerPairArgs(hosts, subnet, haproxy=wrong))
    with pytest.raises(Faults, match="no host"):
        LoadBalancerPair("balancer", LoadBalancerPairArgs([], subnet))


def test_a_fleet_changes_its_front_hosts_one_after_the_other(recorder: Recorder) -> None:
    """Names stay as with one host; forwards lead to the shared address; the second waits for the first."""
    raw = {
        "lab": {},
        "load_balancer": {"dialect": "2.x", "vrrp": {**VRRP, "interface": "outside0"}},
        "hosts": {
            "front1": {"role": "front", "services": ["haproxy"], "outside_address": "203.0.113.11"},
            "front2": {"role": "front", "services": ["haproxy"], "outside_address": "203.0.113.12"},
        },
    }
    plan = make_plan(
        load_settings("test", raw), {}, read_archive=lambda spec: pytest.fail("no archives here")
    )

    @pulumi.runtime.test
    def declare() -> Any:
        hosts = deploy_fleet(plan, {}, root=Path())
        return pulumi.Output.all(*(host.address for host in hosts.values()))

    declare()
    for name in ("front1", "front2"):
        state = short_document(plan.hosts[name].states["balancer"])
        assert recorder.inputs[f"{name}-balancer-state"]["stdin"] == state
    # The commands wait, so that the engine registers a component also when the one before failed.
    assert "front1-balancer-state" in recorder.waits["front2-balancer-state"]
    assert recorder.waits["front2-balancer"] == set()
    wanted = [json.loads(recorder.inputs[f"front{n}-machine"]["stdin"])["forwards"] for n in (1, 2)]
    shared = [{name: to for name, to in one.items() if not name.startswith("stats-")} for one in wanted]
    assert shared == [{"www": "203.0.113.20:80"}, {}]


def test_a_balancer_waits_for_the_services_that_it_names(recorder: Recorder) -> None:
    """Whatever the hosts are called: else HAProxy would send requests to a program that does not run yet."""
    app = {"roles": ["web"], "command": ["/bin/a"], "port": 1, "default": True, "health": {"path": "/"}}
    raw = {
        "lab": {},
        "load_balancer": {"dialect": "2.x"},
        "apps": {"a": app},
        "hosts": {
            "a-front": {"role": "front", "services": ["haproxy"], "outside_address": "203.0.113.11"},
            "z-stable": {"role": "stable"},
            "z-web": {"role": "web"},
        },
    }
    settings = load_settings("test", raw)
    plan = make_plan(settings, {}, read_archive=lambda spec: pytest.fail("no archives here"))

    @pulumi.runtime.test
    def declare() -> Any:
        secrets = {"jabber/cookie": "x"}
        hosts = deploy_fleet(plan, secrets, root=Path())
        return pulumi.Output.all(*(host.address for host in hosts.values()))

    declare()
    assert {"z-stable-stable-state", "z-web-web-state"} <= recorder.waits["a-front-balancer-state"]


@pulumi.runtime.test
def test_a_balancer_of_the_library_waits_for_the_nodes_that_it_uses(recorder: Recorder) -> Any:
    """The same in a program of one's own."""
    hosts, subnet = fronts(2)
    cache = CacheDbNode("cache", CacheDbNodeArgs(hosts[0], subnet, mysql=None))
    pair = LoadBalancerPair(
        "pair", LoadBalancerPairArgs(hosts[1], subnet, uses=[cache], haproxy=HaproxySpec(dialect="2.x"))
    )

    def check(_: Any) -> None:
        assert "cache-state" in recorder.waits["pair-state"]

    return pair.report.apply(check)
