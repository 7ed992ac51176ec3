"""Sends archives to a host, before the state that names them by digest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pulumi

from habla.components.agent_bundle import cached_file
from habla.components.command import sent_file
from habla.components.host import Host
from habla.model.names import archive_resource
from habla.onhost.agent.archives import SENT

__all__ = ["sent_archives"]


def sent_archives(
    name: str,
    host: Host,
    *,
    archives: Mapping[str, bytes],
    opts: pulumi.ResourceOptions,
    depends_on: Sequence[pulumi.Resource],
) -> list[pulumi.Resource]:
    """Each archive of a component as a file of its host. archives: sha256 -> tar archive.

    A changed archive is a new resource. The agent takes the file over when a state asks for it.
    """
    waiting = pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(depends_on=list(depends_on)))
    return [
        sent_file(
            archive_resource(name, sha256),
            host.connection,
            path=cached_file(f"{sha256}.tar", content),
            to=f"{SENT}{sha256}",
            opts=waiting,
        )
        for sha256, content in sorted(archives.items())
    ]
