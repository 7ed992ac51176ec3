"""A host leaves the rotation and comes back, while visitors ask and users talk."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

import pytest
import yaml
from clients import USERS, Jabber
from fleet import OLD_ARCHIVE, STABLE, Fleet
from hosts import wait_for
from pace import Pace

pytestmark = pytest.mark.lab

LEFT, GONE = STABLE
PATHS = ("/rpc", "/status/")
# Visitors during a test: how many at the same time, requests a second, and requests in all.
ASKED: dict[str, int] = {"workers": 6, "rate": 200, "most": 200 * 120}


@pytest.fixture
def back_after(fleet: Fleet) -> Iterator[None]:
    """Puts the host back into the rotation of both instances, whatever the test did."""
    yield
    fleet.up()
    assert fleet.habla("undrain", GONE).returncode == 0
    wait_for(lambda: fleet.served_by("/rpc/health") == set(STABLE), 20, "both hosts in rotation")


def pids(fleet: Fleet) -> str:
    """Of all HAProxy processes: a reload would change them."""
    return fleet.ssh("front1", "pgrep haproxy")


def servers_asked(fleet: Fleet, seconds: float) -> dict[str, int]:
    """Who answers visitors during so many seconds; none may fail."""
    with fleet.visitors(*PATHS, **ASKED, seconds=seconds) as visitor:
        visitor.expect(30, event="started")
        done = visitor.expect(30, event="done")
    assert done["faults"] == []
    return dict(done["servers"])


def _apps_are_well(fleet: Fleet, host: str) -> bool:
    """Whether the programs of a host pass their health checks, asked on the host itself."""
    urls = f"http://{host}:8001/rpc/health http://{host}:8002/status/health"
    ask = "import sys, urllib.request as u; [u.urlopen(url, timeout=5).read() for url in sys.argv[1:]]"
    return fleet.lab.ssh(host, f"python3 -c '{ask}' {urls}").returncode == 0


@pytest.mark.usefixtures("back_after")
def test_drain_and_undrain_fail_no_request_and_reload_nothing(fleet: Fleet) -> None:
    """`habla drain` returns once no HAProxy sends the host anything; no visitor notices.

    1.3 is reloaded when the programs of the host stop, as it is for every server that goes down.
    """
    before = pids(fleet)
    with fleet.visitors(*PATHS, **ASKED) as visitor:
        visitor.expect(30, event="started")
        started = time.monotonic()
        done = fleet.habla("drain", GONE, "--wait", "20")
        assert done.returncode == 0 and f"{GONE} has no request or connection left" in done.stdout, done
        print(f"drained after {time.monotonic() - started:.1f} s")
        assert pids(fleet) == before
        # With nothing sent to it, its programs can go away unseen. Nothing must happen during a fixed time:
        # the visitors ask for two seconds while the programs are away.
        fleet.ssh(GONE, "systemctl stop habla-rpc habla-status")
        time.sleep(2)
        fleet.ssh(GONE, "systemctl start habla-rpc habla-status")
        wait_for(lambda: _apps_are_well(fleet, GONE), 20, f"the programs of {GONE}")
        started = time.monotonic()
        assert fleet.habla("undrain", GONE).returncode == 0
        print(f"back after {time.monotonic() - started:.1f} s")
        visitor.tell(stop=True)
        asked = visitor.expect(30, event="done")
    assert asked["faults"] == []
    assert set(servers_asked(fleet, 1)) == set(STABLE)
    assert OLD_ARCHIVE or pids(fleet) == before


@pytest.mark.usefixtures("back_after")
@pytest.mark.parametrize("verb", ["reload", "restart"])
def test_a_drained_host_gets_no_request_from_a_new_process(verb: str, fleet: Fleet) -> None:
    """Not one during and after reloads and restarts of www; then `habla undrain` brings the host back."""
    assert fleet.habla("drain", GONE).returncode == 0
    with fleet.visitors(*PATHS, **ASKED) as visitor:
        visitor.expect(30, event="started")
        # The visitors ask for two seconds after each time.
        for turn in Pace(rate=0.5, most=4):
            if turn < 3:
                fleet.ssh("front1", f"systemctl {verb} haproxy@www")
        visitor.tell(stop=True)
        done = visitor.expect(30, event="done")
    print(f"{done['servers']} answers over 3 times {verb}, {len(done['faults'])} lost")
    assert set(done["servers"]) == {LEFT}
    assert verb == "restart" or done["faults"] == []
    rows = json.loads(fleet.habla("status", "--host", GONE, "--json").stdout)["servers"]
    states = {row["state"] for row in rows if row["instance"] == "www"}
    drained = "LEFT OUT (drained)" if OLD_ARCHIVE else "DRAIN"
    assert states and all(state.startswith(drained) for state in states), states
    started = time.monotonic()
    assert fleet.habla("undrain", GONE).returncode == 0
    print(f"back after {time.monotonic() - started:.1f} s")
    assert set(servers_asked(fleet, 1)) == set(STABLE)


@pytest.mark.usefixtures("back_after")
def test_one_setting_drains_a_host(fleet: Fleet) -> None:
    """`drained: true` changes one file of that host, reloads nothing, and undrain says so."""
    before = pids(fleet)
    setting = {f"hosts.{GONE}.drained": True}
    assert fleet.preview(setting) == {f"{GONE}-stable-state": {"/etc/habla/drained"}}
    assert fleet.up(setting).changed == 1
    wait_for(lambda: set(servers_asked(fleet, 0.5)) == {LEFT}, 20, f"{GONE} out of rotation")
    assert pids(fleet) == before
    refused = fleet.habla("undrain", GONE)
    assert refused.returncode == 1 and f"set hosts.{GONE}.drained to false" in refused.stderr


@pytest.mark.usefixtures("back_after")
def test_users_of_a_drained_host_stay_connected(fleet: Fleet, jabber: Jabber, pair: tuple[str, str]) -> None:
    """XMPP and BOSH connections to a host that is drained go on; who comes then is on the other one."""
    web_user, late = (name for name in USERS if name not in pair)
    jabber.log_in(web_user, "bosh")
    assert fleet.habla("drain", GONE).returncode == 0
    jabber.talk(*pair)
    # Nothing must happen during a fixed time: nobody is cut off within three seconds.
    for _ in Pace(rate=1, most=4):
        jabber.talk(pair[0], web_user)
        jabber.talk(web_user, pair[1])
    jabber.log_in(late)
    assert jabber.sessions()[late]["node"] == LEFT
    assert not [user for user in (*pair, web_user) if jabber.lost(user)]


def test_status_shows_both_instances(fleet: Fleet) -> None:
    """`habla status` has a line for each server of each backend, with state and last check."""
    done = fleet.habla("status")
    assert done.returncode == 0, done.stderr
    head, *lines = [line.split() for line in done.stdout.splitlines()]
    assert head[:5] == ["front", "instance", "backend", "server", "state"]
    # 1.3 has no word for what the last check found, but counts those that failed.
    well = "failed," if OLD_ARCHIVE else "L7OK"
    seen = {tuple(words[1:4]) for words in lines if words[4] == "UP" and well in " ".join(words[7:])}
    www = {("www", name, host) for name in ("rpc", "status", "static", "jabber-files") for host in STABLE}
    jabber = {("jabber", name, host) for name in ("c2s", "c2s-tls", "bosh", "s2s") for host in STABLE}
    assert seen == {*www, *jabber, ("www", "web", "web1")}


def test_status_fails_when_a_backend_has_no_server(fleet: Fleet) -> None:
    """An instance that is down, and a backend without servers, are said, with their exit statuses."""
    try:
        fleet.ssh("web1", "systemctl stop habla-web")
        words = "backend web of www has no server left"
        wait_for(lambda: words in fleet.habla("status").stderr, 20, "www to notice")
        assert fleet.habla("status").returncode == 1
        fleet.ssh("front1", "systemctl stop haproxy@jabber")
        done = fleet.habla("status")
        assert done.returncode == 3 and "front1: jabber down" in done.stderr
    finally:
        fleet.ssh("front1", "systemctl start haproxy@jabber")
        fleet.ssh("web1", "systemctl start habla-web")
    wait_for(lambda: fleet.http("/")[0] == 200, 20, "the website")


def test_what_is_not_balanced_cannot_be_drained(fleet: Fleet) -> None:
    """The only front host is refused, with those that can be drained."""
    done = fleet.habla("drain", "front1")
    assert done.returncode == 2 and "stable1, stable2, web1" in done.stderr


def _as_existing(fleet: Fleet, **changes: str) -> None:
    """Describe the lab's hosts in a stack of its own, as machines reached by SSH, by a user who may sudo."""
    stack = yaml.safe_load((fleet.project / "stacks" / "Pulumi.lab.yaml").read_text())
    del stack["config"]["habla:lab"]
    for name, host in stack["config"]["habla:hosts"].items():
        made = fleet.lab.hosts[name]
        key = changes.get(name, made["host_key"])
        host["ssh"] = {"address": made["address"], "port": made["port"], "user": "operator", "host_key": key}
    (fleet.project / "stacks" / "Pulumi.remote.yaml").write_text(yaml.safe_dump(stack))


@pytest.mark.usefixtures("back_after")
def test_hosts_are_reached_with_their_pinned_key(fleet: Fleet) -> None:
    """On machines that the lab did not make, status and drain go by SSH with sudo; another key is refused."""
    identity = ("-i", str(fleet.lab.directory / "keys" / "id_ed25519"))
    _as_existing(fleet)
    assert fleet.habla("status", *identity, stack="remote").stdout.count(" UP ") == 17
    assert fleet.habla("drain", GONE, *identity, stack="remote").returncode == 0
    _as_existing(fleet, front1=fleet.lab.hosts[LEFT]["host_key"])
    done = fleet.habla("status", *identity, stack="remote")
    assert done.returncode == 3 and "front1: the host shows another host key" in done.stderr
