"""snmpd, which tells only the monitor about space, load, memory and traffic of a host.

Two locks: the passphrases, and the monitor's address. The second is libwrap's, which Debian's snmpd asks for
every packet before it reads it. Its rules are seen by snmpd alone, as they say nothing of other daemons.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from habla.model.offer import Offer
from habla.model.programs import program_text
from habla.model.service import HostPart, Port, ServiceState
from habla.model.site import Site
from habla.model.snmp import extend_name
from habla.onhost.document import File, Health, Unit, secret

__all__ = ["WATCH_ALIVE", "Snmp"]

# A text that changes with every good run of the host's own watcher.
WATCH_ALIVE = "/run/habla-watch/alive"
_CONFIG = "/etc/snmp/snmpd.conf"
_ALLOWED = "/etc/snmp/habla-hosts.allow"
_USER = "/etc/habla/snmp-user.json"
_USER_PROGRAM = "/usr/local/lib/habla/snmp-user"
_SESSIONS = "/usr/local/lib/habla/balancer-sessions"
_UNIT = "snmpd.service"
_DROP_IN = f"/etc/systemd/system/{_UNIT}.d/20-habla.conf"
_STATE = "/var/lib/snmp/snmpd.conf"
_DAEMON = "Debian-snmp"
# Included: MIB-2 with hrStorage and interfaces, UCD's disks, load and memory, the programs below.
# Not: processes with their arguments, and installed packages.
_VIEW = {
    "included": (".1.3.6.1.2.1", ".1.3.6.1.4.1.2021", ".1.3.6.1.4.1.8072.1.3.2"),
    "excluded": (".1.3.6.1.2.1.25.4", ".1.3.6.1.2.1.25.5", ".1.3.6.1.2.1.25.6"),
}


@dataclass(frozen=True)
class Snmp(HostPart):
    """snmpd. pages: HAProxy instance -> port of its statistics page, of those on this host."""

    title: ClassVar = "snmpd"

    pages: Mapping[str, int] = field(default_factory=dict)
    name: str = "snmp"

    def offers(self) -> tuple[Offer, ...]:
        """Offer nothing by TCP, but let the monitor know this host."""
        return (Offer("snmp", 0),)

    def state(self, site: Site) -> ServiceState:
        """snmpd on the internal address; its user is made anew with each start."""
        spec = site.fleet.snmp
        private = {"user": spec.user, "auth": secret(spec.auth, "json")}
        private["privacy"] = secret(spec.privacy, "json")
        files = {
            # Of v2c it holds the secret.
            _CONFIG: File(self._config(site), "0640", owner="root", group=_DAEMON),
            _ALLOWED: File(_allowed(site)),
            _USER: File(json.dumps(private if spec.version == "3" else {}, indent=2) + "\n", "0600"),
            _USER_PROGRAM: File(program_text("snmp_user"), "0755"),
            _DROP_IN: File(_drop_in()),
        }
        if self.pages:
            files[_SESSIONS] = File(program_text("haproxy_sessions"), "0755")
        listens = f"ss -Hlun src {site.address}:{spec.port} | grep -q ."
        return ServiceState(
            packages=("python3", "snmpd"),
            files=files,
            units={_UNIT: Unit(restart_on=(_CONFIG, _ALLOWED, _USER, _USER_PROGRAM))},
            health={self.name: Health(_UNIT, command=("sh", "-c", listens))},
            ports=(Port(spec.port),),
        )

    def _config(self, site: Site) -> str:
        spec = site.fleet.snmp
        lines = [
            f"agentaddress udp:{site.address}:{spec.port}",
            f"sysName {site.host}",
            "sysServices 72",
        ]
        lines += [f"view habla {how} {oid}" for how, oids in _VIEW.items() for oid in oids]
        if spec.version == "3":
            lines.append(f"rouser {spec.user} priv -V habla")
        else:
            community = secret(spec.community, "word")
            lines += [f'rocommunity "{community}" {address} -V habla' for address in _monitors(site)]
        lines += ["includeAllDisks 10%", "dontLogTCPWrappersConnects yes"]
        lines += [
            f"extend {extend_name(name)} {_SESSIONS} http://127.0.0.1:{port}/;csv"
            for name, port in sorted(self.pages.items())
        ]
        lines.append(f"extend habla-watch /bin/cat {WATCH_ALIVE}")
        return "\n".join(lines) + "\n"


def _monitors(site: Site) -> tuple[str, ...]:
    return tuple(str(end.address) for end in site.fleet.endpoints.monitors)


def _allowed(site: Site) -> str:
    lines = [f"snmpd : {address} : ALLOW" for address in _monitors(site)]
    return "\n".join([*lines, "ALL : ALL : DENY"]) + "\n"


def _drop_in() -> str:
    return f"""\
[Service]
ExecStartPre={_USER_PROGRAM} {_USER} {_STATE} {_DAEMON}
BindReadOnlyPaths={_ALLOWED}:/etc/hosts.allow
"""
