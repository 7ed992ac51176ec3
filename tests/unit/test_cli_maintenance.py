"""Maintenance, and servers that a config leaves out: the commands, with hosts that answer by a script."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeAlias

import pytest
import yaml
from example_apps import free_port
from habla_command import on_terminal
from scripted_fleet import ScriptedFleet, scripted_fleet

from habla.cli import main, maintenance

# Runs ``habla maintenance WORD www``. Returns its exit status, standard output and standard error.
Impatient: TypeAlias = Callable[[str], tuple[int, str, str]]

pytestmark = [
    pytest.mark.skipif(shutil.which("ssh") is None, reason="there is no ssh on this machine"),
    pytest.mark.slow,
]

WORDS = "front1: www is in maintenance; end it with habla maintenance off www"


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[ScriptedFleet]:
    with scripted_fleet(tmp_path) as fleet:
        yield fleet


def states(fleet: ScriptedFleet, *words: str) -> dict[str, str]:
    """BACKEND/SERVER -> state, in the order of the table."""
    rows = json.loads(fleet.run("status", "--json", *words).stdout)["servers"]
    return {f"{row['backend']}/{row['server']}": row["state"] for row in rows}


@pytest.fixture
def impatient(
    fleet: ScriptedFleet, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Impatient:
    """``habla maintenance WORD www`` in this process, which waits for one second only."""
    monkeypatch.setattr(maintenance, "_SEEN", 1.0)

    def run_here(word: str) -> tuple[int, str, str]:
        words = ("maintenance", word, "www", "-s", "remote", "-i", str(fleet.identity))
        status = main(["-C", str(fleet.root), *words])
        return status, *capsys.readouterr()

    return run_here


def add_front_host(fleet: ScriptedFleet) -> None:
    """Add a front host to the stack that nobody can reach."""
    path = fleet.root / "stacks" / "Pulumi.remote.yaml"
    stack = yaml.safe_load(path.read_text())
    front = stack["config"]["habla:hosts"]["front1"]
    stack["config"]["habla:hosts"]["front2"] = {
        **front,
        "services": ["haproxy"],
        "outside_address": "203.0.113.11",
        "ssh": {**front["ssh"], "port": free_port()},
    }
    path.write_text(yaml.safe_dump(stack))


def test_status_has_a_row_for_each_server_that_is_left_out(fleet: ScriptedFleet) -> None:
    """With the reason as its state, without numbers or a check; one round trip brings all of it."""
    fleet.left_out = {"jabber": {"c2s/stable1": "drained"}, "www": {"static/stable2": "down"}}
    done = fleet.run("status")
    assert (done.returncode, done.stderr, len(fleet.asked)) == (0, "", 1)
    lines = [line.split() for line in done.stdout.splitlines()]
    assert [line[3] for line in lines[1:]] == ["stable1", "stable2", "web1", "stable1", "stable2"]
    assert lines[2] == ["front1", "www", "static", "stable2", "LEFT", "OUT", "(down)", "0", "0"]
    assert lines[4] == ["front1", "jabber", "c2s", "stable1", "LEFT", "OUT", "(drained)", "0", "0"]
    (row,) = json.loads(fleet.run("status", "--json", "--host", "stable2").stdout)["servers"][:1]
    assert row == {
        "front": "front1",
        "instance": "www",
        "backend": "static",
        "server": "stable2",
        "state": "LEFT OUT (down)",
        "sessions": 0,
        "queue": 0,
        "check": "",
    }


def test_a_backend_whose_servers_are_all_left_out_has_none_left(fleet: ScriptedFleet) -> None:
    """Status 1, as if they were down."""
    fleet.left_out = {"www": {"web/web1": "drained"}}
    done = fleet.run("status", "--quiet")
    assert (done.returncode, done.stderr) == (1, "habla: front1: backend web of www has no server left\n")


def test_rows_of_left_out_servers_fit_a_terminal(fleet: ScriptedFleet) -> None:
    """Each server takes one line at 80 columns, in maintenance too."""
    fleet.maintenance = True
    words = ("status", "-i", str(fleet.identity))
    lines = on_terminal(*words, columns=80, cwd=fleet.root, NO_COLOR="1")
    assert max(map(len, lines)) <= 80
    assert sum("LEFT OUT (maintenance)" in line for line in lines) == 3


def test_undrain_waits_for_the_reload_that_brings_a_server_back(fleet: ScriptedFleet) -> None:
    """A server that is left out, or that is in neither config for a moment, is not back in rotation."""
    left_out = {"jabber": {"c2s/stable1": "drained"}}
    fleet.left_out = dict(left_out)
    done = fleet.run("drain", "stable1")
    assert done.returncode == 0 and done.stdout.startswith("stable1 is drained: HAProxy sends it nothing new")

    def during_the_reload() -> None:
        fleet.missing.add("c2s/stable1")
        fleet.left_out.clear()

    fleet.turns = [lambda: None, lambda: None, during_the_reload, lambda: None, fleet.missing.clear]
    fleet.asked.clear()
    done = fleet.run("undrain", "stable1")
    assert (done.returncode, done.stdout) == (0, "stable1 is in rotation\n")
    assert (fleet.turns, len(fleet.asked)) == ([], 6)


def test_maintenance_on_and_off(fleet: ScriptedFleet) -> None:
    """The words and the JSON of both; one round trip does it and the next ones ask."""
    fleet.reloading = 2
    done = fleet.run("maintenance", "on", "www")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "www of front1 answers 503 with Retry-After\n"
    assert fleet.maintenance and len(fleet.asked) == 4, "it waits for the process with the new config"
    fleet.reloading = 2
    fleet.asked.clear()
    done = fleet.run("maintenance", "off", "www")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "www of front1 sends requests to servers again\n"
    assert not fleet.maintenance and len(fleet.asked) == 4
    for word in ("on", "off"):
        document = json.loads(fleet.run("maintenance", word, "www", "--json").stdout)
        assert document == {
            "instance": "www",
            "maintenance": word == "on",
            "fronts": ["front1"],
            "faults": [],
        }


def test_maintenance_may_be_switched_twice(fleet: ScriptedFleet) -> None:
    """The second time says the same and changes nothing; --quiet says nothing."""
    for word in ("on", "off"):
        first = fleet.run("maintenance", word, "www")
        again = fleet.run("maintenance", word, "www")
        assert first.returncode == 0
        assert (again.returncode, again.stdout, again.stderr) == (0, first.stdout, "")
        quiet = fleet.run("maintenance", word, "www", "--quiet")
        assert (quiet.returncode, quiet.stdout, quiet.stderr) == (0, "", "")


def test_status_says_maintenance_once_for_each_instance(fleet: ScriptedFleet) -> None:
    """Status 1 and the command that ends it, in place of a fault for each backend."""
    assert fleet.run("maintenance", "on", "www").returncode == 0
    done = fleet.run("status", "--quiet")
    assert (done.returncode, done.stdout, done.stderr) == (1, "", f"habla: {WORDS}\n")
    document = json.loads(fleet.run("status", "--json").stdout)
    assert document["maintenance"] == [{"front": "front1", "instance": "www"}]
    assert document["faults"] == [WORDS]
    assert states(fleet) == {
        "static/stable1": "LEFT OUT (maintenance)",
        "static/stable2": "LEFT OUT (maintenance)",
        "web/web1": "LEFT OUT (maintenance)",
        "c2s/stable1": "UP",
        "c2s/stable2": "UP",
    }
    fleet.down = {"stable1", "stable2"}
    done = fleet.run("status", "--quiet")
    assert done.stderr == f"habla: {WORDS}\nhabla: front1: backend c2s of jabber has no server left\n"
    for host in ("front1", "web1"):
        assert WORDS in fleet.run("status", "--host", host).stderr
    fleet.down.clear()
    assert fleet.run("maintenance", "off", "www").returncode == 0
    document = json.loads(fleet.run("status", "--json").stdout)
    assert (document["maintenance"], document["faults"]) == ([], [])


def test_a_host_is_drained_and_undrained_during_maintenance(fleet: ScriptedFleet) -> None:
    """Neither command waits for the instance in maintenance, and both say that it is."""
    assert fleet.run("maintenance", "on", "www").returncode == 0
    for word in ("drain", "undrain"):
        done = fleet.run(word, "stable1")
        assert done.returncode == 0
        assert "note: front1: www is in maintenance until habla maintenance off www\n" in done.stderr
    assert states(fleet)["c2s/stable1"] == "UP"


def test_a_front_host_that_cannot_be_reached_does_not_stop_the_others(fleet: ScriptedFleet) -> None:
    """Status 3 with the reason, and JSON has the front hosts where it is done."""
    add_front_host(fleet)
    for word in ("on", "off"):
        done = fleet.run("maintenance", word, "www", "--json")
        assert done.returncode == 3
        document = json.loads(done.stdout)
        assert document["fronts"] == ["front1"] and fleet.maintenance == (word == "on")
        (fault,) = document["faults"]
        assert fault.startswith("front2: ssh cannot reach root@127.0.0.1") and fault in done.stderr


def test_a_backend_without_a_server_after_maintenance_is_said(
    fleet: ScriptedFleet, impatient: Impatient
) -> None:
    """Status 1 after a wait for one, with the backend."""
    fleet.maintenance = True
    fleet.down.add("web1")
    assert impatient("off") == (
        1,
        "www of front1 sends requests to servers again\n",
        "habla: front1: backend web of www has no server left\n",
    )


def test_an_instance_that_keeps_its_config_is_said(fleet: ScriptedFleet, impatient: Impatient) -> None:
    """Status 3 when HAProxy refuses the other config, with the journal to read."""
    for word, words in (("on", "still sends requests to servers"), ("off", "is still in maintenance")):
        fleet.reloading = 1000
        journal = "read journalctl -u haproxy@www.service on front1"
        assert impatient(word) == (3, "", f"habla: front1: www {words} after 1 s; {journal}\n")
