"""memqd: the fleet's queue daemon. The engine is beanstalkd, with a write-ahead log."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from habla.model.service import Offer, Port, ServiceState, Site, Stability
from habla.model.spec import PortNumber, Spec
from habla.onhost.document import Directory, File, Health, Unit

__all__ = ["Memqd", "MemqdSpec"]

_CONFIG = "/etc/default/beanstalkd"
_DATA = "/var/lib/beanstalkd"


class MemqdSpec(Spec):
    """The fleet's queue daemon. ``beanstalkd`` writes every job to its log before it answers."""

    engine: Literal["beanstalkd"] = "beanstalkd"
    port: PortNumber = 11300
    max_job_bytes: Annotated[int, Field(ge=1)] = 65535


@dataclass(frozen=True)
class Memqd:
    """memqd with its settings."""

    spec: MemqdSpec = MemqdSpec()
    name: str = "memqd"
    kind: str = "memqd"
    stability: Stability = Stability.STABLE

    def offers(self) -> tuple[Offer, ...]:
        """The beanstalk protocol on its port."""
        return (Offer("memqd", self.spec.port),)

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
            directories={_DATA: Directory("0750", "beanstalkd", "beanstalkd")},
            files={_CONFIG: File(config + "\n")},
            stopped=("beanstalkd.socket",),
            units={"beanstalkd.service": Unit(restart_on=(_CONFIG,))},
            health={self.name: Health("beanstalkd.service", address=str(site.address), port=self.spec.port)},
            ports=(Port(self.spec.port),),
            data=(_DATA,),
        )
