"""The commands that ask hosts, from the command line over a real ssh to hosts that answer by a script."""

from __future__ import annotations

import json
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from habla_command import habla, on_terminal
from scripted_fleet import WATCHED, ScriptedFleet, scripted_fleet

pytestmark = [
    pytest.mark.skipif(shutil.which("ssh") is None, reason="there is no ssh on this machine"),
    pytest.mark.slow,
]


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[ScriptedFleet]:
    with scripted_fleet(tmp_path) as fleet:
        yield fleet


def test_status_has_a_row_for_each_server(fleet: ScriptedFleet) -> None:
    """In a pipe each row is one line; JSON has the same servers."""
    done = fleet.run("status")
    assert (done.returncode, done.stderr) == (0, "")
    head, *rows = [line.split() for line in done.stdout.splitlines()]
    assert head == ["front", "instance", "backend", "server", "state", "sessions", "queue", "last", "check"]
    assert rows[0] == ["front1", "www", "static", "stable1", "UP", "0", "0", "L7OK/200", "in", "1", "ms"]
    assert [row[3] for row in rows] == ["stable1", "stable2", "web1", "stable1", "stable2"]
    document = json.loads(fleet.run("status", "--json").stdout)
    assert [server["server"] for server in document["servers"]] == [row[3] for row in rows]
    assert document["faults"] == [] and document["servers"][0]["check"] == "L7OK/200 in 1 ms"


def test_status_finds_a_backend_without_servers(fleet: ScriptedFleet) -> None:
    """With status 1, unless the command is about other hosts."""
    fleet.down.add("web1")
    done = fleet.run("status", "--quiet")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "habla: front1: backend web of www has no server left\n"
    assert fleet.run("status", "--role", "web").returncode == 1
    done = fleet.run("status", "--host", "stable1")
    assert done.returncode == 0 and "web1" not in done.stdout and "stable2" not in done.stdout


def old_process(pid: int, *, replaced_seconds: float, servers: dict[str, int]) -> dict[str, Any]:
    """An old process whose connections lead to these servers."""
    sessions = sum(servers.values())
    return {
        "pid": pid,
        "replaced_seconds": replaced_seconds,
        "sessions": sessions,
        "servers": servers,
    }


def test_status_has_a_second_table_for_old_processes(fleet: ScriptedFleet) -> None:
    """One round trip brings both tables. JSON has the servers of each process too."""
    assert "old process" not in fleet.run("status").stdout
    old = [
        old_process(812, replaced_seconds=18000.0, servers={"192.168.2.100": 12}),
        old_process(1904, replaced_seconds=30.4, servers={}),
    ]
    fleet.old_processes["jabber"] = old
    fleet.asked.clear()
    done = fleet.run("status")
    assert (done.returncode, done.stderr, len(fleet.asked)) == (0, "", 1)
    assert done.stdout.split("\n\n")[1].splitlines() == [
        "front   instance  old process  replaced  sessions",
        "front1  jabber    812          5 h ago   12",
        "front1  jabber    1904         30 s ago  0",
    ]
    document = json.loads(fleet.run("status", "--json").stdout)
    assert document["old_processes"] == [
        {"front": "front1", "instance": "jabber", **process} for process in old
    ]
    assert "old process" not in fleet.run("status", "--host", "stable1").stdout
    assert "812" in fleet.run("status", "--role", "front").stdout


def test_status_fits_a_terminal(fleet: ScriptedFleet) -> None:
    """Each server of a small fleet takes one line at 80 columns."""
    lines = on_terminal("status", "-i", str(fleet.identity), columns=80, cwd=fleet.root, NO_COLOR="1")
    assert max(map(len, lines)) <= 80
    assert sum(" UP " in line and "L7OK/200 in 1 ms" in line for line in lines) == 5


def test_drain_and_undrain_move_a_host(fleet: ScriptedFleet) -> None:
    """The words and the JSON of both."""
    done = fleet.run("drain", "stable1")
    assert done.returncode == 0, done.stderr
    assert done.stdout == (
        "stable1 is drained: HAProxy sends it nothing new\nstable1 has no request or connection left\n"
    )
    assert fleet.by_hand == {"stable1"}
    assert json.loads(fleet.run("undrain", "stable1", "--json").stdout) == {
        "host": "stable1",
        "drained": False,
    }
    assert fleet.by_hand == set()
    document = json.loads(fleet.run("drain", "stable1", "--json").stdout)
    assert document == {"host": "stable1", "drained": True, "left": {}}
    assert fleet.run("undrain", "stable1").stdout == "stable1 is in rotation\n"


