"""After a reload of HAProxy, operators see the old processes until the last connection has ended."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from clients import Jabber, Program
from fleet import STABLE, Fleet
from hosts import wait_for

pytestmark = pytest.mark.lab

UNIT, GONE = "haproxy@jabber", STABLE[1]
# Two users come before the first reload, one between the two reloads, and one after them.
FIRST, SECOND, LATE = ("ada", "bob"), ("cleo",), "dan"
CHANGES = {"load_balancer.jabber.old_processes": 1, "alerts.every_seconds": 5}


@pytest.fixture(scope="module")
def mails(fleet: Fleet) -> Iterator[Program]:
    """The fleet with one old process allowed, a look at it every five seconds, and a mail server."""
    with fleet.changed(CHANGES), fleet.mail_server() as mails:
        yield mails


def old_processes(fleet: Fleet) -> list[dict[str, Any]]:
    """The old processes of jabber, as `habla status --json` has them."""
    found = json.loads(fleet.habla("status", "--json").stdout)["old_processes"]
    return [process for process in found if process["instance"] == "jabber"]


def main_pid(fleet: Fleet) -> str:
    """The process that systemd takes for the instance: in 2.x the master, in 1.3 the present process."""
    return fleet.ssh("front1", f"systemctl show -P MainPID {UNIT}")


def reload(fleet: Fleet) -> None:
    """Reload jabber, and wait until another process has taken over."""
    count = len(old_processes(fleet))
    fleet.ssh("front1", f"systemctl reload {UNIT}")
    wait_for(lambda: len(old_processes(fleet)) == count + 1, 15, "a new process")


def mails_of(mails: Program, word: str) -> list[dict[str, Any]]:
    """The mails about old processes with this word in the subject."""
    found = [event for event in mails.events if event["event"] == "mail"]
    return [event for event in found if "old process" in event["subject"] and word in event["subject"]]


@dataclass
class Reloaded:
    """Jabber after two reloads. nodes: user -> the host that has the user's session.

    told: how many times a mail had said before that there are too many old processes.
    """

    told: int
    processes: list[dict[str, Any]]
    nodes: dict[str, str]

    def on(self, host: str, *users: str) -> int:
        """How many of the users have their sessions on the host."""
        return Counter(self.nodes[user] for user in users)[host]


@pytest.fixture
def reloaded(fleet: Fleet, jabber: Jabber, mails: Program) -> Iterator[Reloaded]:
    """Two reloads while users are online; afterwards they log out and the old processes end."""
    # The watcher sees that no old process is left of an earlier test, and says so.
    fleet.ssh("front1", "systemctl restart habla-watch.service")
    told = len(mails_of(mails, "warning"))
    wait_for(lambda: len(mails_of(mails, "recovered")) == told, 10, "a mail about the earlier test")
    try:
        for user in FIRST:
            jabber.log_in(user)
        reload(fleet)
        for user in SECOND:
            jabber.log_in(user)
        reload(fleet)
        jabber.log_in(LATE)
        nodes = {user: session["node"] for user, session in jabber.sessions().items()}
        yield Reloaded(told, old_processes(fleet), nodes)
    finally:
        jabber.log_out()
        wait_for(lambda: not old_processes(fleet), 30, "the end of the old processes")


def test_status_shows_old_processes_with_their_sessions(fleet: Fleet, reloaded: Reloaded) -> None:
    """Each has the users who came before its reload, on the servers that serve them."""
    found = reloaded.processes
    assert [process["sessions"] for process in found] == [len(FIRST), len(SECOND)]
    addresses = {host: fleet.ssh(host, f"getent hosts {host}").split()[0] for host in STABLE}
    for process, users in zip(found, (FIRST, SECOND), strict=True):
        expected = {addresses[host]: reloaded.on(host, *users) for host in STABLE}
        assert process["servers"] == {address: count for address, count in expected.items() if count}
    assert found[0]["replaced_seconds"] > found[1]["replaced_seconds"] >= 0
    lines = fleet.habla("status").stdout.splitlines()
    rows = [line.split() for line in lines[lines.index("") + 2 :]]
    assert [(row[0], row[1], row[2], row[-1]) for row in rows] == [
        ("front1", "jabber", str(process["pid"]), str(process["sessions"])) for process in found
    ]


def test_drain_counts_the_connections_of_old_processes(
    fleet: Fleet, jabber: Jabber, reloaded: Reloaded
) -> None:
    """It says them under the name of the instance, and waits until they have ended."""
    old, present = reloaded.on(GONE, *FIRST, *SECOND), reloaded.on(GONE, LATE)
    assert old, "nobody who came before the reloads is on the host"
    try:
        done = fleet.habla("drain", GONE, "--json")
        expected = {"old processes of jabber": old} | ({"c2s": present} if present else {})
        assert done.returncode == 0 and json.loads(done.stdout)["left"] == expected
        done = fleet.habla("drain", GONE, "--wait", "1")
        assert done.returncode == 1 and f"old processes of jabber {old}" in done.stdout
        jabber.log_out()
        done = fleet.habla("drain", GONE, "--wait", "30")
        assert done.returncode == 0 and f"{GONE} has no request or connection left" in done.stdout
    finally:
        assert fleet.habla("undrain", GONE).returncode == 0


def test_an_old_process_can_be_ended_alone(fleet: Fleet, jabber: Jabber, reloaded: Reloaded) -> None:
    """`kill` ends the connections of that process. The other processes go on."""
    oldest, second = reloaded.processes
    before = main_pid(fleet)
    fleet.ssh("front1", f"kill {oldest['pid']}")
    for user in FIRST:
        jabber.expect_loss(user, 10)
    assert not jabber.lost(SECOND[0]) and not jabber.lost(LATE)
    jabber.talk(SECOND[0], LATE)
    assert [process["pid"] for process in old_processes(fleet)] == [second["pid"]]
    assert main_pid(fleet) == before
    state = fleet.ssh("front1", f"systemctl show -P NRestarts -P ActiveState {UNIT}")
    assert state.split() == ["0", "active"]


def test_more_old_processes_than_allowed_are_told_once(
    jabber: Jabber, mails: Program, reloaded: Reloaded
) -> None:
    """One mail when there are two and one is allowed, and one when they have ended."""
    count = reloaded.told + 1
    wait_for(lambda: len(mails_of(mails, "warning")) == count, 30, "a mail about the old processes")
    mail = mails_of(mails, "warning")[-1]
    assert mail["subject"] == "[habla lab] front1: haproxy@jabber has 2 old processes (warning)"
    assert "docs/haproxy.md" in mail["text"]
    jabber.log_out()
    wait_for(lambda: len(mails_of(mails, "recovered")) == count, 30, "a mail about their end")
    assert len(mails_of(mails, "old process")) == 2 * count
