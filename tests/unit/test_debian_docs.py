"""docs/debian.md names code and tests that exist, and the lab makes every release that a stack may choose."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

import pytest

from habla.lab.apt import RELEASES
from habla.settings.models import Release

ROOT = Path(__file__).parents[2]
# Cells of all tables of what habla takes for granted: what, where, on 12 and 13, when it changes, test.
_ROWS = [
    cells
    for line in (ROOT / "docs" / "debian.md").read_text("utf-8").splitlines()
    if line.startswith("| ") and len(cells := line.strip("| ").split(" | ")) == 5
]
_HEADS = [cells for cells in _ROWS if cells[0] == "what is taken for granted"]
_FACTS = [cells for cells in _ROWS if cells not in _HEADS and not cells[0].startswith("---")]


def test_the_page_has_its_tables() -> None:
    """One for each part of the fleet, each with rows."""
    assert len(_HEADS) == 6 and len(_FACTS) > 30


@pytest.mark.parametrize("cells", _FACTS, ids=[cells[0][:40] for cells in _FACTS])
def test_a_row_names_code_and_a_test_that_exist(cells: list[str]) -> None:
    """A path is one below habla, or a file beside the one that is named before it."""
    _, where, _, _, tests = cells
    directories = [ROOT / "habla"]
    for path in re.findall(r"`([\w/]+(?:\.py)?/?)`", where):
        found = [place / path for place in (*directories, ROOT) if (place / path).exists()]
        assert found, f"{path} does not exist"
        directories.append(found[0].parent)
    names = re.findall(r"`(test_\w+)`", tests)
    assert names, "no test is named"
    for name in names:
        assert list((ROOT / "tests").rglob(f"{name}.py")), f"{name} does not exist"


def test_settings_and_lab_know_the_same_releases() -> None:
    """A release that a stack may choose is one that the lab can make."""
    assert get_args(Release) == RELEASES
