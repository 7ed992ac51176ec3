"""HostWatch and MonitoringNode as a user of the library has them, under Pulumi's mocks."""

from __future__ import annotations

import json
from typing import Any

import pulumi
import pytest
from mocks import Recorder

from habla import (
    AlertsSpec,
    ExistingHost,
    HaproxySpec,
    Host,
    HostArgs,
    HostWatch,
    HostWatchArgs,
    InternalSubnet,
    InternalSubnetArgs,
    LoadBalancerPair,
    LoadBalancerPairArgs,
    LogsSpec,
    Member,
    MonitoringNode,
    MonitoringNodeArgs,
    PartitionSpec,
)
from habla.errors import SettingsError

SECRETS = dict.fromkeys(("cacti/admin", "cacti/database", "snmp/auth", "snmp/privacy"), "a secret")


@pytest.fixture
def machines() -> Recorder:
    mocks = Recorder()
    pulumi.runtime.set_mocks(mocks, project="chat", stack="test", preview=False)
    return mocks


def hosts(logs: LogsSpec = LogsSpec()) -> tuple[Host, Host, InternalSubnet]:
    """A front host and a monitor."""
    front, monitor = (
        Host(
            name,
            HostArgs(ExistingHost(address, "ssh-ed25519 A", private_key="key"), outside, secrets=SECRETS),
        )
        for name, address, outside in (
            ("front1", "198.51.100.1", "203.0.113.1"),
            ("monitor1", "198.51.100.2", None),
        )
    )
    members = [Member(front, "front"), Member(monitor, "monitor")]
    return front, monitor, InternalSubnet("net", InternalSubnetArgs(members, logs=logs))


@pulumi.runtime.test
def test_a_watch_knows_the_logs_of_the_nodes_beside_it_and_who_asks_whom(machines: Recorder) -> Any:
    """snmpd is there for the monitor; the monitor asks the front host, and the front host the monitor."""
    front, monitor, subnet = hosts()
    pair = LoadBalancerPair("pair", LoadBalancerPairArgs(front, subnet, haproxy=HaproxySpec(dialect="2.x")))
    cacti = MonitoringNode("cacti", MonitoringNodeArgs(monitor, subnet, uses=[pair]))
    partitions = {"/var/log": PartitionSpec(size="1G")}
    on_front, on_monitor = (
        HostWatch(
            f"watch-{host.name}",
            HostWatchArgs(host, subnet, uses=[node, cacti], partitions=partitions),
        )
        for host, node in ((front, pair), (monitor, cacti))
    )

    def check(_: Any) -> None:
        device = json.loads(cacti.state.files["/etc/habla/cacti.json"].text)["devices"][0]
        assert device["name"] == "front1" and device["sessions"].keys() == {"www", "jabber"}
        snmpd = on_front.state.files["/etc/snmp/snmpd.conf"].text
        assert "agentaddress udp:192.168.2.10:161" in snmpd and "extend haproxy-www" in snmpd
        asked = [
            [peer["name"] for peer in json.loads(watch.state.files["/etc/habla/watch.json"].text)["peers"]]
            for watch in (on_front, on_monitor)
        ]
        assert asked == [["monitor1"], ["front1"]]

    return pulumi.Output.all(on_front.report, on_monitor.report).apply(check)


@pulumi.runtime.test
def test_without_a_monitor_there_is_no_snmpd(machines: Recorder) -> Any:
    """Nobody would ask it."""
    front, _, subnet = hosts()
    watch = HostWatch("watch", HostWatchArgs(front, subnet))

    def check(_: str) -> None:
        assert "snmpd" not in watch.state.packages
        assert json.loads(watch.state.files["/etc/habla/watch.json"].text)["peers"] == []

    return watch.report.apply(check)


def test_logs_that_can_fill_a_partition_are_refused_before_any_resource(machines: Recorder) -> None:
    """A plain exception, which names partition and logs."""
    front, _, subnet = hosts(LogsSpec(rate="4M"))
    pair = LoadBalancerPair("pair", LoadBalancerPairArgs(front, subnet, haproxy=HaproxySpec(dialect="2.x")))
    before = list(machines.inputs)
    with pytest.raises(SettingsError, match=r"partitions\./var/log: logs can fill it"):
        HostWatch(
            "watch",
            HostWatchArgs(
                front,
                subnet,
                uses=[pair],
                partitions={"/var/log": PartitionSpec(size="256M")},
                alerts=AlertsSpec(command=("/usr/local/bin/page",)),
            ),
        )
    assert not [name for name in machines.inputs if name.startswith("watch")], before
