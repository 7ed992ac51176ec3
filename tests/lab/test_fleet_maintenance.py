"""One thing is changed, stopped or lost, and nobody who uses another one notices."""

from __future__ import annotations

import hashlib
import re
import subprocess
import time
from collections.abc import Iterator

import pytest
from clients import FRONT, USERS, Jabber
from fleet import OLD_ARCHIVE, STABLE, Fleet
from hosts import wait_for

pytestmark = pytest.mark.lab

WWW, JABBER = "haproxy@www", "haproxy@jabber"
# A change that concerns the www instance alone, and one that concerns the jabber instance alone.
WWW_CHANGE, JABBER_CHANGE = {"apps.rpc.maxconn": 24}, {"load_balancer.jabber.maxconn": 4900}
# Seconds within which XMPP logins work again after a stable host was lost: a promise of the fleet.
LOGINS_BACK = 15.0
# Seconds until ejabberd's shortened net tick is in effect after a start.
TICK_IN_EFFECT = 75


@pytest.fixture
def unchanged_after(fleet: Fleet) -> Iterator[None]:
    """Takes a test's changes back."""
    yield
    fleet.ssh("front1", f"systemctl start {WWW} {JABBER}")
    fleet.up()


def _pid(fleet: Fleet, unit: str) -> str:
    """The numbers of an instance's master and of its worker."""
    return fleet.ssh("front1", f"pid=$(systemctl show -P MainPID {unit}); echo $pid; pgrep -P $pid || true")


def _cluster(fleet: Fleet, host: str) -> set[str]:
    """The hosts whose nodes run, as the one on this host sees it."""
    text = fleet.lab.ssh(host, "ejabberdctl mnesia_info").stdout
    found = re.search(r"\{running_db_nodes,\s*\[([^\]]*)\]", text)
    return {node.strip().removeprefix("ejabberd@") for node in found[1].split(",")} if found else set()


def _is_alone(fleet: Fleet, host: str) -> bool:
    """Whether the node of a host has given its peer up; seen without the network, in the kernel's sockets."""
    peers = "ss --no-header --tcp --numeric state established '( sport = :5210 or dport = :5210 )'"
    inside = ("nsenter", "--target", str(fleet.lab.init_of(host)), "--all", "--", "sh", "-c", peers)
    done = subprocess.run(inside, capture_output=True, text=True, timeout=30, check=True)
    return "5210" not in done.stdout


def _rpc_servers(fleet: Fleet) -> set[str]:
    """Who answers RPCs of many clients at once.

    Of one client the returned host gets none as long as HAProxy counts requests that were lost in it. Hence
    16 of them ask at the same time, ten times a second.
    """
    with fleet.visitors("/rpc", workers=16, rate=160, burst=16, most=160 * 30) as visitor:
        visitor.expect(15, event="started")
        visitor.tell(stop=True)
        return set(visitor.expect(30, event="done")["servers"])


def _wait_for_tick(fleet: Fleet, *hosts: str) -> None:
    """Until nodes notice a silent peer as soon as they are configured to."""
    age = "ps -o etimes= -C beam.smp | sort -n | tail -1"
    for host in hosts:
        wait_for(lambda host=host: int(fleet.ssh(host, age)) > TICK_IN_EFFECT, 90, "net_ticktime")


def test_change_of_www_is_one_file(fleet: Fleet) -> None:
    """The preview of a change of www shows one resource and one file of it."""
    assert fleet.preview(WWW_CHANGE) == {"front1-balancer-state": {"/etc/haproxy/www.cfg"}}


def test_change_of_jabber_is_one_file(fleet: Fleet) -> None:
    """The preview of a change of jabber shows one resource and one file of it."""
    assert fleet.preview(JABBER_CHANGE) == {"front1-balancer-state": {"/etc/haproxy/jabber.cfg"}}


@pytest.mark.usefixtures("unchanged_after")
def test_jabber_outlives_everything_done_to_www(fleet: Fleet, jabber: Jabber, pair: tuple[str, str]) -> None:
    """XMPP connections stay, in the same process, while www is changed, reloaded, restarted and stopped."""
    processes, www = _pid(fleet, JABBER), _pid(fleet, WWW)
    web_user = next(name for name in USERS[1:] if name not in pair)
    jabber.log_in(web_user, "websocket")

    def all_is_well() -> None:
        jabber.talk(*pair)
        jabber.talk(pair[1], web_user)
        assert not [user for user in (*pair, web_user) if jabber.lost(user)]
        assert _pid(fleet, JABBER) == processes

    done = fleet.up(WWW_CHANGE)
    assert done.counts["updated"] == 1 and _pid(fleet, WWW) != www
    all_is_well()
    for verb in ("reload", "restart", "stop"):
        fleet.ssh("front1", f"systemctl {verb} {WWW}")
        all_is_well()
    assert fleet.reach(f"{FRONT}:80", f"{FRONT}:5222") == {f"{FRONT}:5222"}
    fleet.ssh("front1", f"systemctl start {WWW}")
    wait_for(lambda: fleet.http("/rpc/health")[0] == 200, 15, "www after its start")


