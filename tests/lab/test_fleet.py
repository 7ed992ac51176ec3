"""The fleet as its users see it: deployed by the real engine on real hosts, watched from the outside."""

from __future__ import annotations

import hashlib
import json
import re
import time
from collections.abc import Iterator

import pytest
from clients import FRONT, Jabber
from fleet import STABLE, Fleet
from hosts import wait_for

pytestmark = pytest.mark.lab

WWW, JABBER = "haproxy@www", "haproxy@jabber"
# A change that concerns the www instance alone, and one that concerns the jabber instance alone.
WWW_CHANGE, JABBER_CHANGE = {"apps.rpc.maxconn": 24}, {"load_balancer.jabber.maxconn": 4900}
# Seconds within which XMPP logins work again after a stable host was lost: a promise of the fleet.
LOGINS_BACK = 15.0
# Seconds until ejabberd's shortened net tick is in effect after a start.
TICK_IN_EFFECT = 75
# Tries to connect to all of those at once; prints what it could connect to.
PROBE = """
import socket, sys
from concurrent.futures import ThreadPoolExecutor
def reach(target):
    host, port = target.split(":")
    try:
        socket.create_connection((host, int(port)), 2).close()
        return target
    except OSError:
        return ""
with ThreadPoolExecutor(32) as pool:
    print(*filter(None, pool.map(reach, sys.argv[1:])))
"""
INTERNAL_PORTS = {
    "sshd": 22,
    "memcached": 11211,
    "memqd": 11300,
    "MySQL": 3306,
    "epmd": 4369,
    "ejabberd's cluster": 5210,
    "stats of www": 8404,
    "stats of jabber": 8405,
    "rpc": 8001,
    "status": 8002,
    "static": 8080,
    "web": 8000,
}


@pytest.fixture(scope="module")
def jabber(fleet: Fleet) -> Iterator[Jabber]:
    """XMPP clients with accounts ada, bob, cleo and dan."""
    with fleet.program("xmpp.py") as program:
        jabber = Jabber(fleet.lab, program, STABLE)
        jabber.register("ada", "bob", "cleo", "dan")
        yield jabber


@pytest.fixture
def pair(jabber: Jabber) -> Iterator[tuple[str, str]]:
    """Two users who are connected to different nodes."""
    yield _pair(jabber)
    for user in ("ada", "bob", "cleo", "dan"):
        if jabber.is_in(user):
            jabber.log_out(user)


@pytest.fixture
def unchanged_after(fleet: Fleet) -> Iterator[None]:
    """Takes a test's changes back."""
    yield
    fleet.ssh("front1", f"systemctl start {WWW} {JABBER}")
    fleet.up()


def _pair(jabber: Jabber) -> tuple[str, str]:
    """Connect users until two of them are on different nodes."""
    jabber.log_in("ada")
    for user in ("bob", "cleo", "dan"):
        jabber.log_in(user)
        sessions = jabber.sessions()
        if sessions["ada"]["node"] != sessions[user]["node"]:
            return "ada", user
    raise AssertionError(f"all on one node: {jabber.sessions()}")


def _probe(fleet: Fleet, *targets: str) -> set[str]:
    done = fleet.outside("python3", "-c", PROBE, *targets)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


def _pid(fleet: Fleet, unit: str) -> str:
    """The numbers of an instance's master and of its worker."""
    return fleet.ssh("front1", f"pid=$(systemctl show -P MainPID {unit}); echo $pid; pgrep -P $pid")


def _mysql(fleet: Fleet, query: str) -> str:
    return fleet.ssh("front1", f'mariadb --batch --skip-column-names habla -e "{query}"')


def test_website_is_the_default(fleet: Fleet) -> None:
    """http://www.hab.la/ is the website, served by web1 with a forum in MySQL."""
    status, body, headers = fleet.http("/")
    assert status == 200 and b"Live chat for your website" in body and headers["X-Served-By"] == "web1"
    status, body, _ = fleet.http("/forum")
    assert status == 200 and b"Forum" in body


def test_both_stable_hosts_answer(fleet: Fleet) -> None:
    """RPC, status and static images are served by both stable hosts."""
    assert fleet.served_by("/rpc/health") == set(STABLE)
    assert fleet.served_by("/status/") == set(STABLE)
    assert fleet.served_by("/logo.svg", host="static.hab.la") == set(STABLE)
    answering = set()
    wait_for(lambda: answering.add(fleet.rpc("system.hosts")["host"]) or answering == set(STABLE), 10)
    wait_for(lambda: fleet.rpc("system.hosts")["hosts"] == list(STABLE), 20, "both hosts reported")


def test_call_reaches_the_daemons(fleet: Fleet) -> None:
    """One RPC writes a row into MySQL and a job into memqd; a second one is answered out of memcached."""
    before = _items(fleet)
    sent = fleet.rpc("chat.send", **{"from": "ada", "to": "bob", "text": "wired"})
    row = _mysql(fleet, f"SELECT sender, recipient, text, host FROM rpc_messages WHERE id = {sent['id']}")
    assert row.split("\t") == ["ada", "bob", "wired", sent["host"]]
    # A job is found by its own number of the message, straight from the daemon.
    assert f'"id": {sent["id"]}' in _daemon(fleet, 11300, r"peek-ready\r\nquit\r\n", r"use chat\r\n")
    assert fleet.rpc("chat.history", user="bob")["cached"] is False
    assert fleet.rpc("chat.history", user="bob")["cached"] is True
    assert _items(fleet) > before


def _daemon(fleet: Fleet, port: int, command: str, first: str = "") -> str:
    talk = (
        "import socket\n"
        f"s = socket.create_connection(('192.168.2.10', {port}), 5)\n"
        f"s.sendall(b'{first}{command}')\n"
        "print(b''.join(iter(lambda: s.recv(65536), b'')).decode())"
    )
    return fleet.ssh("front1", f'python3 -c "{talk}"')


