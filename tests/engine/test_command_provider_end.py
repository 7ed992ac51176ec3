"""How the Command plugin, and an operation that it runs, ends."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest
from throwaway import Stack, is_stand_in, remote_command

pytestmark = pytest.mark.engine


def providers(home: Path) -> set[int]:
    """The processes that run with this PULUMI_HOME and serve the plugin."""
    found = set()
    for process in Path("/proc").glob("[0-9]*"):
        try:
            environment = (process / "environ").read_bytes()
            command = (process / "cmdline").read_bytes()
        except OSError:
            continue
        if f"PULUMI_HOME={home}".encode() in environment and b"from standin" in command:
            found.add(int(process.name))
    return found


def test_the_plugin_ends_when_its_engine_is_killed(stack: Stack) -> None:
    """A killed engine cannot tell its plugins to go; the stand-in notices by itself."""
    if not is_stand_in():
        pytest.skip("the official plugin has its own way, which takes minutes")
    home = Path(stack.environment["PULUMI_HOME"])
    stack.program("local.Command('c', create='sleep 30')\n")
    engine = stack.start("up", "--yes", "--skip-preview", "--stack", "test")
    deadline = time.monotonic() + 30
    while not providers(home):
        assert time.monotonic() < deadline, "the plugin was not started"
        time.sleep(0.05)
    os.kill(engine.pid, signal.SIGKILL)
    engine.wait()
    deadline = time.monotonic() + 10
    while providers(home):
        assert time.monotonic() < deadline, "the plugin outlived its engine"
        time.sleep(0.05)


def test_an_interrupted_update_waits_for_a_remote_command(remote_stack: Stack, tmp_path: Path) -> None:
    """Nobody can end a command on another host for certain, so its result goes into the state."""
    begun, finish = tmp_path / "begun", tmp_path / "finish"
    command = f"touch {begun}; while [ ! -e {finish} ]; do sleep 0.05; done; echo finished"
    remote_stack.program(remote_command(f"create={command!r}"))
    engine = remote_stack.start("up", "--yes", "--skip-preview", "--stack", "test")
    try:
        deadline = time.monotonic() + 30
        while not begun.exists():
            assert time.monotonic() < deadline, "the command was not started"
            time.sleep(0.05)
        os.kill(engine.pid, signal.SIGINT)
        time.sleep(1)
        assert engine.poll() is None, "the engine did not wait"
    finally:
        finish.touch()
        engine.communicate(timeout=30)
    assert remote_stack.output("c", "stdout") == "finished"
