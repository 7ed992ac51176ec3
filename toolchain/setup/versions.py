"""The versions that the set-up needs, and the comparison with the versions of installed programs."""

from __future__ import annotations

import re

PULUMI = "3.259.0"
"""The CLI that is downloaded or built, and the oldest that is taken from PATH: older ones are not tried."""

LANGUAGE_HOST = "3.79.0"
"""The last SDK that has the Python language host inside the SDK's own Go module."""

COMMAND_PLUGIN = "1.2.1"
"""The Command plugin; the same as pulumi-command in requirements/runtime.txt."""

Version = tuple[int, int, int]


def parse(text: str) -> Version | None:
    """The first `X.Y.Z` (or `X.Y`) in `text`, or None.

    A pre-release of X.Y.Z counts as X.Y.Z, because the question is whether a program has certain features.
    """
    found = re.search(r"(\d+)\.(\d+)(?:\.(\d+))?", text)
    return (int(found[1]), int(found[2]), int(found[3] or 0)) if found else None


def at_least(text: str, wanted: str) -> bool:
    """Whether the version in `text` is known and not older than `wanted`."""
    version, minimum = parse(text), parse(wanted)
    return version is not None and minimum is not None and version >= minimum
