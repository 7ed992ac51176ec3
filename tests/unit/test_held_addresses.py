"""The file that keeps the addresses of hosts."""

from __future__ import annotations

from ipaddress import IPv4Address
from pathlib import Path

import pytest

from habla.errors import Faults
from habla.plan.stack_files import read_held, write_held


def test_held_addresses_survive_being_written_and_read(tmp_path: Path) -> None:
    """The file is written once and is then left alone while nothing changes."""
    (tmp_path / "stacks").mkdir()
    held = {"b": IPv4Address("192.168.2.101"), "a": IPv4Address("192.168.2.100")}
    assert write_held(tmp_path, "t", addresses=held)
    assert read_held(tmp_path, "t") == held
    assert not write_held(tmp_path, "t", addresses=held)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: 192.168.2.300\n", "a: not an address (192.168.2.300)"),
        ("a: 192.168.2.007\n", "a: not an address (192.168.2.007)"),
        ("a: 192.168.2.1\nb: 192.168.2.2\na: 192.168.2.3\n", ":3:1: the same key twice (a)"),
        ("- a\n", ":1:1: not a mapping"),
        ("<<<<<<< HEAD\na: 192.168.2.1\n", ":2:2: not YAML"),
    ],
)
def test_held_addresses_that_cannot_be_read_are_an_error(tmp_path: Path, text: str, words: str) -> None:
    """Guessing here would renumber hosts: a wrong address, a merge gone wrong, another form."""
    (tmp_path / "stacks").mkdir()
    (tmp_path / "stacks" / "addresses.t.yaml").write_text(text)
    with pytest.raises(Faults) as caught:
        read_held(tmp_path, "t")
    assert words in str(caught.value)
