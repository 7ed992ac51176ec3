"""Fixtures of the lab's own tests; everything they make ends with them, also when a test fails."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from clients import Jabber
from fleet import STABLE, Fleet, deployed_fleet
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


@pytest.fixture(scope="session")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """The lab's fleet, deployed once for all tests; who changes it takes its changes back."""
    with deployed_fleet(tmp_path_factory.mktemp("fleet")) as fleet:
        yield fleet


@pytest.fixture(scope="session")
def jabber(fleet: Fleet) -> Iterator[Jabber]:
    """XMPP clients of the fleet, with accounts."""
    with fleet.program("xmpp.py") as program:
        jabber = Jabber(fleet.lab, program, STABLE)
        jabber.register()
        yield jabber


@pytest.fixture
def pair(jabber: Jabber) -> Iterator[tuple[str, str]]:
    """Two users who are connected to different nodes."""
    yield jabber.pair()
    jabber.log_out()
