"""Two front hosts share an address: one of them stops, is maintained, or dies, and the other one has it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from clients import USERS, Jabber
from fleet import Fleet
from hosts import wait_for

from habla.model.drain_flags import BY_HAND

pytestmark = pytest.mark.lab

SHARED = "203.0.113.20"
FRONTS = {"front1": "203.0.113.10", "front2": "203.0.113.11"}
TWO_FRONTS: dict[str, Any] = {
    "load_balancer.vrrp": {"address": f"{SHARED}/24", "interface": "outside0"},
    "hosts.front2": {"role": "front", "services": ["haproxy"], "outside_address": FRONTS["front2"]},
}
# A page that needs nothing of front1 but HAProxy: MySQL and memcached are there alone.
PAGE = ("static.hab.la", "/logo.svg")
# Seconds without an answer: promises of the fleet.
PLANNED, UNPLANNED = 2.0, 5.0
# Seconds in which an address has found its host: three times the interval in which they speak, and some.
SETTLED = 8.0


@pytest.fixture(scope="module")
def shared(fleet: Fleet) -> Iterator[Fleet]:
    """The fleet with a second front host, which is taken away again."""
    try:
        done = fleet.up(TWO_FRONTS)
        print(f"second front host: {done.seconds:.1f} s")
        _settled(fleet)
        yield fleet
    finally:
        fleet.up()


@pytest.fixture
def at_shared(jabber: Jabber) -> Iterator[Jabber]:
    """XMPP clients that know the shared address."""
    former, jabber.address = jabber.address, SHARED
    yield jabber
    jabber.log_out()
    jabber.address = former


def _has_it(fleet: Fleet, host: str) -> bool:
    done = fleet.lab.ssh(host, f"ip -4 -o address show dev outside0 | grep -F ' {SHARED}/'")
    return done.returncode == 0


def _holders(fleet: Fleet) -> list[str]:
    return [host for host in FRONTS if _has_it(fleet, host)]


def _settled(fleet: Fleet, *but: str) -> str:
    """The one host that has the address, once it is one; not one of these."""

    def one() -> str:
        holders = _holders(fleet)
        return holders[0] if len(holders) == 1 and holders[0] not in but else ""

    return str(wait_for(one, SETTLED, f"one host to have {SHARED}, not {but}"))


def _other(host: str) -> str:
    return next(name for name in FRONTS if name != host)


@contextmanager
def _watched(fleet: Fleet, what: str, at_most: float) -> Iterator[None]:
    """The block ends with the address on a host that answers; the longest silence is printed and bounded."""
    with fleet.program("watcher.py", SHARED, "0.3", *PAGE) as watcher:
        watcher.expect(15, event="started")
        watcher.tell(report=True)
        watcher.expect(5, event="report")
        since = len(watcher.events)
        yield
        # The host that has the address now must also answer for a second.
        time.sleep(1)
        watcher.tell(report=True)
        report = watcher.expect(5, since, event="report")
    print(f"{what}: {report['gap']:.2f} s without an answer, {len(report['faults'])} requests failed")
    assert report["answers"] > 20 and report["gap"] <= at_most, report


def _stays(fleet: Fleet, host: str) -> None:
    """Longer than a move takes, the address is on this host alone."""
    with _watched(fleet, f"{host} keeps it", 1.0):
        ends = time.monotonic() + 5
        while time.monotonic() < ends:
            assert _holders(fleet) == [host]


def test_both_hosts_stand_ready_and_one_has_the_address(shared: Fleet) -> None:
    """The public ports are on the shared address alone; loopback leads there; a second up changes nothing."""
    ports = {80, 5222, 5280}
    targets = [f"{address}:{port}" for address in (SHARED, *FRONTS.values()) for port in ports]
    assert shared.reach(*targets) == {f"{SHARED}:{port}" for port in ports}
    assert shared.http("/rpc/health")[0] == 200
    for host in FRONTS:
        assert (
            shared.ssh(host, "systemctl is-active keepalived haproxy@www haproxy@jabber").split()
            == ["active"] * 3
        )
    assert shared.up(TWO_FRONTS).changed == 0


def test_stopped_instance_of_haproxy_leaves_the_address(shared: Fleet, at_shared: Jabber) -> None:
    """Stopping www ends no Jabber connection: the address stays, and so do connections through it."""
    holder = _settled(shared)
    at_shared.log_in(USERS[0])
    at_shared.log_in(USERS[1])
    shared.ssh(holder, "systemctl stop haproxy@www")
    with pytest.raises(AssertionError, match="not within"):
        wait_for(lambda: _holders(shared) != [holder], 4, "a move")
    at_shared.talk(USERS[0], USERS[1])
    assert not at_shared.lost(USERS[0]) and not at_shared.lost(USERS[1])
    shared.ssh(holder, "systemctl start haproxy@www")


def test_change_goes_one_host_after_the_other(shared: Fleet) -> None:
    """A change of www reaches both hosts, in order, without a request lost and without a move."""
    holder = _settled(shared)
    with shared.program("watcher.py", SHARED, "10", *PAGE) as watcher:
        watcher.expect(15, event="started")
        done = shared.up({**TWO_FRONTS, "apps.rpc.maxconn": 24})
        watcher.tell(report=True)
        report = watcher.expect(15, event="report")
    figures = f"{report['answers']} requests, {report['gap']} s without an answer"
    print(f"change of www on both: {done.seconds:.1f} s, {figures}")
    assert done.counts["updated"] == 2
    assert report["faults"] == [] and report["answers"] > 100
    changed = [float(shared.ssh(host, "stat -c %.Y /etc/haproxy/www.cfg")) for host in FRONTS]
    assert changed == sorted(changed) and _holders(shared) == [holder]
    shared.up(TWO_FRONTS)


def test_clean_stop_moves_the_address(shared: Fleet) -> None:
    """A host that shuts down says goodbye; when it is back, the address does not go back."""
    gone = _settled(shared)
    with _watched(shared, f"clean stop of {gone}", PLANNED):
        shared.lab.ask("host-stop", gone)
        assert _settled(shared) == _other(gone)
    shared.start(gone)
    _stays(shared, _other(gone))


def test_drained_by_hand_moves_the_address(shared: Fleet) -> None:
    """A drained host gives the address away; with both drained it stays somewhere; nothing moves back."""
    gone = _settled(shared)
    left = _other(gone)
    try:
        with _watched(shared, f"maintenance of {gone}", PLANNED):
            done = shared.habla("drain", gone)
            assert f"{gone} is drained: {left} has the shared address {SHARED}" in done.stdout, done
            assert _holders(shared) == [left]
        assert f"shared address {SHARED}: {left}" in shared.habla("status").stdout
        shared.ssh(left, f"touch {BY_HAND}")
        _stays(shared, left)
        for host in FRONTS:
            assert shared.habla("undrain", host).returncode == 0
        _stays(shared, left)
    finally:
        for host in FRONTS:
            shared.ssh(host, f"rm -f {BY_HAND}")


def test_maintenance_is_on_both_hosts(shared: Fleet) -> None:
    """Visitors see the page before and after the address moves, and the website when it is over."""
    gone = _settled(shared)
    try:
        done = shared.habla("maintenance on", "www")
        assert done.stdout.splitlines() == [f"www of {host} answers 503 with Retry-After" for host in FRONTS]
        assert shared.http("/rpc/health")[0] == 503
        assert shared.habla("drain", gone).returncode == 0
        assert _settled(shared, gone) == _other(gone)
        assert shared.http("/rpc/health")[0] == 503
    finally:
        shared.habla("undrain", gone)
        done = shared.habla("maintenance off", "www")
    assert done.stdout.splitlines() == [f"www of {host} sends requests to servers again" for host in FRONTS]
    assert shared.http("/rpc/health")[0] == 200


def test_drained_by_the_settings_moves_the_address(shared: Fleet) -> None:
    """``hosts.HOST.drained`` does the same with `pulumi up`, in one resource."""
    gone = _settled(shared)
    with _watched(shared, f"pulumi up with {gone} drained", PLANNED):
        assert shared.up({**TWO_FRONTS, f"hosts.{gone}.drained": True}).counts["updated"] == 1
        assert _settled(shared, gone) == _other(gone)
    shared.up(TWO_FRONTS)


def test_power_cut_moves_the_address(shared: Fleet, at_shared: Jabber) -> None:
    """A host that dies is given up after three seconds of silence; www and logins go on with the other."""
    gone = _settled(shared)
    with _watched(shared, f"power cut of {gone}", UNPLANNED):
        shared.kill(gone)
        assert _settled(shared) == _other(gone)
    assert shared.http(PAGE[1], PAGE[0])[0] == 200
    at_shared.log_in(USERS[0])
    at_shared.log_in(USERS[1])
    at_shared.talk(USERS[0], USERS[1])
    shared.start(gone)
    _stays(shared, _other(gone))
    assert not at_shared.lost(USERS[0])


@pytest.mark.parametrize("link", ["o", "i"], ids=["outside", "internal"])
def test_cut_link_moves_the_address(shared: Fleet, link: str) -> None:
    """A host that lost the outside, or the internal network, gives the address up."""
    gone = _settled(shared)
    number = shared.lab.hosts[gone]["management_address"].rpartition(".")[2]
    switch = ("inside", "--", "ip", "link", "set", f"{link}{number}")
    try:
        with _watched(shared, f"cable {link} of {gone} cut", PLANNED if link == "o" else UNPLANNED):
            assert shared.lab.call(*switch, "down").returncode == 0
            assert _settled(shared) == _other(gone)
    finally:
        shared.lab.call(*switch, "up")
    _stays(shared, _other(gone))


def test_daemon_that_died_leaves_one_holder(shared: Fleet) -> None:
    """keepalived killed on the host that has the address: it comes back, and one host has it."""
    holder = _settled(shared)
    with _watched(shared, f"SIGKILL of keepalived on {holder}", UNPLANNED):
        shared.ssh(holder, "kill -9 $(pidof keepalived)")
        wait_for(lambda: shared.ssh(holder, "systemctl is-active keepalived || true") == "active", 10)
        _settled(shared)
