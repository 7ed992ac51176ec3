"""Programs of this package that run on hosts, as plain text: a preview shows which of their lines change."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from importlib import resources

__all__ = ["package_texts", "program_text"]


@functools.cache
def program_text(module: str) -> str:
    """The source of a program that is one module."""
    return resources.files("habla.onhost.programs").joinpath(f"{module}.py").read_text("utf-8")


@functools.cache
def package_texts(package: str) -> Mapping[str, str]:
    """File name -> source, of all modules of a package, by name."""
    found = {item.name: item for item in resources.files(package).iterdir() if item.name.endswith(".py")}
    return {name: item.read_text("utf-8") for name, item in sorted(found.items())}
