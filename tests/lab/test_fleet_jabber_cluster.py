"""The Jabber cluster comes up by itself: after it was off, after both nodes died, and with one node lost."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from clients import Jabber
from fleet import PULUMI, STABLE
from hosts import wait_for
from jabber_fleet import DOMAIN, JabberFleet, jabber_fleet

from habla.services.jabber.jabber import CLUSTER_TOOL

pytestmark = pytest.mark.lab

# Seconds: logins after the second of two nodes was started, and after the start of a node that is alone.
BOTH, ALONE = 15.0, 30.0
FIRST, SECOND = STABLE
_STAYS_DOWN = Path("/run/systemd/system/ejabberd.service.d/90-stays-down.conf")
# How both are killed, the order of their starts, and the seconds between these. `make soak` tries them all.
STARTS = [("daemon", STABLE, 16.0), ("power", STABLE[::-1], 8.0)]
# The host that comes back first.
BACK = [FIRST]
if os.environ.get("HABLA_SOAK"):
    BACK = [*STABLE]
    STARTS = [
        (cut, order, gap)
        for cut in ("daemon", "power")
        for order in (STABLE, STABLE[::-1])
        for gap in (0.0, 2.0, 8.0, 16.0, 25.0, 60.0)
    ]


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[JabberFleet]:
    """Three hosts with an account, whose lab ends with the tests."""
    if not PULUMI.exists():
        pytest.skip("no pulumi CLI: make toolchain")
    with jabber_fleet(tmp_path_factory.mktemp("jabber")) as fleet:
        fleet.register(FIRST, "ada")
        yield fleet


@pytest.fixture
def clients(fleet: JabberFleet) -> Iterator[Jabber]:
    """XMPP clients outside; the cluster is whole before and after the test."""
    fleet.healed()
    with fleet.clients() as clients:
        yield clients
    for name in STABLE:
        if not fleet.lab.running()[name]:
            fleet.lab.ask("host-start", name)
        fleet.lab.run(name, f"rm -f {_STAYS_DOWN}; systemctl daemon-reload; systemctl start ejabberd")
    fleet.healed()


def _together(*calls: object) -> None:
    with ThreadPoolExecutor(len(calls)) as pool:
        for done in [pool.submit(call) for call in calls]:  # type: ignore[arg-type]
            done.result()


def _stay_down(fleet: JabberFleet, name: str) -> None:
    """Do not let systemd start a killed ejabberd again, until the end of the test."""
    write = f"printf '[Service]\\nRestart=no\\n' >{_STAYS_DOWN}"
    fleet.lab.run(name, f"mkdir -p {_STAYS_DOWN.parent} && {write} && systemctl daemon-reload")


def _log_in(clients: Jabber, user: str, *, started: float, within: float) -> None:
    """A login works at most so many seconds after the start."""
    clients.log_in(user, seconds=max(1.0, within - (time.time() - started)))
    print(f"{user} logs in {time.time() - started:.1f} s after the start")
    assert time.time() - started <= within
    clients.log_out()


def test_off_and_on_again(fleet: JabberFleet, clients: Jabber) -> None:
    """Jabber leaves both hosts and comes back, by one `up` each; the node that stopped last starts last."""
    assert (done := fleet.turn(on=False)).ok, done.output
    begun = time.time()
    assert (done := fleet.turn(on=True)).ok, done.output
    print(f"Jabber is on again in {time.time() - begun:.1f} s")
    assert fleet.is_whole()
    assert f"ejabberd@{FIRST} waits for the newer data of {SECOND}" in fleet.said(FIRST)
    _log_in(clients, "ada", started=time.time(), within=BOTH)
    assert fleet.up().unchanged


@pytest.mark.parametrize(("cut", "order", "gap"), STARTS)
def test_both_killed_and_started(
    fleet: JabberFleet, clients: Jabber, cut: str, order: tuple[str, str], gap: float
) -> None:
    """Logins work soon after the second start, also that of the account that was made last."""
    user = f"{cut}-{order[0]}-{gap:.0f}"
    fleet.register(order[1], user)
    # Until then Mnesia and the kernel may have the account in memory alone, as after any power cut.
    time.sleep(4)

    def kill(name: str) -> None:
        if cut == "power":
            fleet.lab.ask("host-kill", name)
        else:
            fleet.lab.run(name, "systemctl kill -s KILL ejabberd")

    def start(name: str) -> float:
        begun = time.time()
        if cut == "power":
            fleet.lab.ask("host-start", name)
        else:
            fleet.lab.run(name, "systemctl start ejabberd")
        return begun

    if cut == "daemon":
        for name in STABLE:
            _stay_down(fleet, name)
    _together(*(lambda name=name: kill(name) for name in order))
    first = start(order[0])
    time.sleep(max(0.0, gap - (time.time() - first)))
    second = start(order[1])
    _log_in(clients, user, started=second, within=BOTH)
    wait_for(fleet.is_whole, 60, "one cluster")
    for name in STABLE:
        assert user in fleet.accounts(name)


@pytest.mark.parametrize("back", BACK)
def test_lost_node_loses_nothing_when_it_returns(fleet: JabberFleet, clients: Jabber, back: str) -> None:
    """A node alone serves within 30 s although the other one has newer data; both keep theirs in the end.

    back: the host that comes back first, with the older data.
    """
    lost = next(name for name in STABLE if name != back)
    only = {lost: f"only-{lost}-lost", back: f"only-{back}-back"}
    fleet.register(back, f"changed-{back}")
    time.sleep(4)
    fleet.lab.ask("host-kill", back)
    wait_for(
        lambda: set(fleet.lab.ssh(lost, "ejabberdctl list_cluster").stdout.split()) == {f"ejabberd@{lost}"},
        90,
    )
    # The lost one has these alone.
    fleet.register(lost, only[lost])
    fleet.ctl(lost, f"add_rosteritem ada {DOMAIN} friend-{only[lost]} {DOMAIN} Friend '' both")
    fleet.ctl(lost, f"send_message chat ada@{DOMAIN} {only[lost]}@{DOMAIN} '' 'kept on {lost}'")
    fleet.ctl(lost, f"change_password changed-{back} {DOMAIN} of-{lost}")
    time.sleep(4)
    fleet.lab.ask("host-kill", lost)

    started = time.time()
    fleet.lab.ask("host-start", back)
    _log_in(clients, "ada", started=started, within=ALONE)
    assert f"{lost} has not answered for" in fleet.said(back)
    fleet.register(back, only[back])
    fleet.ctl(back, f"add_rosteritem ada {DOMAIN} friend-{only[back]} {DOMAIN} Friend '' both")
    fleet.ctl(back, f"change_password changed-{back} {DOMAIN} of-{back}")

    fleet.lab.ask("host-start", lost)
    fleet.healed()
    for name in STABLE:
        assert {*only.values()} <= fleet.accounts(name)
        roster = "\n".join(fleet.ctl(name, f"get_roster ada {DOMAIN}"))
        assert all(f"friend-{user}@" in roster for user in only.values()), roster
        # Both sides have changed this password: that of the cluster stays.
        fleet.ctl(name, f"check_password changed-{back} {DOMAIN} of-{back}")
    said = fleet.said(lost)
    assert re.search(rf"was apart from {back}: its data is copied to /var/lib/ejabberd/before-joining-", said)
    assert "records that only this node had:" in said and "1 of passwd" in said
    with fleet.clients() as receiver:
        receiver.log_in(only[lost], seconds=BOTH)
        receiver._program.expect(10, event="message", body=f"kept on {lost}")


def test_operator_ends_the_wait(fleet: JabberFleet, clients: Jabber) -> None:
    """A node whose peer host is up without an ejabberd waits, says so, and serves at once when forced."""
    for name in STABLE:
        _stay_down(fleet, name)
    _together(*(lambda name=name: fleet.lab.run(name, "systemctl kill -s KILL ejabberd") for name in STABLE))
    fleet.lab.run(FIRST, "systemctl start ejabberd")
    waits = f"{FIRST} waits for the newer data of {SECOND} (its host is up, its ejabberd is not)"
    wait_for(lambda: waits in fleet.said(FIRST), 15, "the wait")
    assert fleet.lab.run(FIRST, "ss -ltnH 'sport = :5222'") == ""
    # An apply of this host is not held up by that.
    assert waits in fleet.lab.run(FIRST, f"{CLUSTER_TOOL} settle")
    done = fleet.habla("jabber", "force", FIRST)
    print(done.stdout)
    assert done.returncode == 0 and f"{FIRST} serves with its own data" in done.stdout, done
    _log_in(clients, "ada", started=time.time(), within=BOTH)


def test_error_says_why_the_cluster_does_not_come_up(fleet: JabberFleet, clients: Jabber) -> None:
    """An apply whose cluster program fails shows that program's last lines, not the name of a journal."""
    drop_in = "/run/systemd/system/habla-jabber-cluster.service.d"
    broken = '[Service]\\nExecStartPre=/bin/sh -c "echo no room for tables; exit 1"\\n'
    reload = "systemctl daemon-reload"
    fleet.lab.run(FIRST, f"mkdir {drop_in} && printf '{broken}' >{drop_in}/broken.conf && {reload}")
    fleet.settings["services"] = {"jabber": {"net_ticktime": 9}}
    try:
        done = fleet.up()
    finally:
        fleet.lab.run(FIRST, f"rm -r {drop_in} && {reload}")
        del fleet.settings["services"]
    print(done.diagnostics)
    assert not done.ok
    assert f"{FIRST}: step actions: jabber-cluster: " in done.diagnostics
    assert "no room for tables" in done.diagnostics
    assert "journalctl" not in done.diagnostics
    assert "the earlier state is back" in done.diagnostics
    again = fleet.up()
    assert again.ok, again.output
