"""The names of the library are there, and loading those without resources needs no Pulumi."""

from __future__ import annotations

import subprocess
import sys

import pytest

import habla


@pytest.mark.parametrize("name", habla.__all__)
def test_every_public_name_can_be_imported(name: str) -> None:
    """As ``from habla import NAME``."""
    assert getattr(habla, name) is not None


def test_an_unknown_name_is_an_attribute_error() -> None:
    """As for any module."""
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        _ = habla.Nothing


def test_settings_load_without_pulumi() -> None:
    """A program that only writes settings starts fast."""
    script = "import sys; from habla import AppSpec, MysqlSpec; print('pulumi' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
