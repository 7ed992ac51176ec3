"""The table of rooms in docs/architecture.md holds: who may import whom."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "habla"
PURE = {"errors", "model", "settings", "addressing", "services", "placement", "plan"}
# room -> rooms of habla that it may import; every room may import itself.
ALLOWED = {
    "__init__": {"components", "model"},
    "errors": set(),
    "model": {"errors"},
    "settings": {"errors", "model"},
    "addressing": {"errors", "model", "settings"},
    "services": {"errors", "model"},
    "placement": {"errors", "model"},
    "plan": {"errors", "model", "settings", "addressing", "services", "placement"},
    "archives": {"errors", "model"},
    "stack": {"errors", "model", "settings", "addressing", "plan", "archives"},
    "components": {*PURE, "archives"},
    "fleet": {*PURE, "archives", "stack", "components"},
    "cli": {*PURE, "archives", "stack", "lab"},
    "lab": {"errors", "model"},
    "agent": set(),
}
MODULES = sorted(PACKAGE.rglob("*.py"))
HOST_SIDE = [
    *(PACKAGE / "services" / f"{name}.py" for name in ("haproxy_sessions", "jabber_cluster", "snmp_user")),
    *sorted((PACKAGE / "services/cacti/onhost").glob("*.py")),
    *sorted((PACKAGE / "services/watch/program").glob("*.py")),
    *sorted((PACKAGE / "agent").glob("*.py")),
]


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
def test_only_components_and_the_fleet_know_pulumi(path: Path) -> None:
    """Everything above the components is pure Python."""
    knows = {name.split(".")[0] for name in imports(path)} & {"pulumi", "pulumi_command"}
    assert not knows or room_of(path) in {"components", "fleet"}


@pytest.mark.parametrize("path", HOST_SIDE, ids=lambda path: path.name)
def test_what_runs_on_a_host_needs_only_python_3_9(path: Path) -> None:
    """It parses as Python 3.9 and imports nothing but the standard library."""
    ast.parse(path.read_text("utf-8"), feature_version=(3, 9))
    own = {"habla", "agent"}
    assert {name.split(".")[0] for name in imports(path)} - own <= set(sys.stdlib_module_names)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_stays_under_300_lines(path: Path) -> None:
    """A longer one does more than one thing."""
    assert len(path.read_text("utf-8").splitlines()) < 300
