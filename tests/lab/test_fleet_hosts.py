"""Hosts come and go while the fleet is at work."""

from __future__ import annotations

import pytest
from fleet import Fleet
from hosts import wait_for

pytestmark = pytest.mark.lab


def nodes(fleet: Fleet, host: str) -> set[str]:
    """The nodes of the Jabber cluster, as one of them sees it."""
    return {
        line.strip().removeprefix("ejabberd@") for line in fleet.ssh(host, "ejabberdctl list_cluster").split()
    }


def test_a_host_that_joins_renumbers_nobody_and_takes_part_in_everything(fleet: Fleet) -> None:
    """stable3 gets the next address, joins the cluster with its accounts, and HAProxy sends it requests when
    it answers. Taken out again, it leaves the cluster, and the others are as they were. No request is lost.
    """
    before = fleet.ssh("stable1", "cat /etc/hosts")
    fleet.ssh("stable1", "ejabberdctl register joiner hab.la secret")
    asking = fleet.visitors("/rpc/health", "/status/", workers=4, rate=50, most=50 * 600)
    try:
        with asking as visitor:
            visitor.expect(15, event="started")
            fleet.up({"hosts.stable3": {"role": "stable"}})
            visitor.tell(stop=True)
            done = visitor.expect(30, event="done")
        print(f"{sum(done['servers'].values())} answers while stable3 joined")
        assert done["faults"] == []
        assert fleet.ssh("stable3", "ip -4 -o address show internal0").split()[3] == "192.168.2.102/24"
        assert before.strip() in fleet.ssh("stable1", "cat /etc/hosts").replace(
            "192.168.2.102\tstable3\n", ""
        )
        assert nodes(fleet, "stable3") == {"stable1", "stable2", "stable3"}
        fleet.ssh("stable3", "ejabberdctl check_account joiner hab.la")
        wait_for(lambda: "stable3" in fleet.served_by("/rpc/health", tries=10), 20, "requests to stable3")
    finally:
        fleet.up()
        fleet.ssh("stable1", "ejabberdctl unregister joiner hab.la")
    known = "ejabberdctl mnesia_info | grep -A1 '{db_nodes'"
    wait_for(lambda: "stable3" not in fleet.ssh("stable1", known), 60, "stable3 to leave the cluster")
    assert nodes(fleet, "stable1") == {"stable1", "stable2"}
    assert fleet.ssh("stable1", "cat /etc/hosts") == before
