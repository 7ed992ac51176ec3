"""What HAProxy's www instance does for visitors and for the servers behind it."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from browser import EARLIER_PORT, OUTSIDE, Browser
from clients import FRONT
from fleet import OLD_ARCHIVE, STABLE, Fleet
from hosts import wait_for
from old_forum import old_forum
from pace import Pace

pytestmark = pytest.mark.lab

FAST, SLOW = STABLE
UNEVEN = json.dumps({FAST: 0.02, SLOW: 0.2})
LOGIN = "http://www.hab.la/old/login?name=ada&domain=.hab.la"
FORUM = "http://www.hab.la/old/forum"


@pytest.fixture(scope="module")
def old(fleet: Fleet) -> Iterator[Fleet]:
    """The fleet with the old forum in it."""
    fleet.up(old_forum(fleet))
    _both_serve(fleet, "/old/peak")
    yield fleet
    fleet.up()


def _both_serve(fleet: Fleet, path: str) -> None:
    """HAProxy may know a program before that has started."""
    wait_for(lambda: fleet.http(path)[0] == 200, 30, path)
    wait_for(lambda: fleet.served_by(path) == set(STABLE), 20, f"{path} by both")


def _ask(
    fleet: Fleet, path: str, *, workers: int, rate: float, seconds: float, burst: int = 1
) -> dict[str, Any]:
    """Answers to so many visitors at once, who ask at this rate for so many seconds once answers come."""
    asked = {"workers": workers, "rate": rate, "burst": burst, "most": int(rate * (seconds + 30))}
    with fleet.visitors(path, seconds=seconds, **asked) as visitor:
        visitor.expect(30, event="started")
        return visitor.expect(60, event="done")


def test_other_names_are_sent_to_www(fleet: Fleet) -> None:
    """http://hab.la/ answers with a redirect to www.hab.la that keeps path and query."""
    status, _, headers = fleet.http("/forum?page=2", host="hab.la")
    assert (status, headers["Location"]) == (301, "http://www.hab.la/forum?page=2")


def test_backends_are_told_who_asks(old: Fleet) -> None:
    """X-Forwarded-For is the visitor's address."""
    asked = old.outside("curl", "--silent", "-H", "Host: www.hab.la", f"http://{FRONT}/old/echo")
    assert json.loads(asked.stdout)["x-forwarded-for"] == OUTSIDE


def test_requests_are_in_the_log_of_www_alone(fleet: Fleet) -> None:
    """The access log of www has a visitor's request, with server and status; that of jabber has not."""
    fleet.http("/logged-by-www")

    def logged() -> bool:
        return "/logged-by-www HTTP/1.1" in fleet.ssh("front1", "cat /var/log/haproxy/www.log")

    wait_for(logged, 5, "the request in the log")
    assert " www web/web1 " in fleet.ssh("front1", "grep logged-by-www /var/log/haproxy/www.log")
    assert fleet.ssh("front1", "cat /var/log/haproxy/jabber.log* | grep -c logged-by-www || true") == "0"
    assert fleet.ssh("front1", "stat -c %U:%G:%a /var/log/haproxy/www.log") == "root:root:640"


def test_instances_share_nothing(fleet: Fleet) -> None:
    """Each has a user, a pid file and (but in 1.3, where it is not safe to ask) a socket of its own."""
    lines = fleet.ssh("front1", "ps -o user:20=,args= -C haproxy").splitlines()
    workers = {tuple(line.split()) for line in lines if not line.startswith("root")}
    users = {(words[0], next(word for word in words if word.endswith(".cfg"))) for words in workers}
    assert users == {(f"haproxy-{name}", f"/run/haproxy-{name}/haproxy.cfg") for name in ("www", "jabber")}
    for name in ("www", "jabber"):
        own = set() if OLD_ARCHIVE else {"admin.sock", "servers"}
        files = set(fleet.ssh("front1", f"ls /run/haproxy-{name}").split())
        assert files - {"replaced.json"} == {*own, "haproxy.cfg", "haproxy.pid", "left-out.json"}


def test_page_is_shown_while_no_server_is_left(fleet: Fleet) -> None:
    """With the website's server stopped, visitors get HAProxy's own page with status 503; RPC goes on."""
    try:
        fleet.ssh("web1", "systemctl stop habla-web")
        wait_for(lambda: fleet.http("/")[0] == 503, 20, "the page")
        status, body, headers = fleet.http("/")
        assert (status, headers["Retry-After"]) == (503, "30") and b"Back in a moment" in body
        assert fleet.http("/rpc/health")[0] == 200
    finally:
        fleet.ssh("web1", "systemctl start habla-web")
    wait_for(lambda: fleet.http("/")[0] == 200, 20, "the website")


def test_only_one_domain_is_ever_set(old: Fleet) -> None:
    """Whatever domain a backend sets a cookie for, or none, the browser is told www.hab.la."""
    for query in ("", "&domain=.hab.la", "&domain=www.hab.la", "&domain=.evil.example"):
        _, _, headers = old.http(f"/old/login?name=ada{query}")
        cookies = headers.get_all("Set-Cookie") or []
        assert len(cookies) == 5
        for cookie in cookies:
            expired = cookie.startswith("session=;")
            domains = [part for part in cookie.lower().split(";") if "domain=" in part]
            assert expired or domains == [" domain=www.hab.la"], cookies
        # What expires comes first: to a browser .www.hab.la and www.hab.la are one domain.
        sessions = [cookie for cookie in cookies if cookie.startswith("session=")]
        assert sessions[-1].startswith("session=good-ada; Path=/; Max-Age=3600")


