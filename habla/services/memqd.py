"""memqd: the fleet's queue daemon. The engine is beanstalkd, with a write-ahead log."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from habla.model.names import CACHE_DB
from habla.model.offer import Offer
from habla.model.service import Port, Service, ServiceState
from habla.model.site import Site
from habla.model.spec import PortNumber, Spec
from habla.onhost.document import Directory, File, Health, Unit

__all__ = ["Memqd", "MemqdSpec"]

_CONFIG = "/etc/default/beanstalkd"
_DATA = "/var/lib/beanstalkd"


class MemqdSpec(Spec):
    """memqd, the queue daemon of the fleet. A job is on disk before memqd acknowledges it."""

    engine: Literal["beanstalkd"] = "beanstalkd"
    """The program that serves the queue."""
    port: PortNumber = 11300
    """The port that memqd listens on."""
    # The most is beanstalkd's JOB_DATA_SIZE_LIMIT_MAX.
    max_job_bytes: Annotated[int, Field(ge=1, le=1_073_741_824)] = 65535
    """The size of the largest job."""


@dataclass(frozen=True)
class Memqd(Service):
    """memqd with its settings."""

    kind: ClassVar = "memqd"
    Settings: ClassVar = MemqdSpec
    section: ClassVar = "services.memqd"
    roles: ClassVar = ("front",)
    default_roles: ClassVar = ("front",)
    beside_balancer: ClassVar = True
    component: ClassVar = CACHE_DB
    one_per_fleet: ClassVar = True
    daemon_users: ClassVar = ("beanstalkd",)

    spec: MemqdSpec = MemqdSpec()
    name: str = "memqd"

    def offers(self) -> tuple[Offer, ...]:
        """The beanstalk protocol on its port."""
        return (Offer("memqd", self.spec.port),)

    def data_paths(self) -> tuple[str, ...]:
        """The waiting jobs."""
        return (_DATA,)

    def state(self, site: Site) -> ServiceState:
        """``-f 0``: a job is on disk before the answer goes out. The stock socket unit binds to loopback."""
        config = "\n".join(
            [
                f"BEANSTALKD_LISTEN_ADDR={site.address}",
                f"BEANSTALKD_LISTEN_PORT={self.spec.port}",
                f'BEANSTALKD_EXTRA="-b {_DATA} -f 0 -z {self.spec.max_job_bytes}"',
            ]
        )
        return ServiceState(
            packages=("beanstalkd",),
            directories={_DATA: Directory("0750", owner="beanstalkd", group="beanstalkd")},
            files={_CONFIG: File(config + "\n")},
            stopped=("beanstalkd.socket",),
            units={"beanstalkd.service": Unit(restart_on=(_CONFIG,))},
            health={self.name: Health("beanstalkd.service", address=str(site.address), port=self.spec.port)},
            ports=(Port(self.spec.port),),
            data=(_DATA,),
        )
