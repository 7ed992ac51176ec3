"""`habla maintenance`: visitors see HAProxy's page while the fleet is worked on, and users go on talking."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from clients import USERS, Jabber
from fleet import STABLE, Fleet
from hosts import wait_for

pytestmark = pytest.mark.lab

UNIT = "haproxy@{}"
WORDS = "habla: front1: www is in maintenance; end it with habla maintenance off www\n"
# The website, an app, its RPC and the static images: path and host.
PLACES = {"/": "www.hab.la", "/rpc/health": "www.hab.la", "/rpc": "www.hab.la", "/logo.svg": "static.hab.la"}
CHANGE = {"apps.rpc.maxconn": 24}


@pytest.fixture
def ended(fleet: Fleet) -> Iterator[None]:
    """Ends the maintenance, whatever the test did."""
    yield
    done = fleet.habla("maintenance off", "www")
    assert done.returncode == 0, done.stderr
    fleet.up()
    wait_for(lambda: fleet.served_by("/rpc/health") == set(STABLE), 20, "both hosts in rotation")


def switch(fleet: Fleet, word: str) -> str:
    """The output of `habla maintenance WORD www`, which must succeed."""
    started = time.monotonic()
    done = fleet.habla(f"maintenance {word}", "www")
    assert (done.returncode, done.stderr) == (0, ""), done
    print(f"maintenance {word}: {time.monotonic() - started:.1f} s")
    return done.stdout


def pids(fleet: Fleet, instance: str) -> set[str]:
    """All processes of an instance."""
    group = f"$(systemctl show -P ControlGroup {UNIT.format(instance)})"
    return set(fleet.ssh("front1", f"cat /sys/fs/cgroup{group}/cgroup.procs").split())


def assert_page(fleet: Fleet) -> None:
    """HAProxy answers everything itself."""
    for path, host in PLACES.items():
        status, body, headers = fleet.http(path, host)
        assert (status, headers["Retry-After"]) == (503, "30"), path
        assert b"Back in a moment" in body and headers["X-Served-By"] is None, path


def first_status(fleet: Fleet) -> int:
    """The status of the website's first answer, which may take a minute to come."""

    def status() -> int:
        try:
            return fleet.http("/")[0]
        except OSError:
            return 0

    found: int = wait_for(status, 60, "an answer")
    return found


def assert_back(fleet: Fleet) -> None:
    """No request of visitors fails, and both hosts answer them."""
    with fleet.visitors(
        "/rpc", "/status/", "/rpc/health", workers=6, rate=200, most=4000, seconds=3
    ) as visitor:
        visitor.expect(30, event="started")
        done = visitor.expect(30, event="done")
    assert done["faults"] == [] and set(done["servers"]) == set(STABLE)
    assert {fleet.http(path, host)[0] for path, host in PLACES.items() if path != "/rpc"} == {200}


@pytest.mark.usefixtures("ended")
def test_visitors_see_the_page_and_users_stay(fleet: Fleet, jabber: Jabber, pair: tuple[str, str]) -> None:
    """503 and Retry-After everywhere, and `habla status` says so; Jabber's connections and processes stay."""
    web_user = next(name for name in USERS if name not in pair)
    jabber.log_in(web_user, "websocket")
    processes = pids(fleet, "jabber")
    assert switch(fleet, "on") == "www of front1 answers 503 with Retry-After\n"
    assert_page(fleet)
    jabber.talk(*pair)
    jabber.talk(pair[1], web_user)
    late = next(name for name in USERS if name not in (*pair, web_user))
    jabber.log_in(late)
    shown = fleet.habla("status")
    assert (shown.returncode, shown.stderr) == (1, WORDS)
    rows = [line.split() for line in shown.stdout.splitlines()[1:]]
    states = {row[1]: {" ".join(other[4:7]) for other in rows if other[1] == row[1]} for row in rows if row}
    assert states["www"] == {"LEFT OUT (maintenance)"}
    assert {words.split()[0] for words in states["jabber"]} == {"UP"}
    assert switch(fleet, "on") == "www of front1 answers 503 with Retry-After\n"
    assert switch(fleet, "off") == "www of front1 sends requests to servers again\n"
    assert_back(fleet)
    assert switch(fleet, "off") == "www of front1 sends requests to servers again\n"
    assert fleet.habla("status").returncode == 0
    jabber.talk(pair[1], late)
    assert not [user for user in (*pair, web_user, late) if jabber.lost(user)]
    assert pids(fleet, "jabber") == processes


@pytest.mark.usefixtures("ended")
def test_maintenance_outlives_every_new_process(fleet: Fleet) -> None:
    """A change by `pulumi up`, a reload, a restart and a power cut keep it, until `habla maintenance off`."""
    switch(fleet, "on")
    before = pids(fleet, "www")
    assert fleet.up(CHANGE).counts["updated"] == 1
    assert pids(fleet, "www") != before
    assert_page(fleet)
    for verb in ("reload", "restart"):
        fleet.ssh("front1", f"systemctl {verb} {UNIT.format('www')}")
        assert_page(fleet)
    fleet.kill("front1")
    fleet.start("front1")
    assert first_status(fleet) == 503
    assert_page(fleet)
    assert WORDS in fleet.habla("status").stderr
    # After the power cut, the daemons of the front host and the programs that need them start first.
    health = "import urllib.request as u; u.urlopen('http://{}:8001/rpc/health', timeout=5)"
    for host in STABLE:
        ask = f'python3 -c "{health.format(host)}"'
        wait_for(lambda host=host, ask=ask: fleet.lab.ssh(host, ask).returncode == 0, 60, f"rpc of {host}")
    switch(fleet, "off")
    assert_back(fleet)
