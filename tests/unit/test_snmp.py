"""snmpd's config and programs: who may ask, what they see, and how a changed passphrase takes effect."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from habla.hosts.snmpd import WATCH_ALIVE, Snmp
from habla.model.offer import Offer
from habla.model.site import Endpoint, Endpoints, FleetFacts, Site
from habla.model.snmp import SnmpSpec, sessions_oid
from habla.onhost.document import secret_names
from habla.onhost.programs import haproxy_sessions, snmp_user
from habla.plan.component import plan_component

ADDRESS = IPv4Address("192.168.2.100")
MONITORS = Endpoints.of(
    Endpoint(Offer("cacti", 80, alive_path="/alive"), f"monitor{n}", address=IPv4Address(f"192.168.2.2{n}"))
    for n in (1, 0)
)
SITE = Site("stable1", ADDRESS, fleet=FleetFacts(endpoints=MONITORS))
CONFIG, ALLOWED, USER = "/etc/snmp/snmpd.conf", "/etc/snmp/habla-hosts.allow", "/etc/habla/snmp-user.json"
WANTED = {"user": "habla", "auth": 'say "hi" \\ $x', "privacy": "privacy'pass"}
STATE = """\
engineBoots 7
usmUser 1 3 0x80001f88 "habla" "habla" NULL .1.3.6.1.6.3.10.1.1.7 0x0d .1.3.6.1.6.3.10.1.2.4 0x8d ""
createUser other MD5 "secretsecret"
oldEngineID 0x80001f88
"""
V2 = """\
# pxname,svname,qcur,qmax,scur,smax,
www,FRONTEND,,,41,60,
bosh,FRONTEND,,,1,2,
stats,FRONTEND,,,1,1,
"""
# 1.3 lists backends backwards.
V1 = V2 + "rpc,BACKEND,0,0,12,9,\nrpc,stable1,0,0,12,9,\n"


def text(spec: SnmpSpec, path: str, *, ends: Endpoints = MONITORS, **haproxy: int) -> str:
    site = Site("stable1", ADDRESS, fleet=FleetFacts(endpoints=ends, snmp=spec))
    return Snmp(haproxy).state(site).files[path].text


def test_snmpd_listens_on_the_internal_address_only() -> None:
    """One address, by UDP."""
    assert [line for line in text(SnmpSpec(port=1161), CONFIG).splitlines() if "agentaddress" in line] == [
        "agentaddress udp:192.168.2.100:1161"
    ]


def test_version_3_takes_authentication_and_privacy() -> None:
    """The user must do both, and there is no community."""
    config = text(SnmpSpec(), CONFIG)
    assert "rouser habla priv -V habla\n" in config
    assert "community" not in config


def test_version_2c_takes_the_community_from_monitors_only() -> None:
    """One line for each monitor, and no user."""
    config = text(SnmpSpec(version="2c"), CONFIG)
    lines = [line for line in config.splitlines() if "community" in line]
    assert lines == [
        f'rocommunity "@{{secret:snmp/community|word}}" 192.168.2.{n} -V habla' for n in (20, 21)
    ]
    assert "rouser" not in config
    assert json.loads(text(SnmpSpec(version="2c"), USER)) == {}


def test_nobody_but_monitors_is_answered() -> None:
    """The rules end with a refusal of all others."""
    assert text(SnmpSpec(), ALLOWED).splitlines() == [
        "snmpd : 192.168.2.20 : ALLOW",
        "snmpd : 192.168.2.21 : ALLOW",
        "ALL : ALL : DENY",
    ]


def test_without_a_monitor_nobody_is_answered() -> None:
    """A fleet without Cacti has only the refusal."""
    assert text(SnmpSpec(), ALLOWED, ends=Endpoints()) == "ALL : ALL : DENY\n"


def test_the_rules_are_seen_by_snmpd_alone() -> None:
    """The host's own /etc/hosts.allow is nobody's business here."""
    files = Snmp().state(SITE).files
    assert "/etc/hosts.allow" not in files
    drop_in = files["/etc/systemd/system/snmpd.service.d/20-habla.conf"].text
    assert f"BindReadOnlyPaths={ALLOWED}:/etc/hosts.allow\n" in drop_in


def test_processes_and_their_arguments_are_not_shown() -> None:
    """The view leaves out hrSWRun, where secrets of others may stand."""
    assert "view habla excluded .1.3.6.1.2.1.25.4\n" in text(SnmpSpec(), CONFIG)


def test_each_instance_of_haproxy_is_asked_at_its_own_port() -> None:
    """In the order of their names; the program comes only with HAProxy."""
    config = text(SnmpSpec(), CONFIG, www=8101, jabber=8102)
    program = "/usr/local/lib/habla/balancer-sessions"
    assert [line for line in config.splitlines() if program in line] == [
        f"extend haproxy-jabber {program} http://127.0.0.1:8102/;csv",
        f"extend haproxy-www {program} http://127.0.0.1:8101/;csv",
    ]
    assert program not in Snmp().state(SITE).files


def test_the_watcher_of_partitions_can_be_asked_everywhere() -> None:
    """Whether or not it runs there."""
    assert f"extend habla-watch /bin/cat {WATCH_ALIVE}\n" in text(SnmpSpec(), CONFIG)


def test_an_instance_has_its_own_place() -> None:
    """The index is the length of its name and its characters."""
    assert sessions_oid("www") == (
        ".1.3.6.1.4.1.8072.1.3.2.3.1.1.11.104.97.112.114.111.120.121.45.119.119.119"
    )


def test_files_with_secrets_are_not_for_everybody() -> None:
    """Root reads the passphrases, and snmpd's group the config."""
    for version in ("3", "2c"):
        fleet = FleetFacts(endpoints=MONITORS, snmp=SnmpSpec.model_validate({"version": version}))
        files = Snmp().state(Site("stable1", ADDRESS, fleet=fleet)).files
        modes = {file.mode for file in files.values() if secret_names(file.text)}
        assert modes <= {"0600", "0640"} and modes


