"""Jabber as a live chat needs it: visitors, rooms, files, programs of the site, changes without a cut."""

from __future__ import annotations

import json
import re
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest
from clients import FRONT, Jabber
from fleet import STABLE, Fleet
from hosts import REPOSITORY, SUPPORT, wait_for
from jabber_table import documented, table

pytestmark = pytest.mark.lab

HOST, OTHER = STABLE
PAGE = REPOSITORY / "docs" / "jabber.md"
# Asks a URL on a host; prints the status and the body as JSON.
_ASK = """
import base64, json, sys, urllib.error, urllib.request
url, auth, body = json.load(sys.stdin)
request = urllib.request.Request(url, data=None if body is None else json.dumps(body).encode())
if auth:
    request.add_header("Authorization", "Basic " + base64.b64encode(auth.encode()).decode())
try:
    with urllib.request.urlopen(request, timeout=10) as answer:
        print(json.dumps([answer.status, answer.read().decode()]))
except urllib.error.HTTPError as error:
    print(json.dumps([error.code, error.read().decode()]))
except OSError as error:
    print(json.dumps([0, str(error)]))
"""


def ask(fleet: Fleet, host: str, url: str, *, auth: str = "", body: Any = None) -> tuple[int, str]:
    """Status and body of what a program on a host gets."""
    words = json.dumps([url, auth, body])
    text = fleet.ssh(host, f"python3 -c '{_ASK}' <<'WORDS'\n{words}\nWORDS")
    status, answer = json.loads(text)
    return status, answer


def probe(fleet: Fleet) -> dict[str, Any]:
    done = fleet.outside(sys.executable, str(SUPPORT / "jabber_probe.py"), FRONT, "ada", "secret")
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.fixture(scope="module")
def found(fleet: Fleet, jabber: Jabber) -> dict[str, Any]:
    """What a client with the account ``ada`` and a visitor find."""
    return probe(fleet)


def test_a_client_finds_what_the_documentation_says(found: dict[str, Any]) -> None:
    """The table of docs/jabber.md is what the lab's server answers."""
    assert documented(PAGE.read_text("utf-8")) == table(found), "\n".join(table(found))


def test_a_visitor_comes_without_an_account(found: dict[str, Any]) -> None:
    """And finds rooms and files, but makes no rooms and reaches no other server."""
    visitor = found["visitor"]
    assert visitor["jid"].endswith("@visitors.hab.la")
    assert visitor["items"] == ["conference.hab.la", "upload.hab.la"]
    assert visitor["room"] == "forbidden" and visitor["other_server"] == "forbidden"


def test_rooms_and_users_have_an_archive(found: dict[str, Any]) -> None:
    """A visitor reads what was said in the room; an operator finds his own messages."""
    assert sorted(found["room"]["archive"]) == ["from the operator", "from the visitor"]
    assert "note to self" in found["history"]


def test_the_program_that_keeps_the_bounds_understands_ejabberd(fleet: Fleet, found: dict[str, Any]) -> None:
    """Its commands exist in this release, and the size of the archive is one that it can read."""
    state = "/var/lib/habla-jabber-bounds/state.json"
    fleet.ssh(HOST, f"rm -f {state}; systemctl start habla-jabber-bounds")
    known = json.loads(fleet.ssh(HOST, f"cat {state}"))
    assert known["looked"] > 0
    assert 20 < known["each"] < 100_000


def test_a_file_is_on_both_hosts_as_soon_as_its_sender_has_the_answer(
    fleet: Fleet, found: dict[str, Any]
) -> None:
    """Only whoever got a slot may send it, and only once."""
    upload = found["upload"]
    assert (upload["forged"], upload["put"], upload["again"]) == (403, 201, 409)
    assert upload["got"] == upload["sent"]
    for host, address in zip(STABLE, ("192.168.2.100", "192.168.2.101"), strict=True):
        assert fleet.ssh(host, f"cat /var/lib/habla-jabber-files{upload['path'][7:]}") == upload["sent"]
        assert ask(fleet, host, f"http://{address}:5444{upload['path']}") == (200, upload["sent"])


def test_a_host_that_was_away_gets_a_file_when_somebody_asks_for_it(fleet: Fleet, jabber: Jabber) -> None:
    """The sender is answered meanwhile."""
    fleet.ssh(OTHER, "systemctl stop habla-jabber-files")
    try:
        # HAProxy must know that one of the two is away.
        wait_for(lambda: fleet.http("/.well-known/host-meta")[0] == 200, 20, "host-meta from one host")
        time.sleep(8)
        upload = probe(fleet)["upload"]
        assert upload["put"] == 201
    finally:
        fleet.ssh(OTHER, "systemctl start habla-jabber-files")
    url = f"http://192.168.2.101:5444{upload['path']}"
    wait_for(lambda: ask(fleet, OTHER, url) == (200, upload["sent"]), 10, "the file on the other host")


