"""The program that keeps the files of users, and the pages that tell clients where Jabber is."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, ClassVar
from urllib.parse import urlsplit
from xml.sax.saxutils import quoteattr

from habla.model.disk import size_bytes
from habla.model.offer import Balancer, HttpCheck, Offer, Route
from habla.model.programs import program_text
from habla.model.service import DataBound, HostPart, Owner, Port, ServiceState
from habla.model.site import FleetFacts, Site
from habla.onhost.document import Directory, File, Health, Unit, User, secret
from habla.services.jabber.ejabberd_modules import upload_secret
from habla.services.jabber.jabber_spec import JabberSpec

__all__ = ["FILES", "FILES_DATA", "WEB_PORTS", "JabberFiles", "files_offer", "host_meta"]

# Offer for clients in a browser -> the port at which HAProxy has it.
WEB_PORTS = {"bosh": 5280, "bosh-tls": 5443}

# The name of its offer, and of its unit after ``habla-``.
FILES = "jabber-files"
_HOST_META = "/.well-known/host-meta"
_CONFIG = "/etc/habla/jabber-files.json"
_PROGRAM = "/usr/local/lib/habla/jabber-files"
_UNIT = f"habla-{FILES}.service"
_USER = f"habla-{FILES}"
FILES_DATA = f"/var/lib/{_USER}"
_DEFAULT_PORT = 5444


def files_offer(spec: JabberSpec, *, section: str) -> Offer:
    """The paths that the www instance sends to the program."""
    paths = [_HOST_META, f"{_HOST_META}.json", *([_prefix(spec)] if spec.upload else [])]
    return Offer(
        FILES,
        _port(spec),
        balancer=Balancer.WWW,
        routes=tuple(Route(path=path) for path in paths),
        check=HttpCheck(_HOST_META),
        maxconn=100,
        setting=f"{section}.upload.path",
    )


def host_meta(spec: JabberSpec, fleet: FleetFacts) -> dict[str, str]:
    """Relation -> URL, of the ways to Jabber for clients in a browser (XEP-0156)."""
    host = urlsplit(fleet.website).hostname
    secure = spec.https_port is not None
    offer = "bosh-tls" if secure else "bosh"
    port = fleet.words.get(f"{offer}_port", WEB_PORTS[offer])
    return {
        "urn:xmpp:alt-connections:websocket": f"{'wss' if secure else 'ws'}://{host}:{port}/websocket",
        "urn:xmpp:alt-connections:xbosh": f"{'https' if secure else 'http'}://{host}:{port}/bosh",
    }


@dataclass(frozen=True)
class JabberFiles(HostPart):
    """Files of users, and host-meta. spec: of the Jabber beside it. path: of its settings."""

    title: ClassVar = "program for files of Jabber"

    spec: JabberSpec
    path: str
    name: str = FILES

    @property
    def owner(self) -> Owner:
        """Jabber owns its names."""
        return Owner("the files of Jabber", self.path)

    def state(self, site: Site) -> ServiceState:
        """A daemon on the internal address, under a user of its own."""
        upload, unit_path = self.spec.upload, f"/etc/systemd/system/{_UNIT}"
        return ServiceState(
            packages=("python3",),
            users={_USER: User()},
            directories={FILES_DATA: Directory("0750", owner=_USER, group=_USER)} if upload else {},
            files={
                _CONFIG: File(self._config(site), "0640", owner="root", group=_USER),
                _PROGRAM: File(program_text("jabber_files"), "0755"),
                unit_path: File(_unit(f"{site.address} {_port(self.spec)}", upload is not None)),
            },
            units={_UNIT: Unit(restart_on=(_PROGRAM,), reload_on=(_CONFIG,))},
            health={FILES: Health(_UNIT, address=str(site.address), port=_port(self.spec), path=_HOST_META)},
            ports=(Port(_port(self.spec)),),
            data=(FILES_DATA,) if upload else (),
            bounds=(DataBound(FILES_DATA, upload.size, setting=f"{self.path}.upload.size"),)
            if upload
            else (),
        )

    def _config(self, site: Site) -> str:
        links = host_meta(self.spec, site.fleet)
        config: dict[str, Any] = {
            "pages": {
                _HOST_META: {"type": "application/xrd+xml", "text": _as_xml(links)},
                f"{_HOST_META}.json": {"type": "application/json", "text": _as_json(links)},
            },
            "upload": self._upload(site),
        }
        return json.dumps(config, indent=2, sort_keys=True) + "\n"

    def _upload(self, site: Site) -> dict[str, Any] | None:
        upload = self.spec.upload
        if upload is None:
            return None
        peers = [end for end in site.fleet.endpoints.named(FILES) if end.host != site.host]
        return {
            "path": _prefix(self.spec),
            "directory": FILES_DATA,
            "secret": secret(upload_secret(self.spec), "json"),
            "peers": [f"{end.address}:{end.offer.port}" for end in peers],
            "largest": size_bytes(upload.largest),
            "bytes": size_bytes(upload.size),
            "days": upload.days,
        }


def _prefix(spec: JabberSpec) -> str:
    return spec.upload.path.rstrip("/") if spec.upload else ""


def _port(spec: JabberSpec) -> int:
    return spec.upload.port if spec.upload else _DEFAULT_PORT


def _as_xml(links: dict[str, str]) -> str:
    lines = [f"  <Link rel={quoteattr(rel)} href={quoteattr(url)}/>\n" for rel, url in links.items()]
    head = '<?xml version="1.0" encoding="utf-8"?>\n<XRD xmlns="http://docs.oasis-open.org/ns/xri/xrd-1.0">\n'
    return f"{head}{''.join(lines)}</XRD>\n"


def _as_json(links: dict[str, str]) -> str:
    return json.dumps({"links": [{"rel": rel, "href": url} for rel, url in links.items()]}) + "\n"


def _unit(where: str, keeps: bool) -> str:
    writable = f"ReadWritePaths={FILES_DATA}\n" if keeps else ""
    return f"""\
[Unit]
Description=habla: files of Jabber users

[Service]
ExecStart={_PROGRAM} {where} {_CONFIG}
# A host that joins changes the config, and no visitor should notice that.
ExecReload=/bin/kill -HUP $MAINPID
User={_USER}
Group={_USER}
Restart=always
RestartSec=1
LimitNOFILE=4096
NoNewPrivileges=yes
PrivateTmp=yes
ProtectHome=yes
ProtectSystem=strict
{writable}
[Install]
WantedBy=multi-user.target
"""
