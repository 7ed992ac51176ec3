"""The Command plugin on this machine: local commands, copies to a host, and what is refused."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from throwaway import Stack, is_stand_in

pytestmark = pytest.mark.engine


def _wait(condition: Callable[[], bool], seconds: float = 20) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def _lives(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def _local(arguments: str) -> str:
    return f"c = local.Command('c', {arguments})\n"


def test_create_update_delete(stack: Stack, tmp_path: Path) -> None:
    """A local command runs create, update and delete, with stdin, directory, environment and interpreter."""
    steps = f"update='echo $0 $X', delete='echo bye > gone', dir='{tmp_path}', environment={{'X': 'x'}}"
    first = stack.up(_local(f"create='cat; pwd', stdin='in ', {steps}"))
    assert first.ok, first.output
    assert stack.output("c", "stdout") == f"in {tmp_path}"
    second = stack.up(_local(f"create='cat; pwd', interpreter=['/bin/bash', '-c'], {steps}"))
    assert second.ok, second.output
    assert stack.output("c", "stdout") == "/bin/bash x"
    assert stack.destroy().ok
    assert (tmp_path / "gone").read_text() == "bye\n"


def test_previous_output(stack: Stack) -> None:
    """An update finds the previous output in its environment."""
    stack.up(_local("create='echo one; echo two >&2', update='true'"))
    stack.up(_local("create='true', update='echo $PULUMI_COMMAND_STDOUT $PULUMI_COMMAND_STDERR'"))
    assert stack.output("c", "stdout") == "one two"


def test_failure_is_shown(stack: Stack) -> None:
    """A failing local command's error has the status, the command and what it wrote."""
    result = stack.up(_local("create='echo words; exit 4'"))
    assert not result.ok
    assert "exit status 4: running" in result.output
    assert "words" in result.output


def test_missing_interpreter_is_an_error(stack: Stack) -> None:
    """An interpreter that is not there fails the command, and names it."""
    result = stack.up(_local("create='true', interpreter=['/no/such/shell']"))
    assert not result.ok
    assert "/no/such/shell" in result.output


def test_run_in_preview(stack: Stack) -> None:
    """`local.run` runs in every preview and returns its output."""
    result = stack.preview("pulumi.export('o', local.run(command='cat', stdin='for-once').stdout)")
    assert result.ok, result.output
    assert "for-once" in result.output


def test_failing_run_fails_the_program(stack: Stack) -> None:
    """A failing `local.run` is an error of the program."""
    result = stack.preview("local.run(command='echo why; exit 5')")
    assert not result.ok
    assert "exit status 5" in result.output and "why" in result.output


def test_daemon_survives(stack: Stack, tmp_path: Path) -> None:
    """A process that a command leaves in a session of its own lives on after the plugin has ended."""
    start = f"setsid sleep 60 < /dev/null > /dev/null 2>&1 & echo $! > {tmp_path}/pid"
    assert stack.up(_local(f"create='{start}'")).ok
    pid = int((tmp_path / "pid").read_text())
    try:
        assert _lives(pid)
    finally:
        os.kill(pid, signal.SIGKILL)


def test_large_data_both_ways(stack: Stack) -> None:
    """8 MB go through a command's stdin, stdout and the state."""
    result = stack.up(_local("create='cat', stdin='0123456789abcde\\n' * 524288, logging='none'"))
    assert result.ok, result.output
    assert len(stack.output("c", "stdout")) == 8 * 1024 * 1024 - 1


def test_unread_stdin_is_no_error(stack: Stack) -> None:
    """A command need not read its stdin."""
    assert stack.up(_local("create='true', stdin='x' * 2_000_000")).ok


def test_secret_input_stays_secret(stack: Stack) -> None:
    """A secret environment is a secret in the state."""
    result = stack.up(
        _local("create='test -n \"$S\"', environment={'S': pulumi.Output.secret('poison-string')}")
    )
    assert result.ok, result.output
    stored = "".join(path.read_text() for path in stack.directory.rglob("state/**/*.json"))
    assert "poison-string" not in stored + result.output


