"""Clients of Jabber are told when their server is lost, whichever process of HAProxy has their connection."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from clients import USERS, Jabber
from fleet import STABLE, Fleet
from hosts import wait_for

pytestmark = pytest.mark.lab

LEFT, GONE = STABLE
UNIT, GUARD = "haproxy@jabber", "habla-balancer"
# The first two have their connections in a process that three reloads replace.
BEFORE, AFTER = USERS[:2], USERS[2:]
# Seconds that docs/haproxy.md promises, and what a busy machine may take more.
TOLD, MORE = 30, 3
# With the guard: HAProxy finds the server down within 7 s.
TOLD_BY_GUARD = 10


def _reload(fleet: Fleet) -> None:
    """Reload jabber, and wait until another process answers."""
    before = _processes(fleet)
    fleet.ssh("front1", f"systemctl reload {UNIT}")

    def taken_over() -> bool:
        return bool(_processes(fleet) - before) and fleet.habla("status", "--quiet").returncode == 0

    wait_for(taken_over, 20, "a new process")


def _processes(fleet: Fleet) -> set[str]:
    """The numbers of all processes of jabber."""
    group = f"/sys/fs/cgroup$(systemctl show -P ControlGroup {UNIT})"
    return set(fleet.ssh("front1", f"cat {group}/cgroup.procs").split())


@pytest.fixture
def crowd(fleet: Fleet, jabber: Jabber) -> Iterator[Jabber]:
    """Everybody is on one host, two of them through an old process of HAProxy."""
    assert fleet.habla("drain", LEFT).returncode == 0
    try:
        for user in BEFORE:
            jabber.log_in(user)
        for _ in range(3):
            _reload(fleet)
        for user in AFTER:
            jabber.log_in(user)
    finally:
        assert fleet.habla("undrain", LEFT).returncode == 0
    assert {session["node"] for session in jabber.sessions().values()} == {GONE}
    yield jabber
    jabber.log_out()


def _times_until_told(jabber: Jabber, seconds: float) -> dict[str, float]:
    """User -> seconds until the connection ended. One of each kind talks meanwhile, the other is silent."""
    started = time.monotonic()
    found: dict[str, float] = {}

    def all_told() -> bool:
        for user in USERS:
            if user not in found and jabber.lost(user):
                found[user] = round(time.monotonic() - started, 1)
            elif user in (BEFORE[0], AFTER[0]) and user not in found:
                jabber.send(user, "nobody")
        return len(found) == len(USERS)

    wait_for(all_told, seconds, f"the end of all connections, of which ended {found}")
    print(f"told after {found}")
    return found


@pytest.mark.parametrize("guarded", [True, False], ids=["with the guard", "without the guard"])
def test_power_cut_is_told_to_everybody(fleet: Fleet, crowd: Jabber, *, guarded: bool) -> None:
    """Within half a minute, before and after reloads, talking or silent. The guard is quicker than TCP."""
    try:
        if not guarded:
            fleet.ssh("front1", f"systemctl stop {GUARD}")
        fleet.kill(GONE)
        _times_until_told(crowd, TOLD_BY_GUARD if guarded else TOLD + MORE)
    finally:
        fleet.ssh("front1", f"systemctl start {GUARD}")
        fleet.start(GONE)
        wait_for(lambda: fleet.habla("status", "--quiet").returncode == 0, 60, "every backend")
        wait_for(lambda: fleet.uses(GONE), 60, f"{GONE} in rotation")


def test_hung_server_is_told_to_everybody(fleet: Fleet, crowd: Jabber) -> None:
    """The kernel answers and ejabberd does not: nobody but the guard can tell users of old processes."""
    try:
        fleet.ssh(GONE, "systemctl kill --signal=STOP ejabberd")
        _times_until_told(crowd, TOLD_BY_GUARD)
    finally:
        fleet.ssh(GONE, "systemctl kill --signal=CONT ejabberd")
        wait_for(lambda: fleet.uses(GONE), 60, f"{GONE} in rotation")


def test_replaced_process_ends_after_its_time(fleet: Fleet, jabber: Jabber) -> None:
    """It closes the connections that it still has; the present one keeps those that it has."""
    with fleet.changed({"load_balancer.jabber.stop_after": "8s"}):
        jabber.log_in(BEFORE[0])
        _reload(fleet)
        jabber.log_in(AFTER[0])
        started = time.monotonic()
        jabber.expect_loss(BEFORE[0], 20)
        assert time.monotonic() - started > 2
        assert jabber.is_in(AFTER[0])
        jabber.log_out()
