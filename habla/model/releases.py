"""The releases of Debian that habla is tested with."""

from __future__ import annotations

from typing import Literal, get_args

__all__ = ["RELEASES", "Release"]

Release = Literal["bookworm", "trixie"]
RELEASES: tuple[str, ...] = get_args(Release)
