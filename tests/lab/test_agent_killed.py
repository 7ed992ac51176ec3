"""The agent under SIGKILL and power cuts, on a real host."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from agent import HAPROXY, PAGE, POINTS, SERVER, UNIT, AgentHost, agent_hosts, demo, with_files
from hosts import Lab

from habla.onhost.document import File, HostState, Unit

pytestmark = pytest.mark.lab

_FILES = (HAPROXY, PAGE, SERVER, UNIT, "/etc/demo/only-old", "/etc/demo/only-new", "/etc/issue", "/etc/motd")
_UNITS = ("haproxy.service", "demo.service", "memcached.service", "spare.service")
_SPARE = File("[Service]\nExecStart=/bin/sleep infinity\n[Install]\nWantedBy=multi-user.target\n")


def _old() -> HostState:
    """Owns the distribution's /etc/issue and a unit that the new state does not have."""
    state = demo("old")
    files = {
        **state.files,
        "/etc/issue": File("the old issue\n"),
        "/etc/systemd/system/spare.service": _SPARE,
    }
    return replace(state, files=files, units={**state.units, "spare.service": Unit()})


def _new() -> HostState:
    """Gives /etc/issue back, takes /etc/motd, needs one more package, changes how a unit is run."""
    state = demo("new")
    files = {**state.files, "/etc/motd": File("the new motd\n")}
    units = {**state.units, "memcached.service": Unit()}
    changed = replace(state, files=files, units=units, packages=("haproxy", "memcached"))
    return with_files(changed, unit=state.files[UNIT].text.replace("[Service]", "[Service]\nNice=5"))


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """One host with the agent."""
    with agent_hosts(tmp_path_factory.mktemp("agent"), "front1", packages=("haproxy", "memcached")) as lab:
        yield lab


@pytest.fixture(scope="module")
def host(lab: Lab) -> AgentHost:
    """The host, with a distribution's file where the new state puts one of its own."""
    found = AgentHost(lab, "front1")
    found.run("echo the distribution >/etc/motd; echo the distribution >/etc/issue")
    return found


def _contents(host: AgentHost) -> dict[str, object]:
    return host.look(_FILES).content()


def _kill(host: AgentHost, point: str) -> None:
    assert host.apply(_old()).status == 0
    if "packages" in point:
        host.run("systemctl unmask memcached; DEBIAN_FRONTEND=noninteractive apt-get -qq purge memcached")
    host.killed(_new(), point)
    assert set(host.look().pages) <= {"old", "new"}


@pytest.mark.parametrize("point", POINTS)
def test_old_state_applied_after_a_kill_leaves_nothing_of_the_new_one(host: AgentHost, point: str) -> None:
    """After SIGKILL at any point services answer, and who goes back to the old state gets just that state."""
    assert host.apply(_old()).status == 0
    old = _contents(host)
    _kill(host, point)
    back = host.apply(_old())
    assert back.status == 0, back
    # What was begun was recovered first; a run that ended after its commit left nothing to recover.
    assert back.report.get("recovered") == (None if point == "commit" else "demo")
    seen = host.look(_FILES, _UNITS)
    assert (seen.pages, seen.left, seen.content()) == (["old", "old"], [], old)
    assert seen.units["spare.service"][1:] == ["active", "enabled"]


@pytest.mark.parametrize("point", ["in packages", "stage", "in swap", "units", "in commit", "commit"])
def test_new_state_applied_again_after_a_kill_is_complete(host: AgentHost, point: str) -> None:
    """After SIGKILL the same apply again completes, and a third one finds nothing to do."""
    _kill(host, point)
    done = host.apply(_new())
    assert done.status == 0, done
    seen = host.look(_FILES, _UNITS)
    assert (seen.pages, seen.left) == (["new", "new"], [])
    assert seen.files["/etc/demo/only-old"] is None
    assert seen.files["/etc/issue"][0] == seen_distribution(host)
    assert seen.units["memcached.service"][1:] == ["active", "enabled"]
    assert seen.units["spare.service"][1] == "inactive"
    assert host.apply(_new()).changed == {}


def seen_distribution(host: AgentHost) -> str:
    """The digest of what the distribution's files hold."""
    return host.run("echo the distribution | sha256sum").split()[0]


def test_deletion_after_all_that_gives_the_distribution_its_files_back(host: AgentHost) -> None:
    """A component that went through crashes still knows what stood there before it; a killed delete too."""
    assert host.apply(_new()).status == 0
    script = (
        "import os, sys; sys.path.insert(0, '/usr/local/lib/habla/agent.pyz')\n"
        "from onhost.agent import deletion, places, system\n"
        "die = lambda: os.kill(os.getpid(), 9)\n"
        "system.systemctl = lambda step, verb, units: die() if verb == 'daemon-reload' else 0\n"
        "deletion.delete('demo', False)\n"
    )
    assert "status 137" in host.send("python3 -; echo status $?", script).stdout
    assert host.agent("delete", "demo").report["deleted"]
    seen = host.look(_FILES, _UNITS)
    assert seen.files["/etc/motd"][0] == seen.files["/etc/issue"][0] == seen_distribution(host)
    assert [seen.files[path] for path in (PAGE, SERVER, UNIT, "/etc/demo/only-new")] == [None] * 4
    assert seen.left == []
    assert host.agent("delete", "demo").report == {"component": "demo", "deleted": False}


@pytest.mark.parametrize("point", ["in swap", "units", "in commit"])
def test_power_cut_boots_into_the_old_state(lab: Lab, host: AgentHost, point: str) -> None:
    """After a power cut in the middle of an apply the host boots into the old state, by itself."""
    assert host.apply(_old()).status == 0
    old = _contents(host)
    host.killed(_new(), point)
    lab.ask("host-kill", "front1")
    lab.ask("host-start", "front1")
    host.run("systemctl is-system-running --wait; true")
    seen = host.look(_FILES, _UNITS)
    assert (seen.pages, seen.left, seen.content()) == (["old", "old"], [], old)
    assert [seen.units[name][1:] for name in ("haproxy.service", "demo.service", "spare.service")] == [
        ["active", "enabled"]
    ] * 3
    # Nothing ran with the new state meanwhile: it was put back before anything started.
    started = host.run("journalctl --boot --unit demo.service --output=cat | grep -c Started")
    assert started == "1"
    assert host.run("systemctl show --property=Nice --value demo.service") == "0"
    assert host.run("systemctl --failed --no-legend --plain | wc -l") == "0"
    # The record went back too, so the old state is known to be there.
    assert host.apply(_old()).changed == {}
    assert host.apply(_new()).status == 0


def test_boot_unit_costs_nothing_when_there_is_nothing_to_recover(lab: Lab, host: AgentHost) -> None:
    """A host that was not interrupted boots without the recovery, and into the state that it had."""
    assert host.apply(_new()).status == 0
    lab.ask("host-kill", "front1")
    lab.ask("host-start", "front1")
    host.run("systemctl is-system-running --wait; true")
    assert host.look().pages == ["new", "new"]
    assert host.run("systemctl show --property=ConditionResult --value habla-recover.service") == "no"
