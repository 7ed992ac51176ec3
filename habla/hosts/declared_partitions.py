"""Proves that a host has the partitions of its settings, because the space budget relies on them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from habla.hosts.budget import USABLE
from habla.model.disk import PartitionSpec, size_bytes
from habla.model.service import HostPart, ServiceState
from habla.model.site import Site
from habla.onhost.document import Health

__all__ = ["Partitions"]


@dataclass(frozen=True)
class Partitions(HostPart):
    """A check of each partition that the settings declare for the host."""

    title: ClassVar = "check of partitions"

    name: str = "partitions"

    def state(self, site: Site) -> ServiceState:
        """A check each: that it is a file system of its own, and not smaller than declared."""
        return ServiceState(
            health={
                f"partition {mount}": Health(command=("sh", "-c", _check(mount, spec)), deadline=1)
                for mount, spec in site.partitions.items()
            }
        )


def _check(mount: str, spec: PartitionSpec) -> str:
    least = size_bytes(spec.size) * USABLE // 100
    return (
        f"mountpoint -q '{mount}' || {{ echo '{mount} is no partition of its own'; exit 1; }}; "
        f"has=$(df -B1 --output=size '{mount}' | tail -n 1); [ \"$has\" -ge {least} ] || "
        f'{{ echo "{mount} has $has bytes for files, less than {USABLE} % of the {spec.size} declared"; '
        "exit 1; }"
    )
