"""What the ``habla`` command loads, which decides how fast it starts."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from habla_command import ROOT, environment, project

from habla.cli.command_table import COMMANDS

# Runs the command as its script does, and then prints the modules that are loaded.
_LOADED = """\
import contextlib, json, os, sys
from habla.cli import main
with contextlib.suppress(SystemExit), open(os.devnull, "w") as sink:
    with contextlib.redirect_stdout(sink), contextlib.redirect_stderr(sink):
        main()
print(json.dumps(sorted(sys.modules)))
"""
pytestmark = pytest.mark.slow
NAMES = [name for commands in COMMANDS.values() for name in commands]
# The arguments that a command needs, where it needs some.
ARGUMENTS = {
    "init": ["trial"],
    "drain": ["web9"],
    "undrain": ["web9"],
    "jabber force": ["web9"],
    "maintenance on": ["www"],
    "maintenance off": ["www"],
    "lab ssh": ["web9"],
    "completion": ["bash"],
}
LIBRARIES = {"asyncio", "asyncssh", "grpc", "netaddr", "pulumi", "pulumi_command", "pydantic", "rich", "yaml"}


def loaded(*arguments: str, cwd: Path = ROOT, **changes: str) -> set[str]:
    """The modules that a run of ``habla`` has loaded at its end."""
    done = subprocess.run(
        [sys.executable, "-c", _LOADED, *arguments],
        cwd=cwd,
        env=environment(**changes),
        capture_output=True,
        text=True,
        check=True,
    )
    return set(json.loads(done.stdout))


def rooms(modules: set[str]) -> set[str]:
    """The modules of habla outside of the command itself."""
    return {name for name in modules if name.startswith("habla.") and not name.startswith("habla.cli")}


@pytest.mark.parametrize(
    "arguments",
    [["--help"], ["--version"], ["lab"], ["rendr"], *([*name.split(), "--help"] for name in NAMES)],
    ids=" ".join,
)
def test_help_loads_no_library_and_no_planner(arguments: list[str]) -> None:
    """Help is printed at once because only click and no other room of habla is loaded."""
    modules = loaded(*arguments)
    assert not modules & LIBRARIES
    assert "click" in modules and rooms(modules) == {"habla.errors"}


@pytest.mark.parametrize(
    "words", ["habla ", "habla render --", "habla render -s lab --host ", "habla drain -s "]
)
def test_completion_loads_no_library_but_yaml(words: str) -> None:
    """A shell waits for it at every press of Tab."""
    count = len(words.split())
    modules = loaded(_HABLA_COMPLETE="bash_complete", COMP_WORDS=words, COMP_CWORD=str(count))
    assert not modules & (LIBRARIES - {"yaml"})
    assert "click.shell_completion" in modules and rooms(modules) == {"habla.errors"}


def test_the_script_for_a_shell_loads_no_library() -> None:
    """A shell evaluates it at every start."""
    modules = loaded("completion", "bash")
    assert not modules & LIBRARIES and rooms(modules) == {"habla.errors"}


@pytest.mark.parametrize("name", NAMES)
def test_no_command_loads_pulumi_or_an_ssh_library(name: str, tmp_path: Path) -> None:
    """The command works where neither Pulumi nor asyncssh is installed."""
    root = project(tmp_path / "project", "lab")
    modules = loaded(*name.split(), *ARGUMENTS.get(name, []), cwd=root)
    assert not modules & {"asyncssh", "grpc", "pulumi", "pulumi_command", "habla.components"}
    # It did its work: all but one command make a plan, or read the settings.
    assert ("habla.settings" in modules) == (name != "completion")


@pytest.mark.parametrize(
    "arguments", [["render"], ["addresses"], ["dns"], ["logs", "--bounds"]], ids=" ".join
)
def test_commands_that_ask_no_host_load_neither_ssh_nor_the_lab(arguments: list[str]) -> None:
    """A command loads only the modules that it needs; rich is for terminals."""
    modules = loaded(*arguments, "-s", "lab")
    assert not [name for name in modules if name.startswith(("habla.lab", "rich"))]
    if arguments != ["logs", "--bounds"]:
        assert "habla.cli.ssh" not in modules
