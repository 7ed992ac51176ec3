"""The check of the whole project, with programs in the place of its tools that only say that they ran."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

CHECK = Path(__file__).parents[2] / "toolchain" / "check"


def checked(root: Path, failing: str, *arguments: str) -> tuple[int, list[str]]:
    """Run the check where one tool fails, as ``NAME FIRST-WORD``: its exit status and the tools that ran."""
    for name in ("toolchain", ".toolchain", ".venv/bin"):
        (root / name).mkdir(parents=True)
    shutil.copy(CHECK, root / "toolchain" / "check")
    (root / ".toolchain" / "env").touch()
    ran = root / "ran"
    tools = ["toolchain/apt-packages", *(f".venv/bin/{name}" for name in ("ruff", "mypy", "python"))]
    for tool in tools:
        path = root / tool
        path.write_text(
            f'#!/bin/sh\ncall="${{0##*/}} $1"\necho "$call" >>{ran}\n[ "${{call% }}" != "{failing}" ]\n',
            "utf-8",
        )
        path.chmod(0o755)
    done = subprocess.run([root / "toolchain" / "check", *arguments], capture_output=True, check=False)
    return done.returncode, ran.read_text("utf-8").splitlines()


@pytest.mark.parametrize("failing", ["ruff check", "ruff format", "mypy"])
def test_a_fault_in_style_or_types_fails_the_check(failing: str, tmp_path: Path) -> None:
    """And is said at once, not after all the tests."""
    status, ran = checked(tmp_path, failing)
    assert status == 1
    assert ran[-1].strip() == failing


def test_tests_run_when_style_and_types_are_well(tmp_path: Path) -> None:
    """The last program is pytest, and its exit status the check's."""
    status, ran = checked(tmp_path, "none")
    assert status == 0
    assert ran[-1] == "python -m"


@pytest.mark.parametrize(
    ("arguments", "hosts"),
    [
        ([], True),
        (["-x"], True),
        (["tests/lab/test_fleet.py"], True),
        (["tests/unit", "tests/lab"], True),
        (["-m", "not lab"], False),
        (["tests/unit/test_names.py"], False),
        (["-q", "tests/unit", "tests/golden"], False),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_packages_of_hosts_are_installed_only_for_tests_with_hosts(
    arguments: list[str], hosts: bool, tmp_path: Path
) -> None:
    """Chromium and systemd-nspawn are not needed for one unit test."""
    _, ran = checked(tmp_path, "none", *arguments)
    assert ("apt-packages the tests with hosts and browsers" in ran) is hosts
    assert "apt-packages the tests of programs" in ran
