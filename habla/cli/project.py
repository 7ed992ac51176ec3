"""The project around a directory, and which of its stacks a command is about. Needs no planner."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path

from habla.errors import Fault, SettingsError, not_one_of

__all__ = ["choose_stack", "find_root", "stacks_of"]


def find_root(start: Path) -> Path:
    """The project of the directory ``start``: the nearest directory above it with a Pulumi.yaml and stacks/.

    Raises FileNotFoundError.
    """
    start = start.resolve()
    for directory in (start, *start.parents):
        if (directory / "Pulumi.yaml").is_file() and (directory / "stacks").is_dir():
            return directory
    raise FileNotFoundError(f"no Pulumi.yaml beside stacks/ in {start} or above: run it in a project")


def stacks_of(root: Path) -> list[str]:
    """The names of the stacks that the project has a file of."""
    paths = (root / "stacks").glob("Pulumi.*.yaml")
    return sorted(path.name.removeprefix("Pulumi.").removesuffix(".yaml") for path in paths)


def choose_stack(root: Path, given: str) -> str:
    """The stack that is given, or else named by PULUMI_STACK, selected in Pulumi, or the only one.

    Raises SettingsError if the project has no such stack, or no stack is chosen.
    """
    known = stacks_of(root)
    sources = (
        ("--stack", given),
        ("PULUMI_STACK", os.environ.get("PULUMI_STACK", "")),
        ("the stack that Pulumi has selected", _selected(root)),
        ("stacks", known[0] if len(known) == 1 else ""),
    )
    source, name = next(((source, name) for source, name in sources if name), ("--stack", ""))
    name = name.rpartition("/")[2]
    if name in known:
        return name
    if not known:
        fault = Fault(
            source, "the project has no stack", value=name, fix=f"create {root}/stacks/Pulumi.NAME.yaml"
        )
    elif not name:
        rule = f"the project has several stacks: {', '.join(known)}"
        fix = "name one with --stack, or select one with: pulumi stack select"
        fault = Fault(source, "no stack is chosen", rule=rule, fix=fix)
    else:
        fault = not_one_of(source, "no such stack", value=name, known=known)
    raise SettingsError([fault])


def _selected(root: Path) -> str:
    """The stack that ``pulumi stack select`` has chosen for the project; empty if it is not known."""
    for home in _pulumi_homes(root):
        for file in _project_files(root):
            digest = hashlib.sha1(str(file).encode(), usedforsecurity=False).hexdigest()
            for path in (home / "workspaces").glob(f"*-{digest}-workspace.json"):
                name = _stack_in(path, home)
                if name:
                    return name
    return ""


def _pulumi_homes(root: Path) -> Iterator[Path]:
    home = os.environ.get("PULUMI_HOME")
    yield Path(home) if home else Path.home() / ".pulumi"
    # `make toolchain` gives a clone a directory of its own.
    yield root / ".toolchain" / "pulumi-home"


def _project_files(root: Path) -> Iterator[Path]:
    """Pulumi.yaml by its own path, and by that of the shell: Pulumi keeps links of the working directory."""
    yield root / "Pulumi.yaml"
    shown = Path(os.environ.get("PWD", root))
    for directory in (shown, *shown.parents):
        if directory != root and directory.is_dir() and directory.samefile(root):
            yield directory / "Pulumi.yaml"


def _stack_in(path: Path, home: Path) -> str:
    """The stack in a workspace file of Pulumi, which has one for each backend; older versions have one."""
    document = _read_json(path)
    stacks = document.get("stacks")
    if not isinstance(stacks, dict):
        return str(document.get("stack") or "")
    backend = os.environ.get("PULUMI_BACKEND_URL") or _read_json(home / "credentials.json").get("current")
    if backend in stacks:
        return str(stacks[backend])
    # The backend may also come from Pulumi.yaml or from a wrapper; it matters only where stacks differ.
    names = {str(name).rpartition("/")[2] for name in stacks.values()}
    return names.pop() if len(names) == 1 else ""


def _read_json(path: Path) -> dict[str, object]:
    """The object in a file; empty if there is none that can be read."""
    try:
        document = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return document if isinstance(document, dict) else {}
