"""Every rendered file of two stacks, one per HAProxy dialect, as it was last approved; and of two of Jabber.

To approve a change: ``python tests/golden/test_golden.py`` and look at ``git diff``.
"""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from habla.cli.render_verb import rendered
from habla.plan.stack_files import load_plan

ROOT = Path(__file__).parents[2]
GOLDEN = Path(__file__).parent / "stacks"
STACKS = ("lab", "production", "everything", "short")
# Stacks of their own, of which only the files of Jabber are here.
JABBER = {"everything": Path(__file__).parent / "jabber", "short": Path(__file__).parent / "jabber"}
# Programs, not configs: their own tests say what they do.
PROGRAMS = ("/usr/local/lib/",)


@functools.cache
def current(stack: str) -> dict[str, str]:
    """HOST/path -> text, of all that the stack renders."""
    return {
        f"{host}{path}": file.text
        for host, path, file in rendered(load_plan(JABBER.get(stack, ROOT), stack))
        if not path.startswith(PROGRAMS) and (stack not in JABBER or "jabber" in path or "/apps/" in path)
    }


@functools.cache
def approved(stack: str) -> dict[str, str]:
    directory = GOLDEN / stack
    return {
        str(path.relative_to(directory)): path.read_bytes().decode()
        for path in sorted(directory.rglob("*"))
        if path.is_file()
    }


@pytest.mark.parametrize("stack", STACKS)
def test_the_same_files_are_rendered_as_were_approved(stack: str) -> None:
    """No file comes or goes unseen."""
    assert sorted(current(stack)) == sorted(approved(stack))


def files() -> Iterator[tuple[str, str]]:
    for stack in STACKS:
        yield from ((stack, path) for path in sorted(approved(stack)))


@pytest.mark.parametrize(("stack", "path"), list(files()))
def test_a_rendered_file_is_as_it_was_approved(stack: str, path: str) -> None:
    """No line of a config changes unseen."""
    assert current(stack).get(path) == approved(stack)[path]


def test_the_same_bytes_come_out_with_any_hash_seed(tmp_path: Path) -> None:
    """Nothing rendered or put into a host state depends on the order of a set."""
    program = (
        "import pathlib, sys; from habla.plan.stack_files import load_plan\n"
        "plan = load_plan(pathlib.Path(sys.argv[1]), 'lab')\n"
        "for host in plan.hosts.values():\n"
        "    for state in host.states.values(): print(state.canonical())\n"
    )
    outputs = {
        subprocess.run(
            [sys.executable, "-c", program, str(ROOT)],
            env={**os.environ, "PYTHONHASHSEED": seed, "TZ": zone},
            cwd=tmp_path,
            check=True,
            capture_output=True,
        ).stdout
        for seed, zone in (("0", "UTC"), ("1", "Asia/Tokyo"), ("4711", "UTC"))
    }
    assert len(outputs) == 1
    assert next(iter(outputs))


if __name__ == "__main__":
    for name in STACKS:
        shutil.rmtree(GOLDEN / name, ignore_errors=True)
        for where, text in current(name).items():
            target = GOLDEN / name / where
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(text.encode())
