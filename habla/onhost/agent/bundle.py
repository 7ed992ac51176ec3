"""The agent's own file, and the programs in it."""

from __future__ import annotations

import sys
import zipfile
from typing import Optional

__all__ = ["brought_along", "brought_text"]


def brought_along(name: str) -> Optional[bytes]:
    """The content of ``programs/NAME`` in the agent's file, or None."""
    if not zipfile.is_zipfile(sys.argv[0]):
        return None
    with zipfile.ZipFile(sys.argv[0]) as bundle:
        try:
            return bundle.read("programs/" + name)
        except KeyError:
            return None


def brought_text(digest: str) -> Optional[str]:
    """The text with this sha256 that the agent brings along, or None."""
    content = brought_along(digest + ".txt")
    return None if content is None else content.decode()
