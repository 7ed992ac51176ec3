"""The guard beside HAProxy: which connections it closes, when it reloads, and whom it ends."""

from __future__ import annotations

import json
import subprocess
import threading
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from habla.onhost.haproxy import guard, instances, prepare
from habla.onhost.haproxy.guard import Guard, down_in, lost_targets, queued_on
from habla.onhost.haproxy.instances import Instance
from habla.onhost.haproxy.servers import DOWN, DRAINED, MAINTENANCE, WELL, Server

STATISTICS = """\
# pxname,svname,scur,status
www,FRONTEND,1,OPEN
rpc,stable1,0,UP
rpc,stable2,0,DOWN 1/2
status,stable1,0,UP 1/2
status,stable2,0,DOWN
rpc,BACKEND,0,UP
"""
LINES = """\
backend rpc
    server stable1 192.0.2.1:8001 maxconn 20 check port 8099
    server stable2 192.0.2.2:8001 maxconn 20 check port 8099
"""


@pytest.fixture
def www(tmp_path: Path) -> Instance:
    """An instance of 1.3 that has been prepared."""
    config = tmp_path / "www.cfg"
    config.write_text(LINES)
    (tmp_path / instances.RUNNING).write_text(LINES)
    (tmp_path / instances.LEFT_OUT).write_text("{}")
    return Instance(
        "www", old=True, config=str(config), run=str(tmp_path), unit="u", stats_port=1, stop_after=60
    )


