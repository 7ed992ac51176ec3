"""memcached: a cache on the internal address."""

from __future__ import annotations

from dataclasses import dataclass

from habla.model.service import Offer, Port, ServiceState, Site, Stability
from habla.model.spec import MemcachedSpec
from habla.model.state import File, Health, Unit

__all__ = ["Memcached"]

_CONFIG = "/etc/memcached.conf"


@dataclass(frozen=True)
class Memcached:
    """memcached with its settings."""

    spec: MemcachedSpec = MemcachedSpec()
    name: str = "memcached"
    kind: str = "memcached"
    stability: Stability = Stability.STABLE

    def offers(self) -> tuple[Offer, ...]:
        """The memcache protocol on its port."""
        return (Offer("memcached", self.spec.port),)

    def state(self, site: Site) -> ServiceState:
        """One option a line, as Debian's start script reads them. It logs to the journal."""
        lines = [
            f"-m {self.spec.memory_mb}",
            f"-l {site.address}",
            f"-p {self.spec.port}",
            "-U 0",
            "-u memcache",
            f"-c {self.spec.max_connections}",
            "-P /run/memcached/memcached.pid",
        ]
        return ServiceState(
            packages=("memcached",),
            files={_CONFIG: File("\n".join(lines) + "\n")},
            units={"memcached.service": Unit(restart_on=(_CONFIG,))},
            health={
                self.name: Health("memcached.service", address=str(site.address), port=self.spec.port),
            },
            ports=(Port(self.spec.port),),
        )