def test_drain_waits_for_connections_as_long_as_it_may(fleet: ScriptedFleet) -> None:
    """Without --wait it only says what is left; with it, what is left at the end is status 1."""
    fleet.sessions["stable1"] = 3
    done = fleet.run("drain", "stable1")
    assert done.returncode == 0 and done.stdout.endswith("stable1 still has: static 3, c2s 3\n")
    started = time.monotonic()
    done = fleet.run("drain", "stable1", "--wait", "3")
    assert time.monotonic() - started > 3 and done.returncode == 1
    assert "habla: stable1 is drained; waiting for static 3, c2s 3 …" in done.stderr
    ending = threading.Timer(2, fleet.sessions.clear)
    ending.start()
    done = fleet.run("drain", "stable1", "--wait", "60", "--quiet")
    ending.join()
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_drain_counts_the_connections_of_old_processes(fleet: ScriptedFleet) -> None:
    """Those that lead to the host, under the name of the instance; --wait waits for their end."""
    roles = json.loads(habla("addresses", "--json", cwd=fleet.root).stdout)["roles"]
    own, other = (roles["stable"]["hosts"][host]["address"] for host in ("stable1", "stable2"))
    fleet.old_processes["jabber"] = [
        old_process(812, replaced_seconds=9.0, servers={own: 7, other: 1}),
        old_process(1904, replaced_seconds=3.0, servers={own: 5}),
    ]
    fleet.old_processes["www"] = [old_process(300, replaced_seconds=1.0, servers={other: 2})]
    done = fleet.run("drain", "stable1")
    assert done.returncode == 0 and done.stdout.endswith("stable1 still has: old processes of jabber 12\n")
    fleet.sessions["stable1"] = 3
    done = fleet.run("drain", "stable1", "--json", "--wait", "1")
    assert done.returncode == 1
    assert json.loads(done.stdout)["left"] == {"static": 3, "c2s": 3, "old processes of jabber": 12}
    ending = threading.Timer(2, lambda: (fleet.sessions.clear(), fleet.old_processes.clear()))
    ending.start()
    done = fleet.run("drain", "stable1", "--wait", "60")
    ending.join()
    assert done.returncode == 0 and done.stdout.endswith("stable1 has no request or connection left\n")


def test_undrain_says_that_the_settings_keep_a_host_drained(fleet: ScriptedFleet) -> None:
    """Status 1, and the setting to change."""
    fleet.by_setting.add("stable2")
    done = fleet.run("undrain", "stable2")
    assert done.returncode == 1 and "set hosts.stable2.drained to false and run pulumi up" in done.stderr


def test_logs_asks_the_chosen_hosts(fleet: ScriptedFleet) -> None:
    """All is well on them; --role asks no others."""
    done = fleet.run("logs", "--role", "stable")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "2 logs on 2 hosts have a rule by size, and no other file grows like one\n"
    assert {host for host, _ in fleet.asked} == {"stable1", "stable2"}
    document = json.loads(fleet.run("logs", "--json").stdout)
    assert document == dict.fromkeys(("front1", "stable1", "stable2", "web1"), WATCHED)


def test_logs_finds_a_log_and_a_host_that_cannot_say(fleet: ScriptedFleet) -> None:
    """Status 1 for a log without a rule, and 3 for a host without an answer."""
    rogue = {"path": "/var/log/rogue.log", "bytes": 3 << 20, "partition": "/var/log", "reason": "no rule"}
    rogue |= {"why": "no rule of logrotate rotates it", "fix": "add it to logs.extra", "open_by": []}
    fleet.watched["web1"] = {**WATCHED, "uncovered": [rogue]}
    done = fleet.run("logs")
    assert done.returncode == 1 and "/var/log/rogue.log" in done.stdout
    for text in ("the host has no watcher yet", '"the host has no watcher yet"'):
        fleet.watched["web1"] = text
        done = fleet.run("logs", "--host", "web1")
        assert (done.returncode, done.stderr) == (3, f"habla: web1: {text}\n")


def test_jabber_force_prints_the_words_of_the_node(fleet: ScriptedFleet) -> None:
    """And JSON has them by host."""
    assert fleet.run("jabber", "force", "stable1").stdout == "stable1 serves with its own data\n"
    document = json.loads(fleet.run("jabber", "force", "stable1", "--json").stdout)
    assert document == {"host": "stable1", "output": ["stable1 serves with its own data"]}


def test_a_key_that_may_not_log_in_is_said(fleet: ScriptedFleet, tmp_path: Path) -> None:
    """Status 3 and what to do, for each host."""
    other = tmp_path / "other"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", other], check=True)
    done = habla("logs", "--host", "web1", "-i", str(other), cwd=fleet.root)
    assert done.returncode == 3 and "add the key to your SSH agent with ssh-add" in done.stderr
