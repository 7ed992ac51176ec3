"""How the tests are dealt out to several workers (``pytest -n 3 --dist loadgroup``)."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

HERE = Path(__file__).parent


def group(item: pytest.Item) -> str | None:
    """Tests of one group run on one worker, one after the other, and so share what their fixtures make."""
    if {"fleet", "jabber"} & set(getattr(item, "fixturenames", ())):
        return "fleet"
    if item.path.name.startswith("test_command_provider"):
        return None
    return str(item.path)


# First: xdist's own hook reads the marks.
@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Groups that take minutes are dealt out first, so that no worker is left with one at the end."""
    if "PYTEST_XDIST_WORKER" not in os.environ:
        return
    for item in items:
        name = group(item)
        if name is not None:
            item.add_marker(pytest.mark.xdist_group(name))
    items.sort(key=lambda item: (group(item) != "fleet", HERE / "lab" not in item.path.parents))