@pytest.mark.usefixtures("unchanged_after")
def test_download_outlives_everything_done_to_jabber(fleet: Fleet) -> None:
    """A running download stays, in the same process, through change, reload, restart and stop of jabber."""
    # No two blocks are the same: a hole or a repeated part shows in the digest.
    write = "import sys; [sys.stdout.write('%15d' % number) for number in range(2400000)]"
    make = f'python3 -c "{write}" > /srv/static/large.bin'
    content = hashlib.sha256()
    for start in range(0, 2_400_000, 100_000):
        content.update(b"".join(b"%15d" % number for number in range(start, start + 100_000)))
    for host in STABLE:
        fleet.ssh(host, make)
    try:
        with fleet.program("visitor.py", "download", "static.hab.la", "/large.bin") as visitor:
            assert visitor.expect(10, event="started")["status"] == 200
            process, jabber = _pid(fleet, WWW), _pid(fleet, JABBER)
            assert fleet.up(JABBER_CHANGE).counts["updated"] == 1 and _pid(fleet, JABBER) != jabber
            for verb in ("reload", "restart", "stop"):
                fleet.ssh("front1", f"systemctl {verb} {JABBER}")
            assert fleet.reach(f"{FRONT}:80", f"{FRONT}:5222") == {f"{FRONT}:80"}
            assert _pid(fleet, WWW) == process
            assert not [event for event in visitor.events if event["event"] == "done"]
            fleet.ssh("front1", f"systemctl start {JABBER}")
            visitor.tell(finish=True)
            done = visitor.expect(30, event="done")
        assert done["fault"] == "" and done["size"] == 36_000_000
        assert done["sha256"] == content.hexdigest()
    finally:
        for host in STABLE:
            fleet.ssh(host, "rm -f /srv/static/large.bin")


def test_split_cluster_heals_by_itself(fleet: Fleet, jabber: Jabber) -> None:
    """Two nodes that lost sight of each other, and went on apart, are one cluster again without a hand."""
    _wait_for_tick(fleet, *STABLE)
    try:
        for host in STABLE:
            assert not _is_alone(fleet, host)
        fleet.lab.ask("link-down", STABLE[1])
        for host in STABLE:
            wait_for(lambda host=host: _is_alone(fleet, host), 40, f"{host} to be alone")
    finally:
        fleet.lab.ask("link-up", STABLE[1])
    started = time.monotonic()
    for host in STABLE:
        wait_for(lambda host=host: _cluster(fleet, host) == set(STABLE), 90, f"{host} to see both")
    print(f"one cluster again {time.monotonic() - started:.1f} s after the network came back")
    one, other = jabber.pair()
    jabber.talk(one, other)
    jabber.talk(other, one)
    jabber.log_out()


def test_slow_command_of_ejabberdctl_is_not_cut_off(fleet: Fleet) -> None:
    """A node started as ejabberdctl starts its own keeps its connection for longer than the net tick."""
    _wait_for_tick(fleet, "stable1")
    call = 'rpc:call(list_to_atom(os:getenv("ERLANG_NODE")), timer, sleep, [15000])'
    slow = (
        "set -a; . /etc/default/ejabberd; cd /tmp; "
        "erl -sname slow@stable1 -hidden -noinput -start_epmd false -erl_epmd_port $ERL_DIST_PORT"
        " -dist_listen false -setcookie $(cat /var/lib/ejabberd/.erlang.cookie) $ERL_OPTIONS"
        f" -eval 'io:format(\"~p\", [{call}]), halt().'"
    )
    assert fleet.ssh("stable1", slow) == "ok"


def test_one_stable_host_is_lost_and_comes_back(fleet: Fleet, jabber: Jabber, pair: tuple[str, str]) -> None:
    """After a power cut of one stable host www goes on and XMPP logins work within 15 s; the host comes back
    into the cluster by itself.
    """
    # The first node has been up for longer: its way of noticing a loss is in effect.
    left, gone = STABLE
    nodes = {jabber.sessions()[user]["node"]: user for user in pair}
    lost_user, kept_user = nodes[gone], nodes[left]
    _wait_for_tick(fleet, left)
    workers = 6
    # All workers ask at the same time, so that most of them are in flight when the host is lost.
    asked = {"workers": workers, "rate": 240, "burst": workers, "most": 240 * 60}
    with fleet.visitors("/rpc", "/status/", "/", **asked) as visitor:
        visitor.expect(15, event="started")
        killed = time.time()
        fleet.kill(gone)
        cut = time.time()
        if not OLD_ARCHIVE:
            # 1.3 leaves connections to a server that is down to TCP's keepalives: a minute and a half.
            jabber.expect_loss(lost_user, 15)
            print(f"connections to {gone} ended after {time.time() - killed:.1f} s")
        jabber.log_in(lost_user, seconds=max(1, LOGINS_BACK - (time.time() - killed)))
        back = time.time() - killed
        print(f"XMPP logins work {back:.1f} s after the power cut")
        assert back <= LOGINS_BACK
        assert jabber.sessions()[lost_user]["node"] == left
        jabber.talk(lost_user, kept_user)
        assert not jabber.lost(kept_user)
        visitor.tell(stop=True)
        done = visitor.expect(40, event="done")
    print(f"www meanwhile: {done['servers']} answered, {len(done['faults'])} of {workers} in flight lost")
    # In flight: what was asked for until the host was gone and HAProxy had seen so.
    assert len(done["faults"]) <= workers, done["faults"]
    assert all(fault["asked"] < cut + 8 for fault in done["faults"]), done["faults"]
    assert done["servers"][left] > 100

    started = time.time()
    fleet.start(gone)
    for host in STABLE:
        wait_for(lambda host=host: _cluster(fleet, host) == set(STABLE), 90, f"{host} to see both")
    print(f"the cluster is whole {time.time() - started:.1f} s after the start")
    wait_for(lambda: _rpc_servers(fleet) == set(STABLE), 30, "RPC by both")
    print(f"www is served by both {time.time() - started:.1f} s after the start")
    jabber.log_out()
    one, other = jabber.pair()
    jabber.talk(one, other)
    jabber.talk(other, one)
    assert fleet.up().changed == 0