@pytest.fixture
def done(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The actions of the guard, in place of systemctl and ss."""
    found: list[str] = []

    def close(address: str, port: int) -> int:
        found.append(f"close {address}:{port}")
        return 1

    def systemctl(*words: str) -> str:
        found.append(" ".join(words))
        return "0\n"

    monkeypatch.setattr(guard, "_close", close)
    monkeypatch.setattr(guard, "_systemctl", systemctl)
    return found


def statistics(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """Have the statistics page say this."""
    monkeypatch.setattr(guard, "_statistics", lambda port: text)


def test_servers_that_are_down_are_read_from_the_statistics() -> None:
    """One that goes up or down at the moment is what it was."""
    assert down_in(STATISTICS) == ["rpc/stable2", "status/stable2"]


def test_a_place_is_lost_when_all_its_servers_are_down() -> None:
    """One program may serve two backends, of which only one is at fault."""
    both = [Server(0, backend, "a", "192.0.2.1", 80, limited=True) for backend in ("x", "y")]
    assert lost_targets(both, ["x/a"]) == set()
    assert lost_targets(both, ["x/a", "y/a"]) == {("192.0.2.1", 80)}


def test_only_a_queue_with_another_server_asks_for_a_reload() -> None:
    """The only server of a backend has nobody to leave its requests to."""
    lost = {("192.0.2.2", 80)}
    second = Server(0, "x", "b", "192.0.2.2", 80, limited=True)
    assert not queued_on([second], lost, new=lost)
    first = Server(0, "x", "a", "192.0.2.1", 80, limited=True)
    assert queued_on([first, second], lost, new=lost)
    assert not queued_on([first, second], lost, new=set())
    free = [Server(0, "x", name, f"192.0.2.{number}", 80) for number, name in enumerate("ab", 1)]
    assert not queued_on(free, lost, new=lost)


def test_connections_to_a_lost_server_are_closed_once(
    www: Instance, done: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """And again when it was back in between."""
    watch = Guard(www, lambda words: None)
    for text in (STATISTICS, STATISTICS, STATISTICS.replace("DOWN 1/2", "UP"), STATISTICS):
        statistics(monkeypatch, text)
        watch.look()
    assert done == ["close 192.0.2.2:8001", "reload u"] * 2


@pytest.mark.parametrize("took", [0.0, 1.2], ids=["hosts that answer", "a host that does not answer"])
def test_a_server_that_is_well_again_is_brought_back(
    took: float, www: Instance, done: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """After 1.5 s, however long a look takes; one that is still drained or in maintenance waits on."""
    statistics(monkeypatch, "# pxname,svname,status\n")
    answers = {"rpc/stable1": DRAINED, "rpc/stable2": DOWN}
    www.path(instances.LEFT_OUT).write_text(json.dumps({**answers, "web/web1": MAINTENANCE}))
    monkeypatch.setattr(guard, "ask", lambda servers: {item: answers[item.label] for item in servers})
    now = 0.0
    monkeypatch.setattr(guard, "time", SimpleNamespace(monotonic=lambda: now))
    watch = Guard(www, lambda words: None)
    every = guard._EVERY + took

    def seconds_until_reload() -> float:
        nonlocal now
        done.clear()
        begun = now
        while now < begun + 60:
            watch.look()
            if done:
                break
            now += every
        return now - begun

    assert seconds_until_reload() >= 60 and done == []
    answers["rpc/stable2"] = WELL
    # It waits for the other one, which does not come.
    assert 6 <= seconds_until_reload() < 6 + every and done == ["reload u"]
    answers["rpc/stable1"] = WELL
    assert 1.5 <= seconds_until_reload() < 1.5 + every and done == ["reload u"]


def test_an_instance_is_looked_at_while_another_look_takes_long(
    www: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error that no guard expects ends the program, and systemd starts it again."""
    slow = threading.Event()

    def look(self: Guard) -> None:
        if self.instance.name == "www":
            slow.wait(10)
        raise AttributeError(f"unexpected in {self.instance.name}")

    monkeypatch.setattr(Guard, "look", look)
    with pytest.raises(AttributeError, match="unexpected in jabber"):
        guard.run([www, replace(www, name="jabber")], lambda words: None)
    slow.set()


def test_a_replaced_process_ends_after_its_time(
    www: Instance, done: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A younger one goes on, and so does the process that a failed reload has not replaced."""
    statistics(monkeypatch, "# pxname,svname,status\n")
    with subprocess.Popen(["sleep", "60"]) as late, subprocess.Popen(["sleep", "60"]) as present:
        with subprocess.Popen(["sleep", "60"]) as young:
            for process in (late, present, young):
                prepare._remember(www, process.pid)
            entries = json.loads(www.path(instances.OLD).read_text())
            assert [entry["pid"] for entry in entries] == [late.pid, present.pid, young.pid]
            for entry in entries[:2]:
                entry["replaced"] = time.monotonic() - 61
            www.path(instances.OLD).write_text(json.dumps(entries))
            monkeypatch.setattr(guard, "_systemctl", lambda *words: f"{present.pid}\n")
            Guard(www, lambda words: None).look()
            assert late.wait(5) == -15
            assert present.poll() is None and young.poll() is None
            young.kill()
        present.kill()


def test_a_number_that_another_process_has_now_is_nobody(www: Instance) -> None:
    """The start of a process tells it from a later one with its number."""
    with subprocess.Popen(["sleep", "60"]) as process:
        prepare._remember(www, process.pid)
        entries = json.loads(www.path(instances.OLD).read_text())
        assert prepare.replaced_processes(www) == entries
        entries[0]["started"] = "1"
        www.path(instances.OLD).write_text(json.dumps(entries))
        assert prepare.replaced_processes(www) == []
        process.kill()


def test_a_failure_is_told_once(www: Instance, monkeypatch: pytest.MonkeyPatch) -> None:
    """Until it is another one, or comes again."""
    said: list[str] = []
    statistics(monkeypatch, "nonsense\n1\n")
    watch = Guard(www, said.append)
    watch.look()
    watch.look()
    assert said == ["www: KeyError: 'status'"]
    statistics(monkeypatch, "# pxname,svname,status\n")
    watch.look()
    statistics(monkeypatch, "nonsense\n1\n")
    watch.look()
    assert len(said) == 2
