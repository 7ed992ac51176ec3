"""Programs of this package that run on hosts: as plain text, or as archives that travel with the agent."""

from __future__ import annotations

import functools
import hashlib
import io
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources

from habla.onhost.document import Archive

__all__ = ["ProgramArchive", "package_texts", "program_text", "program_texts"]


@dataclass(frozen=True)
class ProgramArchive:
    """A package of programs. package: in this library. name: under which hosts import it."""

    package: str
    name: str

    @functools.cached_property
    def content(self) -> bytes:
        """A tar archive of the package, the same bytes on every machine."""
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as tar:
            for name, text in package_texts(self.package).items():
                member = tarfile.TarInfo(f"{self.name}/{name}")
                member.size = len(text.encode())
                tar.addfile(member, io.BytesIO(text.encode()))
        return buffer.getvalue()

    @functools.cached_property
    def archive(self) -> Archive:
        """The archive by digest, as a host's state names it."""
        return Archive(hashlib.sha256(self.content).hexdigest())


def program_texts() -> Mapping[str, str]:
    """File name -> source, of all programs that are one module each."""
    texts = package_texts("habla.onhost.programs")
    return {name: text for name, text in texts.items() if name != "__init__.py"}


def program_text(module: str) -> str:
    """The source of a program that is one module."""
    return program_texts()[f"{module}.py"]


@functools.cache
def package_texts(package: str) -> Mapping[str, str]:
    """File name -> source, of all modules of a package, by name."""
    found = {item.name: item for item in resources.files(package).iterdir() if item.name.endswith(".py")}
    return {name: item.read_text("utf-8") for name, item in sorted(found.items())}
