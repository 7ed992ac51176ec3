"""A service that habla does not have: a small guest book, with a port, a log and data, behind HAProxy.

It is one module, as docs/adding-a-service.md describes; tests add it to the list of services.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from habla.model.offer import Balancer, HttpCheck, Offer, Route
from habla.model.service import Log, Port, Service, ServiceState
from habla.model.site import Site
from habla.model.spec import PortNumber, Spec
from habla.onhost.document import Directory, File, Health, Unit, User

__all__ = ["Guestbook", "GuestbookSpec"]

_PROGRAM = "/usr/local/lib/guestbook"
_UNIT = "guestbook.service"
_UNIT_FILE = f"/etc/systemd/system/{_UNIT}"
_DATA, _LOGS = "/var/lib/guestbook", "/var/log/guestbook"


class GuestbookSpec(Spec):
    """The guest book. entries: how many of them a page shows."""

    port: PortNumber = 8070
    entries: int = 20


@dataclass(frozen=True)
class Guestbook(Service):
    """The guest book with its settings."""

    kind: ClassVar = "guestbook"
    Settings: ClassVar = GuestbookSpec
    section: ClassVar = "services.guestbook"
    roles: ClassVar = ("web",)
    default_roles: ClassVar = ("web",)

    spec: GuestbookSpec = GuestbookSpec()
    name: str = "guestbook"

    def offers(self) -> tuple[Offer, ...]:
        """Its pages, behind HAProxy's www instance."""
        return (
            Offer(
                self.name,
                self.spec.port,
                balancer=Balancer.WWW,
                routes=(Route(path="/guestbook"),),
                check=HttpCheck("/guestbook"),
            ),
        )

    def state(self, site: Site) -> ServiceState:
        """A program of the standard library under a user of its own."""
        return ServiceState(
            packages=("python3",),
            users={self.name: User()},
            directories={
                path: Directory("0750", owner=self.name, group=self.name) for path in (_DATA, _LOGS)
            },
            files={
                _PROGRAM: File(_SOURCE.format(spec=self.spec, address=site.address), "0755"),
                _UNIT_FILE: File(
                    f"[Service]\nExecStart={_PROGRAM}\nUser={self.name}\n\n"
                    "[Install]\nWantedBy=multi-user.target\n"
                ),
            },
            units={_UNIT: Unit(restart_on=(_PROGRAM, _UNIT_FILE))},
            health={
                self.name: Health(_UNIT, address=str(site.address), port=self.spec.port, path="/guestbook")
            },
            logs=(Log(f"{_LOGS}/*.log", "2M", rule="guestbook"),),
            ports=(Port(self.spec.port),),
            data=(_DATA,),
        )


_SOURCE = """\
#!/usr/bin/python3
import http.server, pathlib, time

log, data = pathlib.Path("/var/log/guestbook/access.log"), pathlib.Path("/var/lib/guestbook/entries")


class Pages(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        entries = data.read_text().splitlines()[-{spec.entries}:] if data.exists() else []
        body = "\\n".join(entries).encode() + b"\\n"
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *words):
        with log.open("a") as lines:
            lines.write(time.strftime("%FT%T ") + words[0] % words[1:] + "\\n")


http.server.ThreadingHTTPServer(("{address}", {spec.port}), Pages).serve_forever()
"""
