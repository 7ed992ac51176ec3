"""How the tests are dealt out to several workers (``pytest -n 2 --dist loadfile``)."""

from __future__ import annotations

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files that take minutes are dealt out first, so that no worker is left with one at the end."""
    items.sort(key=lambda item: (item.path.parent.name != "lab", "fleet" not in item.path.name))
