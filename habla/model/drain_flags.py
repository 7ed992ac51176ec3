"""The files that drain a host: while one of them exists, HAProxy sends the host no new requests."""

from __future__ import annotations

from habla.model.site import Site
from habla.onhost.document import File

__all__ = ["BY_HAND", "BY_SETTING", "drain_flag"]

# Put there by the stack's settings, and by `habla drain`.
BY_SETTING = "/etc/habla/drained"
BY_HAND = "/etc/habla/drained-by-hand"


def drain_flag(site: Site) -> dict[str, File]:
    """The flag file of a host that the settings drain."""
    if not site.drained:
        return {}
    return {BY_SETTING: File(f"hosts.{site.host}.drained is true in the stack's settings\n")}
