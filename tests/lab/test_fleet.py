"""The fleet as its users see it: deployed by the real engine on real hosts, watched from the outside."""

from __future__ import annotations

import json
import re

import pytest
from clients import FRONT, USERS, Jabber
from fleet import OLD_ARCHIVE, STABLE, Fleet
from hosts import wait_for
from pace import Pace

from habla.model.programs import program_texts
from habla.onhost.document_text import read_document

pytestmark = pytest.mark.lab

# Who ejabberd takes a client for: 1.3 cannot hand on the address.
CLIENT = "192.168.2.10" if OLD_ARCHIVE else "203.0.113.1"

INTERNAL_PORTS = {
    "sshd": 22,
    "memcached": 11211,
    "memqd": 11300,
    "MySQL": 3306,
    "epmd": 4369,
    "ejabberd's cluster": 5210,
    "drain": 8099,
    "stats of www": 8404,
    "stats of jabber": 8405,
    "rpc": 8001,
    "status": 8002,
    "static": 8080,
    "web": 8000,
}

_COMPLAINTS = r"""
cd /etc/systemd/system
units=$(find . -maxdepth 1 -type f -printf '%f\n'; ls -d *.d | sed 's/\.d$//')
systemd-analyze verify --man=no $units 2>&1 || echo "systemd-analyze: $?"
for config in $(ls /etc/haproxy/*.cfg 2>/dev/null | grep -v haproxy.cfg); do
    haproxy -c -f $config 2>&1 | grep -v 'Configuration file is valid'
done
which nginx >/dev/null && nginx -t 2>&1 | grep -vE 'syntax is ok|test is successful'
true
"""


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
    both = set(STABLE)
    # A server that started after HAProxy is sent requests once it has passed two checks.
    wait_for(lambda: fleet.served_by("/rpc/health") == both, 20, "RPC from both")
    wait_for(lambda: fleet.served_by("/status/") == both, 20, "status from both")
    wait_for(lambda: fleet.served_by("/logo.svg", host="static.hab.la") == both, 20, "images from both")
    assert {fleet.rpc("system.hosts")["host"] for _ in Pace(rate=50, most=40)} == both
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


@pytest.mark.parametrize(
    ("host", "log"),
    [
        ("front1", "/var/log/mysql/error.log"),
        ("front1", "/var/log/haproxy/www.log"),
        ("stable1", "/var/log/ejabberd/ejabberd.log"),
        ("stable1", "/var/log/nginx/access.log"),
    ],
)
def test_a_daemon_writes_to_the_log_that_a_rule_bounds(fleet: Fleet, host: str, log: str) -> None:
    """The file is where the package or the config of habla has it on this release."""
    assert fleet.served_by("/logo.svg", host="static.hab.la")
    assert fleet.ssh(host, f"cat {log} {log}.1 2>/dev/null | wc -c") != "0"


@pytest.mark.parametrize("host", ["front1", "stable1", "web1"])
def test_no_daemon_complains_of_its_config(fleet: Fleet, host: str) -> None:
    """Neither systemd of a unit, nor HAProxy or nginx of a keyword that is deprecated in this release."""
    assert fleet.ssh(host, _COMPLAINTS) == ""


def test_public_is_what_haproxy_binds(fleet: Fleet) -> None:
    """From the outside, front1's public address answers on its four ports and on nothing internal."""
    public = {f"{FRONT}:{port}" for port in (80, 5222, 5269, 5280)}
    assert fleet.reach(*public, *(f"{FRONT}:{port}" for port in INTERNAL_PORTS.values())) == public


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
        assert fleet.reach(*targets) == set()
    finally:
        fleet.outside("ip", "route", "del", "192.168.2.0/24")


def test_users_on_two_nodes_exchange_messages(jabber: Jabber, pair: tuple[str, str]) -> None:
    """Two users on different nodes write to each other, and ejabberd knows where they really are."""
    one, other = pair
    jabber.talk(one, other)
    jabber.talk(other, one)
    sessions = jabber.sessions()
    assert {sessions[user]["node"] for user in pair} == set(STABLE)
    assert {sessions[user]["address"] for user in pair} == {CLIENT}
    assert {sessions[user]["connection"] for user in pair} == {"c2s_tls"}


def test_other_servers_are_answered(fleet: Fleet) -> None:
    """Another XMPP server that opens a stream on 5269 is offered TLS by ejabberd, and has to take it."""
    talk = (
        "import socket\n"
        f"s = socket.create_connection(('{FRONT}', 5269), 5)\n"
        "s.sendall(b\"<stream:stream to='hab.la' from='other.example' xmlns='jabber:server' \"\n"
        "b\"xmlns:stream='http://etherx.jabber.org/streams' version='1.0'>\")\n"
        "text = b''\n"
        "while b'</stream:features>' not in text: text += s.recv(4096) or exit('closed')\n"
        "print(text.decode())"
    )
    answer = fleet.outside("python3", "-c", talk).stdout
    assert "from='hab.la'" in answer and "urn:ietf:params:xml:ns:xmpp-tls" in answer and "required" in answer


@pytest.mark.parametrize("via", ["bosh", "websocket"])
def test_login_over_http(jabber: Jabber, pair: tuple[str, str], via: str) -> None:
    """A user logs in by BOSH, and by websocket, exchanges messages with a user of c2s, and has an address."""
    one, _ = pair
    user = next(name for name in USERS[1:] if name not in pair)
    jabber.log_in(user, via)
    jabber.talk(one, user)
    jabber.talk(user, one)
    assert jabber.sessions()[user]["address"] == CLIENT


def test_the_state_is_small_and_has_no_program_in_it(fleet: Fleet) -> None:
    """The engine writes the whole state at every step: programs are digests in it, a host is below 125 KB."""
    deployment = json.loads(fleet.pulumi("stack", "export", "--stack", "lab"))["deployment"]
    inputs = [resource.get("inputs", {}).get("stdin") for resource in deployment["resources"]]
    documents = [read_document(text) for text in inputs if isinstance(text, str)]
    files = {path: file for document in documents for path, file in document.get("files", {}).items()}
    assert "program" in files["/usr/local/lib/habla/drain-responder"]
    assert not {file.get("text") for file in files.values() if isinstance(file, dict)} & {
        *program_texts().values()
    }
    assert len(json.dumps(deployment, separators=(",", ":"))) < 125_000 * len(fleet.lab.hosts)