def test_an_app_calls_its_commands_from_its_hosts_only(fleet: Fleet) -> None:
    """With its token, and no others: neither another command, nor another host, nor another token."""
    environment = fleet.ssh(HOST, "cat /etc/habla/apps/rpc.env")
    values = dict(re.findall(r'^(\w+)="?([^"\n]*)"?$', environment, re.MULTILINE))
    url, other_url = values["JABBER_API"].split(",")
    auth = f"{values['JABBER_API_USER']}:{values['JABBER_API_TOKEN']}"
    room = {"name": f"api-{time.time_ns()}", "service": "conference.hab.la", "host": "hab.la", "options": []}
    create = "create_room_with_opts"
    assert ask(fleet, HOST, f"{url}/{create}", auth=auth, body=room) == (200, "0")
    assert ask(fleet, OTHER, f"{other_url}/{create}", auth=auth, body={**room, "name": "other"})[0] == 200
    assert ask(fleet, HOST, f"{url}/{create}", auth=f"{auth}x", body=room)[0] == 401
    assert ask(fleet, HOST, f"{url}/{create}", body=room)[0] in (401, 403)
    assert ask(fleet, HOST, f"{url}/registered_users", auth=auth, body={"host": "hab.la"})[0] == 403
    assert ask(fleet, "web1", f"{url}/{create}", auth=auth, body=room)[0] in (401, 403)
    assert not fleet.reach(f"{FRONT}:5281", "192.168.2.100:5281", "192.168.2.101:5281")


def test_health_checks_fill_no_log(fleet: Fleet) -> None:
    """Neither ejabberd's log nor the journal grows on an idle host."""
    units = "-u ejabberd -u habla-jabber-files"
    lines = f"cat /var/log/ejabberd/ejabberd.log | wc -l; journalctl -q {units} | wc -l"
    before = fleet.ssh(HOST, lines)
    time.sleep(20)
    assert fleet.ssh(HOST, lines) == before


def nodes_processes(fleet: Fleet) -> list[str]:
    return [fleet.ssh(host, "systemctl show -P MainPID ejabberd") for host in STABLE]


@pytest.fixture
def talking(jabber: Jabber, pair: tuple[str, str]) -> Iterator[tuple[str, str]]:
    """Two users on different nodes, who are still connected and talk at the end."""
    yield pair
    assert not any(map(jabber.lost, pair))
    jabber.talk(*pair)


def test_most_settings_reach_a_running_server(fleet: Fleet, talking: tuple[str, str]) -> None:
    """No connection is cut and nothing restarts; the preview shows the lines that change."""
    before = nodes_processes(fleet)
    change = {
        "services.jabber.rooms.history": 7,
        "services.jabber.modules": {"mod_ping": {"send_pings": True}},
    }
    files = fleet.preview(change)
    assert files["stable1-stable-state"] == {"/etc/ejabberd/ejabberd.yml"}
    with fleet.changed(change):
        assert "history_size: 7" in fleet.ssh(HOST, "cat /etc/ejabberd/ejabberd.yml")
        assert nodes_processes(fleet) == before
    assert nodes_processes(fleet) == before


def test_a_module_that_cannot_run_replaces_nothing(fleet: Fleet, talking: tuple[str, str]) -> None:
    """ejabberd's own words come back, and the old config runs on."""
    before = fleet.ssh(HOST, "sha256sum /etc/ejabberd/ejabberd.yml"), nodes_processes(fleet)
    output = fleet.refused({"services.jabber.modules": {"mod_privacy": None}})
    assert "mod_blocking depends on module mod_privacy" in output
    output = fleet.refused({"services.jabber.modules": {"mod_ping": {"ping_interval": "soon"}}})
    assert "mod_ping" in output and "ping_interval" in output
    assert (fleet.ssh(HOST, "sha256sum /etc/ejabberd/ejabberd.yml"), nodes_processes(fleet)) == before
    fleet.up()


# Starts on the scratch node of the check, which has no name, and fails on the running one.
_FRAGILE = """
-module(mod_fragile).
-export([start/2, stop/1, depends/2, mod_options/1, mod_doc/0]).
start(_, _) -> case is_alive() of true -> error(too_fragile); false -> ok end.
stop(_) -> ok.
depends(_, _) -> [].
mod_options(_) -> [].
mod_doc() -> #{}.
"""
_COMPILE = """
cat >/root/mod_fragile.erl <<'ERLANG'
SOURCE
ERLANG
cd /root && erl -noinput -eval \'{ok, _} = compile:file("mod_fragile"), halt().\' \\
&& install -m 644 mod_fragile.beam "$(ls -d /usr/lib/*/ejabberd-*/ebin | sort | tail -n 1)"
"""


def test_a_reload_that_leaves_a_module_off_is_taken_back(fleet: Fleet, talking: tuple[str, str]) -> None:
    """The agent asks the running server for every module of every domain, not only for "ok"."""
    for host in STABLE:
        fleet.ssh(host, _COMPILE.replace("SOURCE", _FRAGILE))
    before = nodes_processes(fleet)
    packages = {"services.jabber.packages": ["ejabberd"]}
    output = fleet.refused({**packages, "services.jabber.modules": {"mod_fragile": {}}})
    print(output)
    assert "mod_fragile does not run for hab.la" in output
    assert nodes_processes(fleet) == before
    for host in STABLE:
        assert "mod_fragile" not in fleet.ssh(host, "cat /etc/ejabberd/ejabberd.yml")
        fleet.ssh(host, "/usr/local/lib/habla/jabber-config reload")
    fleet.up()
