"""Drain: a host tells HAProxy to send it no new requests. Every host with balanced services has this part.

The host itself says so, to every HAProxy that asks, so that no config changes, nothing is reloaded, and two
front hosts agree.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, ClassVar

from habla.model.drain_flags import BY_HAND, BY_SETTING, drain_flag
from habla.model.offer import DRAIN_PORT, HttpCheck, Offer, XmppCheck
from habla.model.programs import daemon_unit, program_text
from habla.model.service import HostPart, Port, ServiceState
from habla.model.site import Site
from habla.onhost.document import File, Health, Unit

__all__ = ["Drain"]

_CONFIG = "/etc/habla/drain.json"
_PROGRAM = "/usr/local/lib/habla/drain-responder"
_UNIT = "habla-drain.service"


@dataclass(frozen=True)
class Drain(HostPart):
    """Answers HAProxy for the balanced services of a host. offered: their offers."""

    title: ClassVar = "drain responder"

    offered: tuple[Offer, ...]
    name: str = "drain"

    def state(self, site: Site) -> ServiceState:
        """A small daemon on the internal address."""
        domain = site.fleet.domain
        config = {
            "address": str(site.address),
            "port": DRAIN_PORT,
            "flags": [BY_SETTING, BY_HAND],
            "services": {offer.name: _check(offer.of_domain(domain), site) for offer in self.offered},
        }
        unit_path = f"/etc/systemd/system/{_UNIT}"
        return ServiceState(
            packages=("python3",),
            files={
                _CONFIG: File(json.dumps(config, indent=2, sort_keys=True) + "\n"),
                _PROGRAM: File(program_text("drain_responder"), "0755"),
                unit_path: File(
                    daemon_unit("habla: tells HAProxy whether this host is drained", f"{_PROGRAM} {_CONFIG}")
                ),
                **drain_flag(site),
            },
            units={_UNIT: Unit(restart_on=(_CONFIG, _PROGRAM, unit_path))},
            health={"drain": Health(_UNIT, address=str(site.address), port=DRAIN_PORT)},
            ports=(Port(DRAIN_PORT),),
        )


def _check(offer: Offer, site: Site) -> dict[str, Any]:
    match offer.check:
        case HttpCheck(path=path, expect=expect, host=host):
            return {"kind": "http", "port": offer.port, "path": path, "host": host, "expect": expect}
        case XmppCheck(namespace, domain=domain, port=port):
            asked = {"port": port or offer.port, "domain": domain or site.fleet.domain}
            return {"kind": "xmpp", **asked, "namespace": namespace}
        case None:
            return {"kind": "tcp", "port": offer.port}
