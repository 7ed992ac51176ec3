"""The file that keeps the addresses of hosts."""

from __future__ import annotations

from ipaddress import IPv4Address
from pathlib import Path

import pytest

from habla.plan.stack_files import read_held, write_held


def test_held_addresses_survive_being_written_and_read(tmp_path: Path) -> None:
    """The file is written once and is then left alone while nothing changes."""
    (tmp_path / "stacks").mkdir()
    held = {"b": IPv4Address("192.168.2.101"), "a": IPv4Address("192.168.2.100")}
    assert write_held(tmp_path, "t", addresses=held)
    assert read_held(tmp_path, "t") == held
    assert not write_held(tmp_path, "t", addresses=held)


def test_held_addresses_that_cannot_be_read_are_an_error(tmp_path: Path) -> None:
    """Guessing here would renumber hosts."""
    (tmp_path / "stacks").mkdir()
    (tmp_path / "stacks" / "addresses.t.yaml").write_text("a: 192.168.2.300\n")
    with pytest.raises(Exception, match="cannot be read"):
        read_held(tmp_path, "t")
