"""Programs that run on hosts keep to what every host has: Python 3.9 and its standard library."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from habla.cli import balancers
from habla.hosts import watch

_ONHOST = Path(__file__).parents[2] / "habla" / "onhost"
_SOURCES = sorted(_ONHOST.rglob("*.py"))


def _imports(tree: ast.AST, depth: int) -> set[str]:
    """The first parts of absolute imports; ``..`` for a relative one that leaves the shipped package.

    depth: how many packages the module is in, that package included.
    """
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level:
            found |= {".."} if node.level > depth else set()
        elif isinstance(node, ast.ImportFrom):
            found.add(str(node.module).split(".")[0])
    return found


def _depth(path: Path) -> int:
    """The agent travels with the document's module above it; every other package travels alone."""
    return 2 if path.parent.name == "agent" else 1


@pytest.mark.parametrize("path", _SOURCES, ids=lambda path: str(path.relative_to(_ONHOST)))
def test_source_is_python_3_9_and_imports_the_standard_library_alone(path: Path) -> None:
    """It parses as Python 3.9, evaluates no newer annotation, and imports nothing that a host may lack."""
    tree = ast.parse(path.read_text(), feature_version=(3, 9))
    assert _imports(tree, _depth(path)) <= set(sys.stdlib_module_names)
    if any(isinstance(node, ast.FunctionDef) for node in tree.body):
        assert "from __future__ import annotations" in path.read_text()


def test_the_search_for_imports_can_fail() -> None:
    """A foreign module, and one of the library above the shipped package, would be found."""
    tree = ast.parse("import yaml\nfrom habla.model import names\nfrom ..model import x\nfrom . import y")
    assert _imports(tree, 1) == {"yaml", "habla", ".."}
    assert _imports(tree, 2) == {"yaml", "habla"}


def test_source_uses_nothing_newer_than_python_3_9() -> None:
    """ruff, told of 3.9, finds no syntax error in it."""
    command = [sys.executable, "-m", "ruff", "check", "--target-version=py39", "--isolated", "--select=E9,F"]
    done = subprocess.run([*command, str(_ONHOST)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("text", [watch._LAUNCHER, balancers._question()])
def test_a_program_in_a_string_is_python_3_9_too(text: str) -> None:
    """What starts the watcher, and what asks HAProxy's statistics pages and finds its old processes."""
    tree = ast.parse(text, feature_version=(3, 9))
    assert _imports(tree, 1) <= {*sys.stdlib_module_names, "habla_watch"}
