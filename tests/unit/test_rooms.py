"""The table of rooms in docs/architecture.md holds: who may import whom."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "habla"
# room -> rooms of habla that it may import; every room may import itself.
ALLOWED: dict[str, set[str]] = {
    "errors": set(),
    "onhost": set(),
    "model": {"errors", "onhost"},
    "services": {"errors", "onhost", "model"},
    "hosts": {"errors", "onhost", "model"},
    "settings": {"errors", "onhost", "model", "services", "hosts"},
    "plan": {"errors", "onhost", "model", "services", "hosts", "settings"},
    "components": {"errors", "onhost", "model", "services", "hosts", "settings", "plan"},
    "cli": {"errors", "onhost", "model", "services", "hosts", "settings", "plan", "lab"},
    "lab": {"errors", "model"},
    "__init__": {"components", "model", "services", "hosts"},
}
MODULES = sorted(PACKAGE.rglob("*.py"))


def room_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(path: Path) -> Iterator[str]:
    """Dotted names of all that a module imports, relative ones resolved to their room."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield f"habla.{room_of(path)}" if node.level else str(node.module)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_room_imports_only_the_rooms_it_may(path: Path) -> None:
    """Data goes one way through the house."""
    room = room_of(path)
    used = {name.split(".")[1] for name in imports(path) if name.startswith("habla.")}
    assert used - {room} <= ALLOWED[room]


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_only_components_know_pulumi(path: Path) -> None:
    """Everything above the components is pure Python."""
    knows = {name.split(".")[0] for name in imports(path)} & {"pulumi", "pulumi_command"}
    assert not knows or room_of(path) == "components"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_stays_under_300_lines(path: Path) -> None:
    """A longer one does more than one thing."""
    assert len(path.read_text("utf-8").splitlines()) < 300