def test_visitor_with_stale_cookies_logs_into_the_forum(old: Fleet, tmp_path: Path) -> None:
    """A browser with cookies of three earlier domains is locked out as long as none is expired, and logs in
    once they are.
    """
    try:
        done = old.up({**old_forum(old), "load_balancer.cookies": {"names": []}})
        assert done.counts["updated"] == 1
        with old.program("planter.py", OUTSIDE, str(EARLIER_PORT)) as planter:
            planter.expect(10, event="started")
            before, after = (Browser(old, tmp_path / name) for name in ("before", "after"))
            for browser in (before, after):
                assert browser.visit(f"http://www.hab.la:{EARLIER_PORT}/") == "planted"
        assert before.visit(LOGIN) == "ok"
        assert before.visit(FORUM) == "who are you (stale-host)"
    finally:
        old.up(old_forum(old))
    assert after.visit(FORUM) == "who are you (stale-host)"
    assert after.visit(LOGIN) == "ok"
    assert after.visit(FORUM) == "welcome ada"
    # And the one who was locked out, once more.
    assert before.visit(LOGIN) == "ok"
    assert before.visit(FORUM) == "welcome ada"


def test_small_server_is_protected_from_a_burst(old: Fleet) -> None:
    """Of 150 requests at once, a server works on its maxconn at a time; none fails, the rest waits."""
    # Each thread of 2.x looks whether there is room, then takes it: each further one may take one more.
    threads = 1 if OLD_ARCHIVE else os.cpu_count() or 1
    done = _ask(old, "/old/work", workers=150, rate=300, burst=150, seconds=3)
    assert done["faults"] == []
    for host in STABLE:
        ask = f"import urllib.request as u; print(u.urlopen('http://{host}:8050/old/peak').read().decode())"
        peak = int(old.ssh(host, f'python3 -c "{ask}"'))
        print(f"{host} worked on {peak} requests at once, at most")
        assert peak <= 20 + threads - 1


def test_requests_go_to_the_server_that_is_fastest(old: Fleet) -> None:
    """With one server ten times slower, it gets a small share, and waiting is shorter than by round robin."""
    found = {}
    robin = {"load_balancer.www.raw": {"backend old": ["balance roundrobin"]}}
    for name, changes in (
        ("fastest", old_forum(old, UNEVEN)),
        ("round robin", {**old_forum(old, UNEVEN, maxconn=0), **robin}),
    ):
        old.up(changes)
        _both_serve(old, "/old/work")
        # Round robin answers fewer: the slow server keeps nearly all visitors waiting.
        found[name] = _ask(old, "/old/work", workers=30, rate=400, seconds=8)
        servers, times = found[name]["servers"], found[name]["milliseconds"]
        share = servers[SLOW] / sum(servers.values())
        print(f"{name}: {sum(servers.values())} answers, {share:.0%} by the slow server, ms {times}")
        found[name]["share"] = share
    assert found["fastest"]["share"] < 0.25
    assert found["round robin"]["share"] > 0.4
    assert found["fastest"]["milliseconds"]["50"] < found["round robin"]["milliseconds"]["50"] / 2
    assert sum(found["fastest"]["servers"].values()) > sum(found["round robin"]["servers"].values())


def test_reload_refuses_and_resets_nobody(old: Fleet) -> None:
    """Ten reloads of www, and a change of its config, while 20 visitors ask 200 times a second."""
    old.up(old_forum(old))
    _both_serve(old, "/old/work")
    with old.visitors("/old/work", workers=20, rate=200, most=200 * 120) as visitor:
        visitor.expect(30, event="started")
        for _ in Pace(rate=1, most=10):
            old.ssh("front1", "systemctl reload haproxy@www")
        old.up({**old_forum(old), "load_balancer.www.maxconn": 1900})
        visitor.tell(stop=True)
        done = visitor.expect(60, event="done")
    print(f"{sum(done['servers'].values())} answers over 11 reloads, {len(done['faults'])} lost")
    assert done["faults"] == []


@pytest.mark.skipif(bool(OLD_ARCHIVE), reason="dialect 1.3.14 has no TLS")
def test_https_is_spoken_and_asked_for(old: Fleet, tmp_path: Path) -> None:
    """With a certificate, the website answers by HTTPS, HTTP is sent there, and backends are told."""
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    words = "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=www.hab.la"
    names = ["-addext", "subjectAltName=DNS:www.hab.la", "-keyout", str(key), "-out", str(certificate)]
    subprocess.run([*words.split(), *names], check=True, capture_output=True)
    tls = {
        "load_balancer.www.tls": {"certificate": "www/certificate"},
        "secrets.www/certificate": key.read_text() + certificate.read_text(),
    }
    done = old.up({**old_forum(old), **tls})
    assert "BEGIN PRIVATE" not in done.output
    ask = ("curl", "--silent", "--show-error", "--cacert", str(certificate))
    there = ("--resolve", f"www.hab.la:443:{FRONT}", "--resolve", f"www.hab.la:80:{FRONT}")
    answer = old.outside(*ask, *there, "https://www.hab.la/old/echo")
    assert json.loads(answer.stdout)["x-forwarded-proto"] == "https", answer.stderr
    headers = old.outside(*ask, *there, "--head", "http://www.hab.la/old/echo?x=1").stdout
    assert "location: https://www.hab.la/old/echo?x=1" in headers.lower()
    assert old.ssh("front1", "stat -c %a:%U /etc/haproxy/www.pem") == "600:root"
