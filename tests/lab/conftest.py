"""Fixtures of the lab's own tests; everything they make ends with them, also when a test fails."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hosts import Lab


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A lab with three hosts, made at once: two with an outside address, one without."""
    lab = Lab(tmp_path_factory.mktemp("lab") / "lab")
    try:
        lab.create("beanstalkd")
        lab.together(
            {"name": "front1", "outside_address": "203.0.113.10", "forwards": {"http": 80, "echo": 7}},
            {"name": "stable1", "outside_address": None, "forwards": {}},
            {"name": "web1", "outside_address": "203.0.113.11", "forwards": {}, "user": "operator"},
        )
        yield lab
    finally:
        lab.ask("lab-delete")


@pytest.fixture
def fresh_lab(tmp_path: Path) -> Iterator[Lab]:
    """A directory in which a test may make a lab."""
    lab = Lab(tmp_path / "lab")
    try:
        yield lab
    finally:
        lab.ask("lab-delete")
