"""The gate before ejabberd's port for components: only the hosts of their apps come through."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from habla.model.programs import daemon_unit, program_text
from habla.model.service import HostPart, Owner, Port, ServiceState
from habla.model.site import Site
from habla.onhost.document import File, Health, Unit
from habla.services.jabber.jabber_spec import JabberSpec

__all__ = ["JabberGate"]

_PROGRAM = "/usr/local/lib/habla/jabber-gate"
_UNIT = "habla-jabber-gate.service"


@dataclass(frozen=True)
class JabberGate(HostPart):
    """Hands on the connections of components. spec: of the Jabber beside it. path: of its settings."""

    title: ClassVar = "gate for components of Jabber"

    spec: JabberSpec
    path: str
    name: str = "jabber-gate"

    @property
    def owner(self) -> Owner:
        """It belongs to Jabber."""
        return Owner("the gate for components of Jabber", self.path)

    def state(self, site: Site) -> ServiceState:
        """A daemon on the internal address."""
        apps = sorted({component.app for component in self.spec.components.values()})
        peers = sorted({str(end.address) for app in apps for end in site.fleet.endpoints.named(app)})
        unit_path = f"/etc/systemd/system/{_UNIT}"
        port = self.spec.component_port
        command = f"{_PROGRAM} {site.address} {port} {' '.join(peers)}".rstrip()
        return ServiceState(
            packages=("python3",),
            files={
                _PROGRAM: File(program_text("jabber_gate"), "0755"),
                unit_path: File(daemon_unit("habla: lets components in to ejabberd", command)),
            },
            units={_UNIT: Unit(restart_on=(_PROGRAM, unit_path))},
            health={self.name: Health(_UNIT, address=str(site.address), port=port)},
            ports=(Port(port),),
        )
