"""How the ``habla`` command starts."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
_LOADED = """\
import contextlib, json, os, sys
from habla.cli import main
with contextlib.suppress(SystemExit), open(os.devnull, "w") as sink, contextlib.redirect_stdout(sink):
    main(sys.argv[1:])
print(json.dumps(sorted(sys.modules)))
"""


def loaded(*arguments: str) -> set[str]:
    """The modules that a run of ``habla`` has loaded at its end."""
    done = subprocess.run(
        [sys.executable, "-c", _LOADED, *arguments], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return set(json.loads(done.stdout))


@pytest.mark.parametrize("arguments", [["--help"], ["render", "--help"], ["lab", "ssh", "--help"]])
def test_help_loads_no_library_and_no_planner(arguments: list[str]) -> None:
    """Help is printed at once because no third-party library and no other room of habla is loaded."""
    modules = loaded(*arguments)
    assert not modules & {"asyncio", "asyncssh", "pulumi", "pydantic", "yaml"}
    rooms = {name for name in modules if name.startswith("habla.") and not name.startswith("habla.cli")}
    assert rooms == {"habla.errors"}


@pytest.mark.parametrize(
    "arguments", [["render", "-s", "lab"], ["addresses", "-s", "lab"], ["logs", "-s", "lab", "--bounds"]]
)
def test_no_verb_loads_pulumi_or_an_ssh_library(arguments: list[str]) -> None:
    """The command works where neither Pulumi nor asyncssh is installed."""
    assert not loaded(*arguments) & {"asyncssh", "grpc", "pulumi", "pulumi_command"}


@pytest.mark.parametrize("verb", ["render", "addresses"])
def test_verbs_that_ask_no_host_load_neither_ssh_nor_the_lab(verb: str) -> None:
    """A verb loads only the modules that it needs."""
    modules = loaded(verb, "-s", "lab")
    assert not [name for name in modules if name.startswith(("habla.cli.ssh", "habla.lab"))]
