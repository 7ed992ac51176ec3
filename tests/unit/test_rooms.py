"""The code keeps the rules of docs/architecture.md: imports between rooms, names, and how calls read."""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from habla.hosts.drain import Drain
from habla.model.service import Service
from habla.services import catalog

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
    "lab": {"errors", "model"},
    "components": {"errors", "onhost", "model", "services", "hosts", "settings", "plan", "lab"},
    "cli": {"errors", "onhost", "model", "services", "hosts", "settings", "plan", "lab"},
    "__init__": {"components", "onhost", "model", "services", "hosts"},
}
MODULES = sorted(PACKAGE.rglob("*.py"))
OTHERS = [path for room in ("standin", "toolchain") for path in sorted((ROOT / room).rglob("*.py"))]
# The text of these programs is a part of the states of hosts, so a change of their calls changes every host.
SHIPPED = tuple(PACKAGE / "onhost" / name for name in ("cacti", "programs", "watch"))
each_module = pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
every_module = pytest.mark.parametrize(
    "path", [*MODULES, *OTHERS], ids=lambda path: str(path.relative_to(ROOT))
)


def room_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf-8"))


def imports(path: Path) -> Iterator[str]:
    """Dotted names of all that a module imports, relative ones resolved to their room."""
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield f"habla.{room_of(path)}" if node.level else str(node.module)


@each_module
def test_a_room_imports_only_the_rooms_it_may(path: Path) -> None:
    """Data goes one way through the house."""
    room = room_of(path)
    used = {name.split(".")[1] for name in imports(path) if name.startswith("habla.")}
    assert used - {room} <= ALLOWED[room]


def test_the_table_of_rooms_is_in_the_documentation() -> None:
    """docs/architecture.md names every room, in the order in which they build on one another."""
    text = (ROOT / "docs" / "architecture.md").read_text("utf-8")
    named = re.findall(r"^\| `habla/(\w+)(?:\.py|/)` \|", text, flags=re.M)
    assert named == [room for room in ALLOWED if room != "__init__"]
    assert {room_of(path) for path in MODULES} == set(ALLOWED)


@each_module
def test_only_components_know_pulumi(path: Path) -> None:
    """Everything above the components is pure Python."""
    knows = {name.split(".")[0] for name in imports(path)} & {"pulumi", "pulumi_command"}
    assert not knows or room_of(path) == "components"


@every_module
def test_a_module_stays_under_300_lines(path: Path) -> None:
    """A longer one does more than one thing."""
    assert len(path.read_text("utf-8").splitlines()) < 300


def test_file_names_are_unique() -> None:
    """An editor's "open file" finds the right one."""
    names = Counter(path.name for path in [*MODULES, *OTHERS] if not path.name.startswith("__"))
    assert not [name for name, count in names.items() if count > 1]


def service_classes() -> set[str]:
    """The names of all classes of services, those of hosts included."""
    found: set[str] = set()
    left: list[type] = [Service]
    assert issubclass(Drain, Service)
    while left:
        kind = left.pop()
        found.add(kind.__name__)
        left += kind.__subclasses__()
    return found


def asks_for_a_kind(tree: ast.AST, classes: set[str]) -> list[int]:
    """The lines that ask whether something is of a class of services."""
    return [
        node.lineno
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id in ("isinstance", "issubclass")
        and {name.id for name in ast.walk(node.args[1]) if isinstance(name, ast.Name)} & classes
    ]


@each_module
def test_nobody_asks_for_the_class_of_a_service(path: Path) -> None:
    """A service describes itself, so that a new one needs no edit elsewhere."""
    assert asks_for_a_kind(tree_of(path), service_classes()) == []


@each_module
def test_nobody_names_a_kind_of_service_outside_its_module(path: Path) -> None:
    """Tables of kinds are what a new service is forgotten in."""
    if room_of(path) in ("services", "onhost", "lab", "__init__"):
        return
    kinds = set(catalog.kinds()) - {"app"}
    texts = [node.value for node in ast.walk(tree_of(path)) if isinstance(node, ast.Constant)]
    assert not kinds & {text for text in texts if isinstance(text, str)} - {"jabber"}


def too_many_positional(tree: ast.AST) -> list[str]:
    """Functions with more than two positional parameters, besides the constructors of Pulumi's components."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            names = [each.arg for each in (*node.args.posonlyargs, *node.args.args)]
            names = names[1:] if names[:1] in (["self"], ["cls"]) else names
            if len(names) > 2 and names != ["name", "args", "opts"]:
                found.append(f"{node.name}({', '.join(names)})")
    return found


@every_module
def test_arguments_after_the_first_two_are_passed_by_name(path: Path) -> None:
    """A call with five positional values cannot be read."""
    if not path.is_relative_to(SHIPPED[0].parent) or not any(path.is_relative_to(place) for place in SHIPPED):
        assert too_many_positional(tree_of(path)) == []


def test_the_rules_can_fail() -> None:
    """Each search finds what it looks for."""
    assert {"Mysql", "Drain", "App"} <= service_classes()
    assert asks_for_a_kind(ast.parse("isinstance(x, (Mysql, int))"), {"Mysql"}) == [1]
    assert too_many_positional(ast.parse("def f(self, a, b, c): ...")) == ["f(a, b, c)"]
    assert too_many_positional(ast.parse("def f(a, b, *, c): ...")) == []
