"""The partitions that the settings say a host has: what is computed from them holds only where they are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from habla.hosts.budget import USABLE
from habla.model.disk import PartitionSpec, size_bytes
from habla.model.service import Offer, ServiceState, Site, Stability
from habla.onhost.document import Health

__all__ = ["Partitions"]


@dataclass(frozen=True)
class Partitions:
    """mount point -> partition, as declared."""

    declared: Mapping[str, PartitionSpec] = field(default_factory=dict)
    name: str = "partitions"
    kind: str = "partitions"
    stability: Stability = Stability.STABLE

    def offers(self) -> tuple[Offer, ...]:
        """Nothing."""
        return ()

    def state(self, site: Site) -> ServiceState:
        """A check each: that it is a file system of its own, and not smaller than declared."""
        return ServiceState(
            health={
                f"partition {mount}": Health(command=("sh", "-c", _check(mount, spec)), deadline=1)
                for mount, spec in self.declared.items()
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
