"""What all commands of ``habla`` have in common: help, faults, exit statuses, tables, progress."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import textwrap
import time
import tomllib
import types
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from habla_command import HABLA, ROOT, environment, habla, on_terminal, remote_project

import habla as library
from habla import cli
from habla.cli import main
from habla.cli.command_options import ExampleCommand
from habla.cli.command_table import COMMANDS, GROUPS, load
from habla.cli.exit_status import MEANINGS, ExitStatus
from habla.cli.invocation import Invocation
from toolchain.cli_docs import PATH, page

NAMES = [name for commands in COMMANDS.values() for name in commands]
each_command = pytest.mark.parametrize("name", NAMES)


@each_command
def test_help_of_a_command_ends_with_examples_that_parse(name: str) -> None:
    """Each example is a command line of that command, with options that exist."""
    done = habla(*name.split(), "--help")
    assert done.returncode == 0 and done.stderr == ""
    command = load(name)
    assert isinstance(command, ExampleCommand) and command.examples
    assert all(example in done.stdout for example in command.examples)
    for example in command.examples:
        words = example.partition(f"habla {name}")[2].split('"')[0].split(")")[0]
        words = words.partition(" > ")[0].partition(" && ")[0].partition(" || ")[0]
        command.make_context(name, words.split(), obj=Invocation())


def test_help_names_every_command_and_exit_status() -> None:
    """``habla --help`` is the whole table; a group has its own."""
    text = habla("--help").stdout
    for name in NAMES:
        assert f"\n  {name.split()[0]} " in text
    for group in GROUPS:
        shown = habla(group, "--help").stdout
        assert all(f"\n  {name.split()[1]} " in shown for name in NAMES if name.startswith(f"{group} "))
    assert all(f"{status:d} " in text and meaning.split()[0] in text for status, meaning in MEANINGS.items())
    assert set(MEANINGS) == set(ExitStatus)


def test_no_line_of_help_is_wider_than_the_terminal() -> None:
    """Examples included, at 80 columns."""
    for name in ["", *NAMES]:
        lines = habla(*name.split(), "--help", COLUMNS="80").stdout.splitlines()
        assert [line for line in lines if len(line) > 80] == []


def test_the_documentation_is_that_of_the_commands() -> None:
    """Run ``python -m toolchain.cli_docs`` after a change of a command."""
    assert PATH.read_text("utf-8") == page()


def test_the_version_comes_from_one_place() -> None:
    """pyproject.toml has it; the library and the command show it."""
    version = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["version"]
    assert library.__version__ == version
    assert habla("--version").stdout == f"habla {version}\n"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["rendr"], "rendr: there is no such command\n  fix:  did you mean render?"),
        (["xyz"], "xyz: there is no such command\n  fix:  see habla --help"),
        (["lab", "sumary"], "sumary: there is no such command\n  fix:  did you mean summary?"),
        (["render", "--hst", "web1"], "--hst: there is no such option\n  fix:  did you mean --host?"),
        (["render", "--zzz"], "--zzz: there is no such option\n  fix:  see habla render --help"),
        (["render", "--host"], "option '--host' requires an argument\n  fix:  see habla"),
        (["drain", "-s", "lab"], "HOST: the argument is missing\n  fix:  see habla drain --help"),
        (["maintenance", "on", "ww"], "INSTANCE: 'ww' is not one of www\n  fix:  did you mean www?"),
        (["dns", "more"], "got unexpected extra argument (more)\n  fix:  see habla dns --help"),
        (["completion", "basj"], "SHELL: 'basj' is not one of bash, zsh, fish\n  fix:  did you mean bash?"),
        (["-C", "/nonexistent", "dns"], "--directory: Directory '/nonexistent' does not exist"),
        (["-C", "/", "dns"], "no Pulumi.yaml beside stacks/ in / or above"),
    ],
)
def test_wrong_usage_is_one_fault_with_a_fix(words: list[str], said: str) -> None:
    """Exit status 2, nothing on standard output, no usage text."""
    done = habla(*words)
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr.startswith(f"habla: {said}"), done.stderr


@pytest.mark.parametrize("words", [[], ["lab"], ["jabber"], ["maintenance"]])
def test_a_command_without_its_rest_prints_help(words: list[str]) -> None:
    """On standard error, with the status of wrong usage."""
    done = habla(*words)
    assert done.returncode == 2 and done.stdout == "" and done.stderr.startswith("Usage: habla")


def test_the_module_is_the_command() -> None:
    """``python -m habla.cli`` does the same."""
    line = [sys.executable, "-m", "habla.cli", "--help"]
    done = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, check=True, env=environment())
    assert done.stdout == habla("--help").stdout


def test_a_reader_who_has_seen_enough_is_no_error() -> None:
    """As in ``habla render | head -1``: no traceback, and the status that a shell gives for it."""
    command = f"{HABLA} render -s lab | head -1; exit ${{PIPESTATUS[0]}}"
    line = ["bash", "-c", command]
    done = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, check=False, env=environment())
    assert done.returncode == ExitStatus.PIPE_CLOSED == 128 + signal.SIGPIPE
    assert done.stderr == "" and done.stdout.startswith("--- front1:")


def test_a_fault_of_habla_itself_has_a_status_of_its_own(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Python's status for it would mean that the command found something."""
    monkeypatch.setitem(COMMANDS["Before a deployment"], "dns", "no_such_module")
    assert main(["dns"]) == ExitStatus.BROKEN
    said = capsys.readouterr().err
    assert said.startswith("Traceback") and said.endswith("please report it with the lines above\n")


