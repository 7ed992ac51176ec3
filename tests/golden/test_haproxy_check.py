"""Every HAProxy config that was approved passes HAProxy's own check: Debian's for 2.x.

The real 1.3.14.10 is asked where HABLA_HAPROXY_1_3_BINARY says where it is; Debian does not package it.
"""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

import pytest
from haproxy_check import words_of_check

GOLDEN = Path(__file__).parent / "stacks"
CONFIGS = sorted(GOLDEN.glob("*/*/etc/haproxy/*.cfg"))


def _program(config: Path) -> str:
    unit = config.parents[1] / "systemd" / "system" / f"haproxy@{config.stem}.service"
    found = re.search(r"^ExecStart=(\S+)", unit.read_text("utf-8"), re.MULTILINE)
    assert found
    if found[1] == "/usr/sbin/haproxy":
        return "/usr/sbin/haproxy"
    binary = os.environ.get("HABLA_HAPROXY_1_3_BINARY", "")
    if not binary:
        pytest.skip("no HAProxy 1.3 to ask: HABLA_HAPROXY_1_3_BINARY")
    return binary


@pytest.mark.parametrize("config", CONFIGS, ids=lambda path: str(path.relative_to(GOLDEN)))
def test_haproxy_takes_every_approved_config(config: Path, tmp_path: Path) -> None:
    """``haproxy -c`` finds no fault and warns of nothing."""
    program = _program(config)
    if not shutil.which(program):
        pytest.skip("no haproxy here: make test installs it")
    files = {str(path): path.read_text("utf-8") for path in config.parent.iterdir()}
    words = words_of_check([program], str(config), files=files, directory=tmp_path)
    assert "failed" not in words and "WARNING" not in words.upper(), words