def _items(fleet: Fleet) -> int:
    found = re.search(r"STAT total_items (\d+)", _daemon(fleet, 11211, r"stats\r\nquit\r\n"))
    assert found
    return int(found[1])


def test_presence_is_the_fleets(fleet: Fleet) -> None:
    """Presence that one stable host was told is what both tell."""
    presence = {"presence": "busy", "text": "lab"}
    assert fleet.http("/status/ada", body=presence, method="PUT")[0] == 200
    told = set()

    def both() -> bool:
        seen = json.loads(fleet.http("/status/ada")[1])
        assert (seen["presence"], seen["text"]) == ("busy", "lab")
        told.add(seen["host"])
        return told == set(STABLE)

    wait_for(both, 10, "both hosts")


def test_second_up_changes_nothing(fleet: Fleet) -> None:
    """Deploying what is deployed changes no resource."""
    done = fleet.up()
    print(f"second up: {done.seconds:.1f} s")
    assert done.changed == 0 and done.counts["unchanged"] > 10


def test_public_is_what_haproxy_binds(fleet: Fleet) -> None:
    """From the outside, front1's public address answers on 80, 5222 and 5280, and on nothing internal."""
    ports = [*INTERNAL_PORTS.values(), 80, 5222, 5280]
    assert _probe(fleet, *(f"{FRONT}:{port}" for port in ports)) == {
        f"{FRONT}:{port}" for port in (80, 5222, 5280)
    }


def test_route_to_the_internal_network_leads_nowhere(fleet: Fleet) -> None:
    """An outside client that routes 192.168.2.0/24 over front1's public address reaches none of its ports."""
    targets = [
        f"{address}:{port}"
        for address in ("192.168.2.10", "192.168.2.100", "192.168.2.120")
        for port in INTERNAL_PORTS.values()
    ]
    route = ("ip", "route", "add", "192.168.2.0/24", "via", FRONT)
    assert fleet.outside(*route).returncode == 0
    try:
        assert _probe(fleet, *targets) == set()
    finally:
        fleet.outside("ip", "route", "del", "192.168.2.0/24")


def test_users_on_two_nodes_exchange_messages(jabber: Jabber, pair: tuple[str, str]) -> None:
    """Two users on different nodes write to each other, and ejabberd knows where they really are."""
    one, other = pair
    jabber.talk(one, other)
    jabber.talk(other, one)
    sessions = jabber.sessions()
    assert {sessions[user]["node"] for user in pair} == set(STABLE)
    assert {sessions[user]["address"] for user in pair} == {"203.0.113.1"}
    assert {sessions[user]["connection"] for user in pair} == {"c2s_tls"}


@pytest.mark.parametrize("via", ["bosh", "websocket"])
def test_login_over_http(jabber: Jabber, pair: tuple[str, str], via: str) -> None:
    """A user logs in by BOSH, and by websocket, exchanges messages with a user of c2s, and has an address."""
    one, _ = pair
    user = next(name for name in ("bob", "cleo", "dan") if name not in pair)
    jabber.log_in(user, via)
    jabber.talk(one, user)
    jabber.talk(user, one)
    assert jabber.sessions()[user]["address"] == "203.0.113.1"


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
    web_user = next(name for name in ("bob", "cleo", "dan") if name not in pair)
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
    assert _probe(fleet, f"{FRONT}:80", f"{FRONT}:5222") == {f"{FRONT}:5222"}
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
            assert _probe(fleet, f"{FRONT}:80", f"{FRONT}:5222") == {f"{FRONT}:80"}
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


def test_one_stable_host_is_lost_and_comes_back(fleet: Fleet, jabber: Jabber, pair: tuple[str, str]) -> None:
    """After a power cut of one stable host www goes on and XMPP logins work within 15 s; the host comes back
    into the cluster by itself.
    """
    gone, left = (jabber.sessions()[user]["node"] for user in pair)
    lost_user, kept_user = pair
    beam = "ps -o etimes= -C beam.smp | sort -n | tail -1"
    wait_for(lambda: all(int(fleet.ssh(host, beam)) > TICK_IN_EFFECT for host in STABLE), 90, "net_ticktime")
    workers = 6
    with fleet.program("visitor.py", "ask", str(workers), "www.hab.la", "/rpc", "/status/", "/") as visitor:
        visitor.expect(15, event="started")
        killed = time.time()
        fleet.kill(gone)
        cut = time.time()
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
    print(f"www meanwhile: {done}")
    # In flight: what was asked for until the host was gone and HAProxy had seen so.
    assert len(done["faults"]) <= workers, done["faults"]
    assert all(fault["asked"] < cut + 8 for fault in done["faults"]), done["faults"]
    assert done["servers"][left] > 100

    started = time.time()
    fleet.start(gone)
    both = {f"ejabberd@{host}" for host in STABLE}
    for host in STABLE:
        wait_for(
            lambda host=host: set(fleet.lab.ssh(host, "ejabberdctl list_cluster").stdout.split()) == both,
            90,
            f"{host} sees the whole cluster",
        )
    print(f"the cluster is whole {time.time() - started:.1f} s after the start")
    wait_for(lambda: fleet.served_by("/rpc/health") == set(STABLE), 30, "RPC by both")
    print(f"www is served by both {time.time() - started:.1f} s after the start")
    jabber.log_out(*(user for user in ("ada", "bob", "cleo", "dan") if jabber.is_in(user)))
    one, other = wait_for(lambda: _pair(jabber), 30, "users on both nodes")
    jabber.talk(one, other)
    jabber.talk(other, one)
    assert fleet.up().changed == 0
