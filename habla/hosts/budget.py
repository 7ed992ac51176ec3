"""Whether the logs of a host fit its partitions at the worst moment, from the settings alone. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from pathlib import PurePosixPath

from habla.errors import Fault
from habla.hosts.rotation import Bound
from habla.model.disk import PartitionSpec, size_bytes
from habla.model.service import DataBound

__all__ = ["USABLE", "Budget", "budget_faults", "budgets", "size_text"]

_LOG_DIRECTORY = PurePosixPath("/var/log")
# Percent of a partition that are left for files by its file system, at the least.
USABLE = 90


@dataclass(frozen=True)
class Budget:
    """One partition of a host, in bytes.

    bounds: the most that each log takes, the largest first. data: the most that its bounded data takes.
    reserved: the room for all other files. allowed: the most that all may take together: logs and data within
    their bounds never cause an alert.
    """

    mount: str
    size: int
    _: KW_ONLY
    reserved: int
    allowed: int
    bounds: tuple[Bound, ...]
    data: tuple[DataBound, ...] = ()

    @property
    def logs(self) -> int:
        """The most that all logs take."""
        return sum(bound.bytes for bound in self.bounds)

    @property
    def needed(self) -> int:
        """The used space in the worst case."""
        return self.logs + sum(size_bytes(bound.size) for bound in self.data) + self.reserved

    @property
    def fits(self) -> bool:
        """Whether the partition holds it."""
        return self.needed <= self.allowed


def budgets(
    partitions: Mapping[str, PartitionSpec],
    bounds: Iterable[Bound],
    *,
    warning: int,
    data: Iterable[DataBound] = (),
) -> tuple[Budget, ...]:
    """The budget of each partition. warning: the use, in percent, that causes an alert."""
    logs: dict[str, list[Bound]] = {mount: [] for mount in partitions}
    for bound in bounds:
        mount = _partition_of(bound.path, partitions)
        if mount is not None:
            logs[mount].append(bound)
    stored: dict[str, list[DataBound]] = {mount: [] for mount in partitions}
    for item in sorted(data):
        mount = _partition_of(item.path, partitions)
        if mount is not None:
            stored[mount].append(item)
    return tuple(
        Budget(
            mount,
            size_bytes(spec.size),
            reserved=size_bytes(spec.reserved) if spec.reserved else 0,
            allowed=size_bytes(spec.size) * USABLE * warning // 10_000,
            bounds=tuple(logs[mount]),
            data=tuple(stored[mount]),
        )
        for mount, spec in partitions.items()
    )


def budget_faults(
    host: str, partitions: Mapping[str, PartitionSpec], *, all_of: Sequence[Budget]
) -> list[Fault]:
    """Partitions that do not hold their logs, and partitions of unknown size."""
    faults = []
    for budget in all_of:
        path = f"hosts.{host}.partitions.{budget.mount}"
        mixed = not PurePosixPath(budget.mount).is_relative_to(_LOG_DIRECTORY)
        if budget.bounds and mixed and partitions[budget.mount].reserved is None:
            rule = (
                f"{budget.bounds[0].path} and other logs share this partition, so habla must know how much "
                "everything else may take"
            )
            fix = "add reserved: SIZE, or give the host a partition /var/log"
            faults.append(Fault(path, "reserved is missing", rule=rule, fix=fix))
        elif not budget.fits:
            faults.append(_too_small(path, budget))
    return faults


def size_text(count: int) -> str:
    """Bytes as people read them: ``1.5 GiB``."""
    value, unit = float(count), "B"
    for larger in ("KiB", "MiB", "GiB", "TiB"):
        if value < 1024:
            break
        value, unit = value / 1024, larger
    return f"{value:.0f} {unit}" if value >= 10 or unit == "B" else f"{value:.1f} {unit}"


def _too_small(path: str, budget: Budget) -> Fault:
    largest = ", ".join(
        f"{bound.rule} {size_text(bound.bytes)} ({bound.path})" for bound in budget.bounds[:3]
    )
    needed = f"logs {size_text(budget.logs)}"
    for item in budget.data:
        needed += f", {size_text(size_bytes(item.size))} in {item.path} ({item.setting})"
    if budget.reserved:
        needed += f" and {size_text(budget.reserved)} reserved"
    return Fault(
        path,
        "logs and data can fill it" if budget.data else "logs can fill it",
        value=size_text(budget.size),
        rule=f"in the worst case the partition holds {needed}, but alerts.warning allows "
        f"{size_text(budget.allowed)}; the largest logs: {largest or 'none'}",
        fix="make the partition larger, or lower size, keep or rate in logs.rules.RULE, or "
        "logs.check_seconds",
    )


def _partition_of(path: str, partitions: Mapping[str, PartitionSpec]) -> str | None:
    """The mount point that holds a path; None where none is declared."""
    holding = [mount for mount in partitions if PurePosixPath(path).is_relative_to(mount)]
    return max(holding, key=len, default=None)
