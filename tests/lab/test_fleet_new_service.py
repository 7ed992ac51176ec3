"""A service that habla does not have, added to the fleet as one module and one list entry."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from fleet import Fleet
from hosts import wait_for

pytestmark = pytest.mark.lab
GUESTBOOK = Path(__file__).parents[1] / "unit" / "guestbook.py"
ADD = """\
from guestbook import Guestbook

from habla.services import catalog

catalog.SERVICES = (*catalog.SERVICES, Guestbook)
"""
HABLA = (
    "import sys; sys.path.insert(0, '.'); import add_guestbook; from habla.cli import main; sys.exit(main())"
)


@pytest.fixture(scope="module")
def extended(fleet: Fleet) -> Iterator[Fleet]:
    """The fleet with the guest book on its web host; it is taken out again."""
    program = fleet.project / "__main__.py"
    before = program.read_text()
    try:
        shutil.copy(GUESTBOOK, fleet.project)
        (fleet.project / "add_guestbook.py").write_text(ADD)
        program.write_text(f"import add_guestbook\n{before}")
        fleet.up()
        yield fleet
    finally:
        program.write_text(before)
        fleet.up()


def habla(fleet: Fleet, *words: str, status: int = 0) -> str:
    """The ``habla`` command with the longer list, which must end with this status; its stdout."""
    done = subprocess.run(
        [sys.executable, "-c", HABLA, *words],
        cwd=fleet.project,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == status, done.stderr
    return done.stdout


def states(fleet: Fleet, status: int = 0) -> list[str]:
    """What ``habla status`` says of the guest book's servers."""
    rows = (line.split() for line in habla(fleet, "status", "-s", "lab", status=status).splitlines())
    return [f"{row[3]} {row[4]}" for row in rows if row[2] == "guestbook"]


def test_visitors_reach_it_through_haproxy_and_its_log_is_covered(extended: Fleet) -> None:
    """Its data is served, and no file of it lacks a rule."""
    extended.ssh("web1", "echo hello >/var/lib/guestbook/entries")
    wait_for(lambda: extended.http("/guestbook")[:2] == (200, b"hello\n"), 30, "the entry in the guest book")
    assert "size 2M" in extended.ssh("web1", "cat /etc/logrotate.d/guestbook")
    said = habla(extended, "logs", "-s", "lab")
    assert "/var/log/guestbook" not in said and "/var/lib/guestbook" not in said


def test_it_is_in_the_status_and_goes_away_with_a_drained_host(extended: Fleet) -> None:
    """The commands know it without an edit."""
    assert states(extended) == ["web1 UP"]
    try:
        habla(extended, "drain", "-s", "lab", "web1")
        # There is one web host, so the command also finds that nobody is left.
        assert states(extended, status=1) == ["web1 DRAIN"]
    finally:
        habla(extended, "undrain", "-s", "lab", "web1")
    assert states(extended) == ["web1 UP"]


def test_it_leaves_nothing_but_its_data(extended: Fleet) -> None:
    """A second deployment changes nothing; its files belong to it."""
    assert extended.up().changed == 0
    assert (
        extended.ssh("web1", "stat -c %U /var/lib/guestbook /var/log/guestbook").split() == ["guestbook"] * 2
    )
