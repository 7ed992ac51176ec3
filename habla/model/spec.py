"""The settings of each service: frozen, strict, unknown keys refused.

A stack has them under ``habla:services`` and ``habla:apps``, and a user of the library gives them to a
component. Sizes are in MB of 2**20 bytes, times in seconds. The docstring under a field is its documentation:
``toolchain/settings_docs.py`` writes docs/settings.md from it.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from habla.model.text_types import LogPath, Sha256, Size, Url

__all__ = [
    "MAX_MB",
    "ArchiveSpec",
    "LogSpec",
    "Many",
    "PortNumber",
    "Spec",
]

# 16 TiB. Larger numbers overflow in one daemon or another, which then runs without the limit.
MAX_MB = 16 * 1024 * 1024
PortNumber = Annotated[int, Field(ge=1, le=65535)]
T = TypeVar("T")


def _as_tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


# Texts in order, as a list or a tuple.
Many = Annotated[tuple[T, ...], BeforeValidator(_as_tuple)]


class Spec(BaseModel):
    """Base of all settings.

    is_alternative: its keys exclude each other, so that a stack's value replaces the project's whole.
    """

    is_alternative: ClassVar[bool] = False
    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", allow_inf_nan=False)


class ArchiveSpec(Spec):
    """A directory or tar archive in the project (``path``), or an archive that the hosts fetch (``url``)."""

    is_alternative: ClassVar[bool] = True
    path: str | None = None
    """The path of a directory or a tar file in the project. It may hold up to 256 MiB."""
    include: tuple[str, ...] = ()
    """Directories whose files go into the archive too, such as a module that several programs share."""
    url: Url | None = None
    """Where each host fetches the archive. ``sha256`` is then required."""
    sha256: Sha256 | None = None
    """The SHA-256 of the archive at ``url``. A host refuses an archive with another one."""

    @model_validator(mode="after")
    def _one_source(self) -> ArchiveSpec:
        if (self.path is None) == (self.url is None):
            raise ValueError("set either path or url")
        if self.include and self.path is None:
            raise ValueError("include requires path")
        if self.url is not None and self.sha256 is None:
            raise ValueError("a url needs the sha256 of its archive")
        return self


class LogSpec(Spec):
    """Log files that habla rotates by size."""

    path: LogPath
    """The path of the log. It may contain ``*``, ``?`` and ``[ ]``."""
    size: Size = "1M"
    """logrotate rotates a file that is larger than this."""
    keep: Annotated[int, Field(ge=1, le=100)] = 3
    """How many rotated files logrotate keeps of each log."""
    rate: Size | None = None
    """How much one file grows in a minute at most. Without it, ``logs.rate`` applies."""
    files: Annotated[int, Field(ge=1, le=1000)] = 1
    """How many files the path matches at most. The bound on disk space counts them all."""
