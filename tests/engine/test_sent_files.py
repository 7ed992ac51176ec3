"""A file that is sent to a host, as the engine sees it: by its digest, wherever it is on this machine."""

from __future__ import annotations

from pathlib import Path

import pytest
from throwaway import Stack

pytestmark = pytest.mark.engine

PROGRAM = """\
source = pulumi.FileAsset({path!r})
remote.CopyToRemote('c', connection=connection(), source=source, remote_path={to!r})
"""


def test_the_same_file_at_another_place_is_no_change(remote_stack: Stack, tmp_path: Path) -> None:
    """A cache of another user, or of another machine, has the same content."""
    to = str(tmp_path / "arrived")
    first, second = tmp_path / "first.pyz", tmp_path / "elsewhere" / "second.pyz"
    second.parent.mkdir()
    for path in (first, second):
        path.write_bytes(b"the agent")
    assert remote_stack.up(PROGRAM.format(path=str(first), to=to)).ok
    assert Path(to).read_bytes() == b"the agent"
    Path(to).unlink()
    result = remote_stack.up(PROGRAM.format(path=str(second), to=to))
    assert result.ok, result.output
    assert not Path(to).exists()


def test_the_state_has_the_digest_and_not_the_content(remote_stack: Stack, tmp_path: Path) -> None:
    """The engine writes the whole state at every step."""
    path = tmp_path / "large"
    path.write_bytes(b"poison-content " * 100_000)
    assert remote_stack.up(PROGRAM.format(path=str(path), to=str(tmp_path / "arrived"))).ok
    stored = "".join(each.read_text() for each in remote_stack.directory.rglob("state/**/*.json"))
    assert "poison-content" not in stored and len(stored) < 60_000
