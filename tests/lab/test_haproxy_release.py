"""HAProxy is changed under the users of a fleet: another release for www, while Jabber's users stay.

The release is Debian's own source; with HABLA_HAPROXY_1_3, which names an archive of 1.3.14.10, also that.
"""

from __future__ import annotations

import base64
import hashlib
import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from clients import Jabber
from fleet import Fleet
from hosts import wait_for
from pace import Pace
from releases import debian_source, mortal, tar

pytestmark = pytest.mark.lab

WWW, JABBER = "haproxy@www", "haproxy@jabber"
DISTRIBUTION = "/usr/sbin/haproxy"
OLD = os.environ.get("HABLA_HAPROXY_1_3")
# Where another host of the lab gives archives away.
SHELF = "http://192.168.2.120:8990"
with_1_3 = pytest.mark.skipif(not OLD, reason="HABLA_HAPROXY_1_3 names no archive of HAProxy 1.3.14.10")


@dataclass(frozen=True)
class Release:
    """A release and the one setting that moves www to it. spoiled: a version that does not live."""

    version: str
    given: dict[str, Any]
    chosen: dict[str, Any]
    spoiled: str
    spoiled_chosen: dict[str, Any] = field(default_factory=dict)

    def changes(self, *, spoiled: dict[str, str] | None = None) -> dict[str, Any]:
        """Settings with www on it, or on the spoiled one that is described."""
        releases = {self.version: self.given, **({self.spoiled: spoiled} if spoiled else {})}
        chosen = {**self.chosen, **(self.spoiled_chosen if spoiled else {})}
        return {"load_balancer.releases": releases, **chosen}


@pytest.fixture(scope="module", params=["2", pytest.param("1.3", marks=with_1_3)])
def release(
    request: pytest.FixtureRequest, fleet: Fleet, tmp_path_factory: pytest.TempPathFactory
) -> Release:
    """An archive beside the stack."""
    target = fleet.project / "haproxy-release.tar.gz"
    if request.param == "1.3":
        shutil.copy(str(OLD), target)
        return Release(
            "1.3.14.10",
            {"path": target.name},
            {"load_balancer.www.dialect": "1.3.14"},
            "1.3.14.99",
            {"load_balancer.www.version": "1.3.14.99"},
        )
    version, archive = debian_source(tmp_path_factory.mktemp("source") / "apt")
    shutil.copy(archive, target)
    chosen = {"load_balancer.www.version": version}
    return Release(version, {"path": target.name}, chosen, "2.99", {"load_balancer.www.version": "2.99"})


@pytest.fixture(scope="module")
def built(fleet: Fleet, release: Release) -> Iterator[Release]:
    """The fleet with www on the release, and afterwards as it was."""
    done = fleet.up(release.changes())
    print(f"{release.version} built and switched to in {done.seconds:.0f} s")
    yield release
    fleet.up()


def _pid(fleet: Fleet, unit: str) -> int:
    return int(fleet.ssh("front1", f"systemctl show -P MainPID {unit}"))


def _program(fleet: Fleet, unit: str) -> str:
    return fleet.ssh("front1", f"readlink /proc/$(systemctl show -P MainPID {unit})/exe")


def _releases(fleet: Fleet) -> str:
    return fleet.ssh("front1", "ls /opt/haproxy 2>/dev/null || true")


def _is_of(program: str, version: str) -> bool:
    # The kernel knows a program by where it lies, which is behind the link.
    return bool(re.fullmatch(rf"/opt/haproxy/{re.escape(version)}-\w{{8}}\.d/\w{{64}}/haproxy", program))


def test_one_instance_moves_and_the_other_is_left_alone(
    fleet: Fleet, jabber: Jabber, pair: tuple[str, str], release: Release, built: Release
) -> None:
    """www runs the release, Jabber what it ran, and a second up builds nothing."""
    one, other = pair
    assert _is_of(_program(fleet, WWW), release.version)
    assert _program(fleet, JABBER) == DISTRIBUTION
    assert fleet.http("/")[0] == 200 and fleet.rpc("system.hosts")
    jabber.talk(one, other)
    process, look = _pid(fleet, WWW), "stat -c %Y.%i /opt/haproxy/*/haproxy"
    program = fleet.ssh("front1", look)
    assert fleet.up(release.changes()).changed == 0
    assert (fleet.ssh("front1", look), _pid(fleet, WWW)) == (program, process)


