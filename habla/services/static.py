"""The static image server: nginx, serving an archive that is switched in one step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar

from pydantic import Field

from habla.model.names import DnsName
from habla.model.offer import Balancer, HttpCheck, Offer, OfferedValue, Route
from habla.model.service import Log, Port, Service, ServiceState
from habla.model.site import Site
from habla.model.spec import ArchiveSpec, PortNumber, Spec
from habla.onhost.document import Check, File, Health, Unit

__all__ = ["Static", "StaticSpec"]

_CONFIG = "/etc/nginx/nginx.conf"
_CONTENT = "/srv/static"
_HEALTH = "/.well-known/habla-static"
# Names up to this length fit nginx's buckets of 64 bytes beside the bucket's other fields.
_SHORT = 40


class StaticSpec(Spec):
    """nginx for static images."""

    host: DnsName | None = None
    """The virtual host of the images. Without it, the host is ``static.DOMAIN``."""
    port: PortNumber = 8080
    """The port that nginx listens on, on the internal address."""
    content: ArchiveSpec | None = None
    """The images."""
    max_age: Annotated[int, Field(ge=0, le=2**31)] = 3600
    """How many seconds a browser may keep an image (``Cache-Control: max-age``)."""


@dataclass(frozen=True)
class Static(Service):
    """The static image server with its settings. Without content it serves nothing but its health check."""

    kind: ClassVar = "static"
    Settings: ClassVar = StaticSpec
    section: ClassVar = "services.static"
    roles: ClassVar = ("stable", "web")
    default_roles: ClassVar = ("stable",)

    spec: StaticSpec = StaticSpec()
    name: str = "static"

    def offers(self) -> tuple[Offer, ...]:
        """HTTP for its virtual host, through the www instance."""
        host = self.spec.host or "static.{domain}"
        check = HttpCheck(_HEALTH, host=host)
        return (
            Offer(
                "static",
                self.spec.port,
                balancer=Balancer.WWW,
                routes=(Route(host),),
                check=check,
                values=(OfferedValue("static.url", f"{{website_scheme}}://{host}{{website_port}}"),),
                setting=f"{self.section}.host",
            ),
        )

    def archives(self) -> Mapping[str, ArchiveSpec]:
        """The archive of its content."""
        return {f"{self.section}.content": self.spec.content} if self.spec.content else {}

    def state(self, site: Site) -> ServiceState:
        """All of nginx.conf: so the distribution's default site, open to all addresses, is not served."""
        content = site.fleet.archives.get(self.spec.content) if self.spec.content else None
        return ServiceState(
            packages=("nginx-light",),
            files={_CONFIG: File(self._config(site))},
            archives={_CONTENT: content} if content else {},
            units={"nginx.service": Unit(reload_on=(_CONFIG,))},
            checks={self.name: Check(("nginx", "-t", "-q", "-c", f"{{{_CONFIG}}}"), (_CONFIG,))},
            health={
                self.name: Health(
                    "nginx.service",
                    address=str(site.address),
                    port=self.spec.port,
                    path=_HEALTH,
                    host=self._host(site),
                )
            },
            logs=(
                Log(
                    "/var/log/nginx/*.log",
                    size="10M",
                    reopen="systemctl kill -s USR1 nginx",
                    rule="nginx",
                    create="0640 www-data adm",
                    files=2,
                ),
            ),
            ports=(Port(self.spec.port),),
        )

    def _host(self, site: Site) -> str:
        return self.spec.host or f"static.{site.fleet.domain}"

    def _config(self, site: Site) -> str:
        names = (self._host(site), f"www.{site.fleet.domain}")
        # By default nginx has no room for a long name.
        room = "    server_names_hash_bucket_size 512;\n" if max(map(len, names)) > _SHORT else ""
        return f"""\
user www-data;
worker_processes auto;
pid /run/nginx.pid;
error_log /var/log/nginx/error.log;

events {{
    worker_connections 1024;
}}

http {{
    include /etc/nginx/mime.types;
    default_type application/octet-stream;
    sendfile on;
    server_tokens off;
{room}    access_log /var/log/nginx/access.log;

    # HAProxy 1.3 cannot redirect; it sends these requests here.
    server {{
        listen {site.address}:{self.spec.port};
        server_name {site.fleet.domain};
        return 301 {site.fleet.website}$request_uri;
    }}

    server {{
        listen {site.address}:{self.spec.port} default_server;
        server_name {self._host(site)};
        root {_CONTENT};

        location = {_HEALTH} {{
            access_log off;
            default_type text/plain;
            return 200 "ok\\n";
        }}

        location / {{
            add_header Cache-Control "public, max-age={self.spec.max_age}";
            add_header X-Served-By {site.host};
        }}
    }}
}}
"""
