"""The example of the library is typed as its users would type theirs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_example_passes_strict_mypy(tmp_path: Path) -> None:
    """Its program, its components and its mocks. The library is not reported on, as for its users."""
    files = [str(path) for path in sorted((ROOT / "examples" / "library").glob("*.py"))]
    command = [sys.executable, "-m", "mypy", "--strict", "--config-file", os.devnull]
    done = subprocess.run(
        [*command, "--follow-imports=silent", "--cache-dir", str(tmp_path), *files],
        cwd=tmp_path,
        env={**os.environ, "MYPYPATH": f"{ROOT}:{ROOT / 'examples' / 'library'}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