def test_snmpd_restarts_when_its_user_changes() -> None:
    """It learns of users at its start only."""
    assert USER in plan_component("stable", SITE, services=[Snmp()]).state.units["snmpd.service"].restart_on


def test_a_changed_passphrase_replaces_the_user() -> None:
    """All users go, the wanted one comes, and what else snmpd keeps stays."""
    assert snmp_user.renewed(STATE, WANTED).splitlines() == [
        "engineBoots 7",
        "oldEngineID 0x80001f88",
        'createUser habla SHA-512 "say \\"hi\\" \\\\ $x" AES "privacy\'pass"',
    ]


def test_without_a_wanted_user_there_is_none() -> None:
    """As for version 2c."""
    assert snmp_user.renewed(STATE, {}) == "engineBoots 7\noldEngineID 0x80001f88\n"


@pytest.mark.parametrize("value", ["short12", "line\nfeed line", "x" * 51])
def test_a_passphrase_that_would_not_work_is_refused(value: str) -> None:
    """snmpd would only log a short one, and Cacti cannot hold a long one."""
    found = snmp_user.faults({**WANTED, "auth": value})
    assert len(found) == 1 and "'auth'" in found[0] and value not in found[0]


def test_sessions_are_those_of_all_frontends_but_the_statistics() -> None:
    """In both dialects."""
    assert haproxy_sessions.sessions(V2) == haproxy_sessions.sessions(V1) == 42


@contextmanager
def stats_page(body: str) -> Iterator[int]:
    """A page on loopback; its port."""

    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *words: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Page) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


def test_the_program_prints_one_number(capsys: pytest.CaptureFixture[str]) -> None:
    """What snmpd hands on is its first line."""
    with stats_page(V2) as port:
        assert haproxy_sessions.main(f"http://127.0.0.1:{port}/;csv") == 0
    assert capsys.readouterr().out == "42\n"


@pytest.mark.parametrize("body", ["<html>", ""])
def test_what_is_unknown_is_called_so(body: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A page without statistics is no zero."""
    with stats_page(body) as port:
        haproxy_sessions.main(f"http://127.0.0.1:{port}/;csv")
    assert capsys.readouterr().out == "U\n"


def test_the_state_of_snmpd_is_for_its_owner_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It holds the passphrases until snmpd has read them."""
    monkeypatch.setattr("shutil.chown", lambda *_: None)
    wanted, state = tmp_path / "wanted", tmp_path / "state"
    wanted.write_text(json.dumps(WANTED))
    snmp_user.main(str(wanted), str(state), "nobody")
    assert state.stat().st_mode & 0o777 == 0o600
    assert state.read_text().startswith("createUser habla ")
