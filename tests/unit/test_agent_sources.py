"""The agent's sources keep to what every host has: Python 3.9 and its standard library."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

_AGENT = Path(__file__).parents[2] / "habla" / "agent"
_SOURCES = sorted(_AGENT.glob("*.py"))


def _imports(tree: ast.AST) -> set[str]:
    """The first parts of absolute imports; relative ones above the package count as ``..``."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            module = "" if node.level == 1 else ".." if node.level else (node.module or "")
            found |= {module.split(".")[0] or ".."} if node.level != 1 else set()
    return found


@pytest.mark.parametrize("path", _SOURCES, ids=lambda path: path.name)
def test_source_is_python_3_9_and_imports_the_standard_library_alone(path: Path) -> None:
    """It parses as Python 3.9, evaluates no newer annotation, and imports nothing that a host may lack."""
    tree = ast.parse(path.read_text(), feature_version=(3, 9))
    assert _imports(tree) <= set(sys.stdlib_module_names)
    if any(isinstance(node, ast.FunctionDef) for node in tree.body):
        assert "from __future__ import annotations" in path.read_text()


def test_the_search_for_imports_can_fail() -> None:
    """A foreign module, and one of the library above the agent, would be found."""
    assert _imports(ast.parse("import yaml\nfrom habla.model import state\nfrom ..model import x")) == {
        "yaml",
        "habla",
        "..",
    }


def test_source_uses_nothing_newer_than_python_3_9() -> None:
    """ruff, told of 3.9, finds no syntax error in it."""
    command = [sys.executable, "-m", "ruff", "check", "--target-version=py39", "--isolated", "--select=E9,F"]
    done = subprocess.run([*command, str(_AGENT)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
