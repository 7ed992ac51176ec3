"""A large archive on the real engine: it is a file of the host, and no part of the state."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from hosts import Lab

from stacks import PULUMI, Stack

pytestmark = pytest.mark.lab

_BYTES = 200_000_000
_APP = {
    "roles": ["web"],
    "command": ["/bin/sh", "-c", "exec /usr/bin/sleep infinity"],
    "archive": {"path": "large"},
}


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    """A host whose program comes in an archive of 200 MB; nothing is deployed yet."""
    if not PULUMI.exists():
        pytest.skip("no pulumi CLI: make toolchain")
    lab = Lab(tmp_path / "lab")
    try:
        lab.create("logrotate")
        lab.together({"name": "one", "outside_address": None, "forwards": {}})
        found = Stack(tmp_path / "project", lab, {"apps": {"large": _APP}}, {"web1": "one"})
        found.settings["hosts"] = {"web1": {"role": "web"}}
        (found.directory / "large").mkdir()
        yield found
        found.destroy()
    finally:
        lab.ask("lab-delete")


def test_an_archive_of_200_mb_arrives_whole(stack: Stack) -> None:
    """Every byte is on the host, the state stays small, and a second deployment sends nothing."""
    content = random.Random(1).randbytes(_BYTES)
    (stack.directory / "large" / "data").write_bytes(content)
    done = stack.up()
    assert done.ok, done.output
    found = stack.lab.run("one", "sha256sum /opt/habla/large/data")
    assert found.split()[0] == hashlib.sha256(content).hexdigest()
    assert stack.lab.run("one", "find /root -size +1M") == ""
    state = stack.directory / "state/.pulumi/stacks/test/test.json"
    assert state.stat().st_size < 200_000
    again = stack.up()
    assert again.unchanged, again.output