def test_cancel_ends_a_local_command(stack: Stack, tmp_path: Path) -> None:
    """An interrupted update ends the local command that runs."""
    stack.program(_local(f"create='echo $$ > {tmp_path}/pid; exec sleep 60'"))
    process = stack.start("up", "--yes", "--skip-preview", "--stack", "test")
    try:
        assert _wait(lambda: (tmp_path / "pid").exists() and bool((tmp_path / "pid").read_text().strip()))
        pid = int((tmp_path / "pid").read_text())
        os.kill(process.pid, signal.SIGINT)
        assert _wait(lambda: not _lives(pid))
        process.communicate(timeout=30)
        assert process.returncode != 0
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()


def test_unknown_input_type_is_refused(stack: Stack) -> None:
    """A logging mode that there is not is refused before anything runs."""
    result = stack.preview(_local("create='true', logging='loudly'"))
    assert not result.ok
    assert "loudly" in result.output


def test_unserved_is_refused(stack: Stack) -> None:
    """What the stand-in does not serve is refused, with what it does serve."""
    if not is_stand_in():
        pytest.skip("the official plugin serves more")
    result = stack.preview(
        "remote.CopyFile('f', connection=remote.ConnectionArgs(host='h'), local_path='a', remote_path='b')"
    )
    assert not result.ok
    assert "is not served by the stand-in" in result.output
    assert "command:remote:CopyToRemote" in result.output


def _copy(source: str, target: Path) -> str:
    arguments = f"connection=connection(), source=pulumi.{source}, remote_path='{target}'"
    return f"remote.CopyToRemote('f', {arguments})\n"


def test_copy_file(remote_stack: Stack, tmp_path: Path) -> None:
    """A file's copy gets the directories it needs, and is made again only when the content changed."""
    source, target = tmp_path / "source", tmp_path / "new" / "dir" / "target"
    source.write_bytes(bytes(range(256)) * 10_000)
    result = remote_stack.up(_copy(f"FileAsset('{source}')", target))
    assert result.ok, result.output
    assert target.read_bytes() == source.read_bytes()
    target.write_text("edited by hand")
    remote_stack.up(_copy(f"FileAsset('{source}')", target))
    assert target.read_text() == "edited by hand"
    source.write_text("changed")
    remote_stack.up(_copy(f"FileAsset('{source}')", target))
    assert target.read_text() == "changed"
    assert remote_stack.destroy().ok
    assert target.exists()


@pytest.mark.parametrize(
    ("slash", "place"), [("", "source/deep/file"), ("/", "deep/file")], ids=["dir", "dir/"]
)
def test_copy_directory(remote_stack: Stack, tmp_path: Path, slash: str, place: str) -> None:
    """A directory goes into the remote path under its name, the content of `dir/` without it."""
    (tmp_path / "source" / "deep").mkdir(parents=True)
    (tmp_path / "source" / "deep" / "file").write_text("content")
    target = tmp_path / "target"
    result = remote_stack.up(_copy(f"FileArchive('{tmp_path}/source{slash}')", target))
    assert result.ok, result.output
    assert (target / place).read_text() == "content"


def test_copy_text(remote_stack: Stack, tmp_path: Path) -> None:
    """A text asset becomes a file, and cannot replace a directory."""
    assert remote_stack.up(_copy("StringAsset('a text')", tmp_path / "text")).ok
    assert (tmp_path / "text").read_text() == "a text"
    (tmp_path / "directory").mkdir()
    result = remote_stack.up(_copy("StringAsset('b')", tmp_path / "directory"))
    assert not result.ok
    assert "is a directory" in result.output


def test_copy_refuses_a_map_of_assets(remote_stack: Stack, tmp_path: Path) -> None:
    """The plugin sends archives that are a directory or a file, and says so."""
    archive = "AssetArchive({'one': pulumi.StringAsset('1')})"
    result = remote_stack.up(_copy(archive, tmp_path / "target"))
    assert not result.ok and not (tmp_path / "target").exists()
    assert "archive must be a path to a file or directory" in result.output