def test_the_pattern_for_a_new_command_works(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The module in the docstring of habla.cli and one line in the table are a command."""
    example = (cli.__doc__ or "").partition("one function::")[2].partition("A name of two words")[0]
    code = textwrap.dedent(example)
    imports = (
        "from habla.cli.command_options import command, host_filters, report_options, stack_option\n"
        "from habla.cli.invocation import Invocation\n"
        "from habla.cli.result import Result, Table\n"
    )
    module = types.ModuleType("habla.cli.count_verb")
    exec(f"{imports}{code}", module.__dict__)
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setitem(COMMANDS["Look at the hosts"], "count", "count_verb")
    assert main(["-C", str(ROOT), "count", "-s", "lab", "--role", "web"]) == 0
    head, row = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert head == ["host", "services"] and row[0] == "web1" and int(row[1]) > 0
    assert main(["-C", str(ROOT), "count", "-s", "lab", "--host", "web1", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"web1": int(row[1])}
    assert main(["--help"]) == 0
    assert "  count        Count the services on each host.\n" in capsys.readouterr().out


@contextmanager
def silent_server() -> Iterator[int]:
    """A server that accepts connections and says nothing; its port."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.mark.skipif(not Path("/usr/bin/ssh").exists(), reason="there is no ssh on this machine")
def test_ctrl_c_ends_a_command_that_waits(tmp_path: Path) -> None:
    """It says what it waits for after two seconds; Ctrl-C ends it with status 130 and no traceback."""
    with silent_server() as port:
        root = remote_project(tmp_path / "project", port)
        process = subprocess.Popen(
            # A shell without job control has its background jobs ignore SIGINT, such as the run of all tests.
            ["env", "--default-signal=INT", HABLA, "status"],
            cwd=root,
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        assert process.stderr is not None
        started = time.monotonic()
        assert process.stderr.readline() == "habla: asking front1 …\n"
        assert time.monotonic() - started > 2
        # A terminal sends it to every process of the group.
        os.killpg(process.pid, signal.SIGINT)
        out, err = process.communicate(timeout=10)
    assert (process.returncode, out, err) == (ExitStatus.INTERRUPTED, "", "habla: interrupted\n")
    assert ExitStatus.INTERRUPTED == 128 + signal.SIGINT


@pytest.mark.parametrize("columns", [80, 120])
def test_a_table_fits_the_terminal(columns: int) -> None:
    """No line is longer than the terminal, and no word is lost; a pipe gets one line for each row."""
    words = ("logs", "-s", "production", "--bounds")
    piped = habla(*words).stdout
    shown = on_terminal(*words, columns=columns, NO_COLOR="1")
    assert max(map(len, piped.splitlines())) > 80
    assert max(map(len, shown)) <= columns
    assert sorted("".join(shown).replace(" ", "")) == sorted("".join(piped.split()))


def test_colours_are_for_terminals_that_want_them() -> None:
    """A terminal gets them; a terminal with NO_COLOR and a pipe do not."""
    words = ("logs", "-s", "lab", "--bounds", "--host", "web1")
    escape = "\x1b["
    assert escape in "".join(on_terminal(*words, columns=100))
    assert escape not in "".join(on_terminal(*words, columns=100, NO_COLOR="1"))
    assert escape not in habla(*words).stdout
    assert escape not in habla(*words, FORCE_COLOR="1", CLICOLOR_FORCE="1").stdout
