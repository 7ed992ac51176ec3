"""No partition fills with logs, and somebody is told before one does."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from clients import Jabber, Program, subjects
from fleet import STABLE, Fleet
from hosts import SUPPORT, wait_for

from habla.plan.stack_files import load_plan

pytestmark = pytest.mark.lab

HOST, OTHER = STABLE
MIB = 1 << 20
# Incompressible bytes a second; the rule's rate is the same a minute.
SPEED = 3 * MIB
RUNS = 85
CHANGES = {
    "logs.check_seconds": 10,
    "logs.rules": {"habla-rpc": {"size": "1M", "keep": 1, "rate": "180M"}},
    "alerts.every_seconds": 5,
    "alerts.settle_seconds": 10,
}
ROGUE, UNBOUNDED = "/var/log/rogue.log", "/var/log/unbounded.log"


@pytest.fixture(scope="module")
def mails(fleet: Fleet) -> Iterator[Program]:
    """The fleet with small bounds, a look at it every five seconds, and a mail server."""
    with fleet.changed(CHANGES), fleet.mail_server() as mails:
        yield mails


@pytest.fixture(scope="module")
def unbounded(fleet: Fleet, mails: Program) -> Iterator[int]:
    """A log without a rule on the other host, and the number of events before it.

    The watcher tells of it after a minute or two, and other tests run meanwhile.
    """
    since = len(mails.events)
    fleet.ssh(OTHER, f"systemd-run -q --unit=unbounded sh -c 'exec tail -f /dev/null >>{UNBOUNDED}'")
    yield since
    fleet.ssh(OTHER, f"systemctl stop unbounded; rm -f {UNBOUNDED}")


def put(fleet: Fleet, name: str) -> str:
    """Copy one of the helpers to the host; its path there."""
    text = Path(SUPPORT / name).read_text("utf-8")
    fleet.lab.run(HOST, f"cat > /root/{name} <<'PROGRAM'\n{text}PROGRAM")
    return f"/root/{name}"


def free(fleet: Fleet, mount: str) -> int:
    return int(fleet.ssh(HOST, f"df -B1 --output=avail {mount} | tail -n 1"))


def test_every_log_of_the_fleet_has_a_rule_by_size(fleet: Fleet, mails: Program) -> None:
    """`habla logs` looks on the hosts themselves, and finds nothing that no rule covers."""
    done = fleet.habla("logs")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "and no other file grows like one" in done.stdout
    assert not [event for event in mails.events if event["event"] == "mail"]


@pytest.mark.usefixtures("mails")
def test_the_worst_case_is_shown_and_refused_where_it_does_not_fit(fleet: Fleet) -> None:
    """From the settings alone, before any host is touched."""
    shown = fleet.habla("logs", "--bounds")
    assert shown.returncode == 0 and "habla-rpc" in shown.stdout
    output = fleet.refused({**CHANGES, "logs.check_seconds": 60})
    assert f"hosts.{HOST}.partitions./var/log: logs can fill it (1.0 GiB)" in output
    assert "habla-rpc 678 MiB (/var/log/habla-rpc/output.log)" in output


@pytest.mark.usefixtures("unbounded")
def test_a_log_that_runs_away_stays_below_its_bound_and_nobody_notices(
    fleet: Fleet, mails: Program, jabber: Jabber, pair: tuple[str, str]
) -> None:
    """More than the bound is written, at the rate that the settings state; users talk and ask meanwhile."""
    fleet.up(CHANGES)
    budget = next(
        item for item in load_plan(fleet.project, "lab").hosts[HOST].budgets if item.mount == "/var/log"
    )
    bound = next(item.bytes for item in budget.bounds if item.rule == "habla-rpc")
    since = len(mails.events)
    put(fleet, "pace.py")
    program, log = put(fleet, "runaway.py"), "/var/log/habla-rpc/output.log"
    asked = {"workers": 4, "rate": 100, "most": 100 * (RUNS + 60)}
    with fleet.visitors("/rpc", "/status/", **asked) as visitor:
        visitor.expect(30, event="started")
        told = fleet.ssh(HOST, f"python3 {program} {log} {SPEED} {RUNS} {log} /var/log")
        jabber.talk(*pair)
        visitor.tell(stop=True)
        done = visitor.expect(30, event="done")
    report = json.loads(told)
    print(report, "bound", bound)
    assert report["written"] > bound, "a writer that stays below the bound anyway proves nothing"
    assert report["rotations"] > 3
    assert report["files"] <= bound
    assert report["used"] < 80
    assert done["faults"] == [] and not any(map(jabber.lost, pair))
    assert subjects(mails, f" {HOST}: ", since=since) == []


def test_a_log_without_a_rule_is_told_and_told_when_it_is_over(
    fleet: Fleet, mails: Program, unbounded: int
) -> None:
    """One mail each, although nothing fills."""
    wait_for(
        lambda: subjects(mails, f" {OTHER}: ", "no size bounds", UNBOUNDED, since=unbounded),
        240,
        "a mail about the log",
    )
    fleet.ssh(OTHER, f"systemctl stop unbounded; rm -f {UNBOUNDED}")
    wait_for(
        lambda: subjects(mails, f" {OTHER}: ", "recovered", "size", since=unbounded),
        120,
        "a mail that all is well",
    )
    told = subjects(mails, f" {OTHER}: ", since=unbounded)
    assert len(told) == 2, told
    assert fleet.habla("logs").returncode == 0


def test_an_uncovered_log_that_fills_a_partition_is_told_within_a_minute(
    fleet: Fleet, mails: Program, jabber: Jabber, pair: tuple[str, str]
) -> None:
    """One mail each: the partition fills, and it is well again. The services on other partitions go on."""
    since = len(mails.events)

    fleet.ssh(HOST, f"systemd-run -q --unit=rogue sh -c 'exec tail -f /dev/null >>{ROGUE}'")
    try:
        found = fleet.habla("logs")
        assert found.returncode == 1
        assert ROGUE in found.stdout and "rogue.service" in found.stdout
        # All at once, and then to the last byte.
        fleet.ssh(HOST, f"fallocate -l {free(fleet, '/var/log') * 99 // 100} {ROGUE}")
        fleet.ssh(HOST, f"cat /dev/zero >>{ROGUE} 2>/dev/null; df --output=pcent /var/log | grep -q 100%")
        started = time.monotonic()
        (subject,) = wait_for(
            lambda: subjects(mails, f" {HOST}: ", "/var/log", "% full", since=since),
            60,
            "a mail about /var/log",
        )
        print(f"told after {time.monotonic() - started:.1f} s")
        text = next(event["text"] for event in mails.events[since:] if event.get("subject") == subject)
        assert HOST in text and ROGUE in text
        assert fleet.served_by("/rpc/health") == set(STABLE)
        assert fleet.served_by("/logo.svg", host="static.hab.la") == set(STABLE)
        jabber.talk(*pair)
    finally:
        fleet.ssh(HOST, f"systemctl stop rogue; rm -f {ROGUE}")
    wait_for(
        lambda: subjects(mails, f" {HOST}: ", "recovered", "full", since=since), 60, "a mail that it is well"
    )
    assert fleet.habla("logs").returncode == 0
    # Once when it begins, once when it is over.
    told = subjects(mails, f" {HOST}: ", "full", since=since)
    assert len(told) == 2, subjects(mails, f" {HOST}: ", since=since)


@pytest.mark.usefixtures("mails")
def test_an_apply_on_a_full_partition_fails_cleanly_and_works_again_afterwards(fleet: Fleet) -> None:
    """Not a byte of the old configuration is lost, and what runs goes on."""
    # Deleted files give their blocks back only at the journal's next commit, so the writer never stops. It
    # writes a block at a time, because ext4 refuses a larger write whole when the rest of the space is small.
    fill = "dd if=/dev/zero of=/full bs=4096 oflag=append conv=notrunc"
    writer = f"while :; do {fill} 2>/dev/null; sync; sleep 0.2; done"
    probe = "(head -c 16384 /dev/zero >/probe && sync) 2>/dev/null && echo room || echo full; rm -f /probe"

    def full() -> bool:
        return fleet.ssh(HOST, probe).split()[-1] == "full"

    before = fleet.ssh(HOST, "sha256sum /etc/nginx/nginx.conf /etc/habla/apps/rpc.env")
    running = fleet.ssh(HOST, "systemctl show -P MainPID nginx habla-rpc")
    change = {**CHANGES, "services.static.max_age": 60}
    try:
        # Most of it at once, or a slow disk would take minutes.
        fleet.ssh(HOST, f"fallocate -l {free(fleet, '/') * 98 // 100} /full")
        fleet.ssh(HOST, f"systemd-run -q --unit=filler sh -c '{writer}'")
        wait_for(full, 120, "a full partition")
        output = fleet.refused(change)
        assert "No space left on device" in output
        assert fleet.ssh(HOST, "sha256sum /etc/nginx/nginx.conf /etc/habla/apps/rpc.env") == before
        assert fleet.ssh(HOST, "systemctl show -P MainPID nginx habla-rpc") == running
        assert fleet.served_by("/rpc/health") == set(STABLE)
    finally:
        fleet.ssh(HOST, "systemctl stop filler; rm -f /full")
    fleet.up(change)
    assert "max-age=60" in fleet.ssh(HOST, "cat /etc/nginx/nginx.conf")
