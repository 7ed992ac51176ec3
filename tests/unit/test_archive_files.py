"""Directories are packed into archives."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest

from habla.plan.archive_files import MAX_BYTES, pack


def test_an_archive_has_the_same_bytes_whenever_it_is_packed(tmp_path: Path) -> None:
    """Times and caches do not count; content and the executable bit do."""
    (tmp_path / "__pycache__").mkdir()
    program = tmp_path / "a.py"
    program.write_text("x")
    first = pack(tmp_path)
    (tmp_path / "__pycache__" / "a.pyc").write_text("y")
    program.touch()
    assert pack(tmp_path) == first
    program.chmod(0o755)
    assert pack(tmp_path) != first


def test_an_archive_that_is_too_large_says_what_to_do(tmp_path: Path) -> None:
    """It would be kept twice in the state: above the limit a URL is asked for."""
    (tmp_path / "big").write_bytes(b"\0" * (MAX_BYTES + 1))
    with pytest.raises(OSError, match="give a url"):
        pack(tmp_path)


def test_several_directories_become_one_archive(tmp_path: Path) -> None:
    """Shared files are packed with each program; two files for one place are refused."""
    for name in ("program", "common"):
        (tmp_path / name).mkdir()
        (tmp_path / name / f"{name}.py").write_text(name)
    with tarfile.open(fileobj=io.BytesIO(pack(tmp_path / "program", tmp_path / "common"))) as tar:
        assert tar.getnames() == ["common.py", "program.py"]
    (tmp_path / "common" / "program.py").write_text("another")
    with pytest.raises(OSError, match="want the same place"):
        pack(tmp_path / "program", tmp_path / "common")


def test_a_link_in_an_archive_is_refused(tmp_path: Path) -> None:
    """It could lead out of the archive."""
    (tmp_path / "link").symlink_to("/etc/passwd")
    with pytest.raises(OSError, match="not a plain file"):
        pack(tmp_path)