def _offer(fleet: Fleet, files: dict[str, str]) -> dict[str, str]:
    """Have another host give an archive away: its url and sha256."""
    content = tar(files, "top/")
    sha256 = hashlib.sha256(content).hexdigest()
    text = base64.b64encode(content).decode()
    fleet.ssh("web1", f"mkdir -p /run/shelf; echo {text} | base64 -d >/run/shelf/{sha256}")
    fleet.ssh(
        "web1",
        "systemctl is-active -q shelf || systemd-run -q --unit=shelf python3 -m http.server"
        " --directory /run/shelf --bind 192.168.2.120 8990",
    )
    return {"url": f"{SHELF}/{sha256}", "sha256": sha256}


def test_a_release_that_cannot_serve_is_not_left_in_charge(
    fleet: Fleet, jabber: Jabber, pair: tuple[str, str], built: Release
) -> None:
    """Whether its archive is another one, does not compile, or makes a program that dies: www goes on."""
    one, other = pair
    before = (_pid(fleet, WWW), _pid(fleet, JABBER), _releases(fleet))
    good = mortal(built.spoiled)
    offered = _offer(fleet, good)
    bad = {**offered, "sha256": "0" * 64}
    output = fleet.refused(built.changes(spoiled=bad))
    assert f"the sha256 is {offered['sha256']}, not {'0' * 64}" in output
    broken = {**good, "haproxy.c": good["haproxy.c"].replace("return 3", "return frobnicate")}
    output = fleet.refused(built.changes(spoiled=_offer(fleet, broken)))
    assert f"step actions: build-{built.spoiled}" in output and "frobnicate" in output
    # Until here nobody touched what runs.
    assert (_pid(fleet, WWW), _pid(fleet, JABBER), _releases(fleet)) == before
    output = fleet.refused(built.changes(spoiled=offered))
    assert "I build, but I do not live" in output and "the earlier state is back" in output
    assert _is_of(_program(fleet, WWW), built.version)
    # What the failed one was to replace is still there to start from.
    assert set(before[2].split()) < set(_releases(fleet).split())
    fleet.ssh("front1", f"systemctl restart {WWW}")
    wait_for(lambda: fleet.reach("203.0.113.10:80"), 15, "an answer")
    assert fleet.http("/")[0] == 200
    assert _pid(fleet, JABBER) == before[1]
    assert not jabber.lost(one) and not jabber.lost(other)
    # The settings taken back, what was built in vain goes.
    assert fleet.up(built.changes()).changed > 0
    assert _releases(fleet) == before[2]
    fleet.ssh("web1", "systemctl stop shelf")


def test_the_way_back_leaves_nothing(
    fleet: Fleet, jabber: Jabber, pair: tuple[str, str], built: Release
) -> None:
    """www runs the distribution's program again, the release is gone, and Jabber never noticed."""
    one, other = pair
    process = _pid(fleet, JABBER)
    fleet.up()
    assert _program(fleet, WWW) == DISTRIBUTION
    assert _releases(fleet) == "" and fleet.http("/")[0] == 200
    assert _pid(fleet, JABBER) == process
    assert not jabber.lost(one) and not jabber.lost(other)
    jabber.talk(one, other)


@with_1_3
def test_a_reload_of_1_3_loses_no_request(fleet: Fleet) -> None:
    """A new process takes over ten times under load, and systemd knows each as the main one."""
    target = fleet.project / "haproxy-release.tar.gz"
    shutil.copy(str(OLD), target)
    releases = {"1.3.14.10": {"path": target.name}}
    fleet.up({"load_balancer.releases": releases, "load_balancer.www.dialect": "1.3.14"})
    try:
        seen = [_pid(fleet, WWW)]
        with fleet.visitors("/rpc", "/status/", "/", workers=16, rate=200, most=200 * 60) as visitor:
            visitor.expect(15, event="started")
            for _ in Pace(rate=1, most=10):
                fleet.ssh("front1", f"systemctl reload {WWW}")
                seen.append(_pid(fleet, WWW))
            visitor.tell(stop=True)
            done = visitor.expect(30, event="done")
        print(f"{sum(done['servers'].values())} answers over 10 reloads, lost: {done['faults']}")
        assert done["faults"] == []
        assert len(set(seen)) == 11
        wait_for(lambda: fleet.ssh("front1", "pgrep -c -u haproxy-www haproxy") == "1", 15, "old ones to end")
        state = fleet.ssh("front1", f"systemctl show -P NRestarts -P ActiveState {WWW}")
        assert state.split() == ["0", "active"]
        assert _pid(fleet, WWW) == seen[-1]
        # And that one is missed when it dies.
        fleet.ssh("front1", f"kill -9 {seen[-1]}")
        wait_for(lambda: _pid(fleet, WWW) not in (0, seen[-1]), 15, "a new process")
        wait_for(lambda: fleet.reach("203.0.113.10:80"), 15, "an answer")
    finally:
        fleet.up()
