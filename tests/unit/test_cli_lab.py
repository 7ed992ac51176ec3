"""``habla lab`` and the commands that reach hosts, in a lab whose hosts do not run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from habla_command import habla, project

from habla.cli.command_table import load
from habla.cli.invocation import Invocation
from habla.lab.paths import LabPaths
from habla.lab.records import HostRecord, LabConfig, write_config, write_host


@pytest.fixture
def stopped(tmp_path: Path) -> Path:
    """A project with a lab that has not run since this machine started."""
    root = project(tmp_path / "project", "lab")
    paths = LabPaths.of(root / ".lab")
    paths.hosts.mkdir(parents=True)
    write_config(paths, LabConfig())
    for index, name in enumerate(("front1", "stable1", "stable2", "web1", "monitor1"), 1):
        paths.host(name).mkdir()
        write_host(paths, HostRecord(name, index, image="image", machine_id=f"{index:032}"))
    return root


def test_the_summary_shows_hosts_that_do_not_run(stopped: Path) -> None:
    """With the services that they would run; --role chooses some of them."""
    done = habla("lab", "summary", "--role", "stable", cwd=stopped)
    assert done.returncode == 0, done.stderr
    head, *lines = done.stdout.splitlines()
    assert head.split() == ["host", "role", "address", "state", "services"]
    assert [line.split()[:4] for line in lines[:2]] == [
        ["stable1", "stable", "192.168.2.100", "stopped"],
        ["stable2", "stable", "192.168.2.101", "stopped"],
    ]
    assert "jabber" in lines[0] and lines[2] == ""
    assert lines[-1].split("  ")[0].endswith("habla lab ssh -s lab stable1")
    assert "operators' console  http://www.hab.localhost:20080/operator" in done.stdout
    assert "support@hab.localhost / ?" in done.stdout
    assert max(len(line) for line in lines if "/habla " not in line) <= 100
    document = json.loads(habla("lab", "summary", "--json", cwd=stopped).stdout)
    assert {host["name"]: host["state"] for host in document["hosts"]}["web1"] == "stopped"


@pytest.mark.parametrize("words", [["status"], ["logs"], ["drain", "web1"], ["lab", "ssh", "web1", "true"]])
def test_hosts_that_do_not_run_are_said_to_be_stopped(words: list[str], stopped: Path) -> None:
    """Exit status 3, and how to start them."""
    done = habla(*words, cwd=stopped)
    assert done.returncode == 3 and "Traceback" not in done.stderr
    assert (
        f"the lab does not run; start it with: python -m habla.lab start --dir {stopped}/.lab" in done.stderr
    )


def test_an_unknown_host_of_the_lab_is_refused(stopped: Path) -> None:
    """With the one that is most like it."""
    done = habla("lab", "ssh", "wbe1", "true", cwd=stopped)
    assert done.returncode == 2 and "did you mean web1?" in done.stderr


@pytest.mark.parametrize(
    ("words", "command"),
    [
        (["web1", "ls", "-la", "--json"], ("ls", "-la", "--json")),
        (["web1", "--", "ls", "-s", "x"], ("--", "ls", "-s", "x")),
        (["web1"], ()),
    ],
)
def test_the_words_after_the_host_are_a_command_of_the_host(
    words: list[str], command: tuple[str, ...]
) -> None:
    """Its options are not those of habla."""
    context = load("lab ssh").make_context("ssh", ["-s", "lab", *words], obj=Invocation())
    assert context.params == {"host": "web1", "words": command}
