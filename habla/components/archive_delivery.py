"""Hands archives to a host, before the state that names them by digest."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence

import pulumi

from habla.components.command import agent_command, host_command
from habla.components.host import Host

__all__ = ["deliver_archives"]


def deliver_archives(
    name: str,
    host: Host,
    *,
    archives: Mapping[str, bytes],
    opts: pulumi.ResourceOptions,
    depends_on: Sequence[pulumi.Resource],
) -> pulumi.Resource:
    """All archives of a component in one round trip. archives: sha256 -> tar archive."""
    content = {sha256: base64.b64encode(archive).decode() for sha256, archive in archives.items()}
    document = json.dumps({"format": 1, "archives": content}, sort_keys=True)
    return host_command(
        name,
        host.connection,
        create=agent_command("store"),
        stdin=document,
        delete=None,
        opts=opts,
        depends_on=depends_on,
    )
