"""Cacti shows every partition of the fleet in one place, and whoever watches is watched as well."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cacti_browser import CactiPages
from clients import Program, subjects
from fleet import Fleet
from hosts import wait_for

pytestmark = pytest.mark.lab

MONITOR, GUARD, WATCHED = "monitor1", "front1", "web1"
CHANGES: dict[str, Any] = {
    "hosts.monitor1": {"role": "monitor"},
    "alerts.every_seconds": 5,
    "alerts.silent_seconds": 90,
}
HOSTS = ("front1", "monitor1", "stable1", "stable2", "web1")
GRAPHS = """\
SELECT CONCAT(h.description, ' ', g.item), g.local_graph_id FROM habla_graph g JOIN host h ON h.id = host_id;
"""
# The files of a graph, as Cacti stores them.
FILES = """\
SELECT DISTINCT d.data_source_path FROM habla_graph g JOIN host h ON h.id = g.host_id
 JOIN graph_templates_item i ON i.local_graph_id = g.local_graph_id
 JOIN data_template_rrd r ON r.id = i.task_item_id
 JOIN data_template_data d ON d.local_data_id = r.local_data_id
 WHERE h.description = '{host}' AND g.item = '{item}';
"""
# Where the picture of the documentation goes, when it is to be made anew.
PICTURE = os.environ.get("HABLA_PICTURE", "")


@pytest.fixture(scope="module")
def mails(fleet: Fleet) -> Iterator[Program]:
    """The fleet with a monitor, and a mail server."""
    with fleet.changed(CHANGES), fleet.mail_server() as mails:
        yield mails


def sql(fleet: Fleet, query: str) -> list[list[str]]:
    command = f"mariadb --batch --skip-column-names cacti <<'SQL'\n{query}SQL"
    return [line.split("\t") for line in fleet.ssh(MONITOR, command).splitlines()]


def graphs(fleet: Fleet) -> dict[str, str]:
    return {row[0]: row[1] for row in sql(fleet, GRAPHS)}


def last(fleet: Fleet, host: str, item: str) -> dict[str, float]:
    """Data source -> its last value in the files of a graph, of those that have one."""
    found = {}
    for (path,) in sql(fleet, FILES.format(host=host, item=item)):
        file = path.replace("<path_rra>", "/var/lib/cacti/rra")
        # It is not there before the first value.
        head, _, line = fleet.ssh(MONITOR, f"rrdtool lastupdate {file} || true").partition("\n\n")
        for name, value in zip(head.split(), line.partition(":")[2].split(), strict=True):
            if value != "U":
                found[name] = float(value)
    return found


def updated(fleet: Fleet, graph: str) -> int:
    """When the file of a graph got its last values, in Unix seconds; of several files the oldest.

    graph: HOST ITEM, as in `graphs`.
    """
    host, _, item = graph.partition(" ")
    rows = sql(fleet, FILES.format(host=host, item=item))
    files = " ".join(path.replace("<path_rra>", "/var/lib/cacti/rra") for (path,) in rows)
    return min(map(int, fleet.ssh(MONITOR, f"for file in {files}; do rrdtool last $file; done").split()))


def test_the_tree_disk_space_shows_every_partition_with_values(
    fleet: Fleet, mails: Program, tmp_path: Path
) -> None:
    """Who logs in sees them all side by side, and what fills one."""
    expected = {f"{host} partition {mount}" for host in HOSTS for mount in ("/", "/var/log")}
    wait_for(lambda: expected <= graphs(fleet).keys(), 180, "a graph of every partition")
    free = int(fleet.ssh(WATCHED, "df -B1 --output=avail /var/log | tail -n 1"))
    fleet.ssh(WATCHED, f"fallocate -l {free * 6 // 10} /var/log/filling")
    try:
        wait_for(
            lambda: last(fleet, WATCHED, "partition /var/log").get("hdd_used", 0) * 1024 > free * 0.59,
            240,
            "what fills /var/log, in the graph",
        )
        # A line needs more than a point, and every graph has to have one.
        points = {item: updated(fleet, item) for item in expected}
        for item, point in points.items():
            wait_for(
                lambda item=item, point=point: updated(fleet, item) > point, 150, f"the next point of {item}"
            )
        with CactiPages(fleet.lab.hosts[MONITOR]["forwards"]["cacti"], "habla-lab-admin") as pages:
            assert pages.log_in() == "Console"
            pictures = pages.open_tree("Disk space", len(expected))
            pages.save(Path(PICTURE) if PICTURE else tmp_path / "disk-space.png")
    finally:
        fleet.ssh(WATCHED, "rm -f /var/log/filling")
    assert len(pictures) == len(expected)
    shown = [(picture["width"], picture["coloured"]) for picture in pictures]
    assert all(width > 300 and coloured > 0.01 for width, coloured in shown), shown
    assert not subjects(mails, "does not answer"), mails.events


@pytest.mark.usefixtures("mails")
def test_the_stack_tells_where_its_pages_are(fleet: Fleet) -> None:
    """Its output has the loopback ports of the website and of Cacti."""
    told = json.loads(fleet.pulumi("stack", "output", "--stack", "lab", "--json"))["forwards"]
    assert told == {name: host["forwards"] for name, host in fleet.lab.hosts.items() if host["forwards"]}
    assert "www" in told["front1"] and "cacti" in told[MONITOR]


@pytest.mark.usefixtures("mails")
def test_load_memory_traffic_and_sessions_have_values(fleet: Fleet) -> None:
    """Sessions of each HAProxy instance by itself."""
    names = {"load", "memory", "traffic", "sessions www", "sessions jabber"}
    assert {f"front1 {name}" for name in names} <= graphs(fleet).keys()
    for name in names:
        wait_for(lambda name=name: last(fleet, "front1", name), 150, f"a value of {name}")


@pytest.mark.usefixtures("mails")
def test_a_host_and_a_partition_come_and_go_with_the_settings(fleet: Fleet) -> None:
    """At the next `pulumi up`; what stays keeps its graphs, and so its history."""
    before = graphs(fleet)
    more = {**CHANGES, "hosts.web2": {"role": "web", "partitions": {"/srv": {"size": "64M"}}}}
    fleet.up(more)
    wait_for(lambda: "web2 partition /srv" in graphs(fleet), 180, "a graph of the new partition")
    assert before.items() <= graphs(fleet).items()
    assert ["web2"] in sql(fleet, "SELECT description FROM host;\n")
    fleet.up(CHANGES)
    assert graphs(fleet) == before
    assert ["web2"] not in sql(fleet, "SELECT description FROM host;\n")
    assert fleet.up(CHANGES).changed == 0


def test_a_dead_monitor_and_a_dead_host_are_noticed(fleet: Fleet, mails: Program) -> None:
    """The monitor misses a host, another host misses the monitor; both say so when it is over."""
    fleet.ssh(MONITOR, "systemctl stop habla-cacti-poll.timer")
    fleet.kill(WATCHED)
    started = time.monotonic()
    try:
        wait_for(lambda: subjects(mails, MONITOR, WATCHED), 240, "a mail about the host")
        print(f"{subjects(mails, MONITOR, WATCHED)} after {time.monotonic() - started:.0f} s")
        wait_for(lambda: subjects(mails, GUARD, MONITOR), 240, "a mail about the monitor")
        print(f"{subjects(mails, GUARD, MONITOR)} after {time.monotonic() - started:.0f} s")
    finally:
        fleet.start(WATCHED)
        fleet.ssh(MONITOR, "systemctl start habla-cacti-poll.timer")
    wait_for(lambda: subjects(mails, MONITOR, WATCHED, "recovered"), 120, "a mail that the host is back")
    wait_for(lambda: subjects(mails, GUARD, MONITOR, "recovered"), 150, "a mail that the monitor is back")
    assert len(subjects(mails, GUARD, MONITOR)) == 2
