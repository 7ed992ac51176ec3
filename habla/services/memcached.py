"""memcached: a cache on the internal address."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

from pydantic import Field

from habla.model.names import CACHE_DB
from habla.model.offer import Offer
from habla.model.service import Port, Service, ServiceState
from habla.model.site import Site
from habla.model.spec import MAX_MB, PortNumber, Spec
from habla.onhost.document import File, Health, Unit

__all__ = ["Memcached", "MemcachedSpec"]

_CONFIG = "/etc/memcached.conf"


class MemcachedSpec(Spec):
    """memcached. It listens on the internal address only."""

    port: PortNumber = 11211
    """The port that memcached listens on."""
    memory_mb: Annotated[int, Field(ge=1, le=MAX_MB)] = 64
    """The memory for cached items."""
    max_connections: Annotated[int, Field(ge=1, le=250_000)] = 1024
    """How many clients may be connected at a time."""


@dataclass(frozen=True)
class Memcached(Service):
    """memcached with its settings."""

    kind: ClassVar = "memcached"
    Settings: ClassVar = MemcachedSpec
    section: ClassVar = "services.memcached"
    roles: ClassVar = ("front",)
    default_roles: ClassVar = ("front",)
    beside_balancer: ClassVar = True
    component: ClassVar = CACHE_DB
    one_per_fleet: ClassVar = True
    daemon_users: ClassVar = ("memcache",)

    spec: MemcachedSpec = MemcachedSpec()
    name: str = "memcached"

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
