"""The watcher of a host: a small program that a timer runs, with its settings.

Its sources travel as plain files, like everything else, so that a preview shows which of its lines change.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass, field
from ipaddress import IPv4Address
from typing import Any, ClassVar

from habla.hosts.snmpd import WATCH_ALIVE
from habla.model.disk import AlertsSpec
from habla.model.programs import END_OF_ONESHOT, ProgramArchive, launcher
from habla.model.service import HostPart, ServiceState
from habla.model.site import Site
from habla.model.snmp import SnmpSpec
from habla.onhost.document import Action, Directory, File, Health, Unit, secret
from habla.onhost.programs.snmp_user import AUTH, PRIVACY

__all__ = ["PROGRAM", "Guard", "Peer", "Watch"]

_LIBRARY = "/usr/local/lib/habla"
PROGRAM = f"{_LIBRARY}/watch"
_MODULES = f"{_LIBRARY}/watch-program"
_PACKAGE = ProgramArchive("habla.onhost.watch", "habla_watch")
_CONFIG = "/etc/habla/watch.json"
_PASSWORD = "/etc/habla/watch-password"
_SNMP = "/etc/habla/watch-snmp"
_NAME = "habla-watch"
_SERVICE = f"/etc/systemd/system/{_NAME}.service"
_TIMER = f"/etc/systemd/system/{_NAME}.timer"
# apt and dpkg write there while they work, and clean up themselves.
_DATA = ("/var/cache", "/var/lib/apt", "/var/lib/dpkg", f"/var/lib/{_NAME}", "/var/lib/habla")


@dataclass(frozen=True, order=True)
class Peer:
    """A host that is asked, through its snmpd, for its watcher's sign of life.

    silent_seconds: the time without a new sign after which it counts as dead.
    """

    name: str
    address: IPv4Address
    _: KW_ONLY
    silent_seconds: int = 300


@dataclass(frozen=True, order=True)
class Guard:
    """A monitor whose sign of life is a page that changes: ``url`` is ``http://ADDRESS/habla-alive``."""

    name: str
    url: str
    _: KW_ONLY
    silent_seconds: int = 300


@dataclass(frozen=True)
class Watch(HostPart):
    """The watcher with its settings.

    partitions: mount points that must be there. log_directories: where logs are. data: directories whose
    files may grow. exempt: globs of files that need no rule; ``*`` spans directories. peers: the hosts it
    asks, with the credentials of ``snmp``. guards: the monitors it asks. old_processes: HAProxy instance ->
    how many old processes it may have after reloads.
    """

    title: ClassVar = "watcher"
    programs: ClassVar = (_PACKAGE,)

    spec: AlertsSpec
    environment: str
    _: KW_ONLY
    partitions: tuple[str, ...] = ()
    log_directories: tuple[str, ...] = ("/var/log",)
    data: tuple[str, ...] = ()
    exempt: tuple[str, ...] = ()
    peers: tuple[Peer, ...] = ()
    guards: tuple[Guard, ...] = ()
    snmp: SnmpSpec | None = None
    old_processes: Mapping[str, int] = field(default_factory=dict)
    name: str = "watch"

    def __post_init__(self) -> None:
        if self.peers and self.snmp is None:
            raise ValueError("peers are asked by SNMP: give snmp")

    def state(self, site: Site) -> ServiceState:
        """The program, its settings, and the timer that runs it."""
        files = {
            PROGRAM: File(_LAUNCHER, "0755"),
            _CONFIG: File(json.dumps(self._config(site), indent=2, sort_keys=True) + "\n", "0600"),
            _SERVICE: File(self._unit()),
            _TIMER: File(self._timer()),
        }
        directories = {}
        if self.spec.smtp is not None and self.spec.smtp.password is not None:
            # A file of its own: in JSON a password would have to be escaped.
            files[_PASSWORD] = File(secret(self.spec.smtp.password), "0600")
        if self.peers and self.snmp is not None:
            directories[_SNMP] = Directory("0700")
            files[f"{_SNMP}/snmp.conf"] = File(_snmp_conf(self.snmp), "0600")
        timer, service = f"{_NAME}.timer", f"{_NAME}.service"
        return ServiceState(
            packages=("logrotate", "python3", *(["snmp"] if self.peers else [])),
            directories=directories,
            files=files,
            # The agent brings it along.
            archives={_MODULES: _PACKAGE.archive},
            units={timer: Unit(restart_on=(_TIMER,))},
            actions={
                # At once, and it must work: else a deployment would leave a watcher that cannot run. Not
                # "start": that would wait for a run that the timer has begun, perhaps of the old program.
                _NAME: Action(
                    ("systemctl", "restart", service),
                    inputs=(PROGRAM, _MODULES, _CONFIG, _SERVICE),
                    timeout=150,
                )
            },
            # systemd starts it within seconds of a boot. Its mark is in memory.
            health={_NAME: Health(timer, command=("test", "-s", WATCH_ALIVE), deadline=60)},
            data=(f"/var/lib/{_NAME}",),
        )

    def _config(self, site: Site) -> dict[str, Any]:
        port = self.snmp.port if self.snmp is not None else 0
        asked = [
            {
                "name": peer.name,
                "address": str(peer.address),
                "port": port,
                "silent_seconds": peer.silent_seconds,
            }
            for peer in sorted(self.peers)
            if peer.name != site.host
        ]
        asked += [
            {"name": guard.name, "url": guard.url, "silent_seconds": guard.silent_seconds}
            for guard in sorted(self.guards)
            if guard.name != site.host
        ]
        return {
            "host": site.host,
            "environment": self.environment,
            "partitions": sorted(self.partitions),
            "warning": self.spec.warning,
            "critical": self.spec.critical,
            "trend_hours": self.spec.trend_hours,
            "trend_minutes": self.spec.trend_minutes,
            "directories": sorted(self.log_directories),
            "data": sorted({*self.data, *_DATA}),
            "exempt": sorted(self.exempt),
            "settle_seconds": self.spec.settle_seconds,
            "mail": self._mail(site),
            "command": list(self.spec.command),
            "peers": asked,
            "snmp": _SNMP if self.peers else "",
            # Only front hosts have this key.
            **({"old_processes": dict(self.old_processes)} if self.old_processes else {}),
        }

    def _mail(self, site: Site) -> dict[str, Any] | None:
        smtp = self.spec.smtp
        if smtp is None:
            return None
        return {
            "to": list(self.spec.to),
            "sender": self.spec.sender or f"habla@{site.host}.{site.fleet.domain}",
            "host": smtp.host,
            "port": smtp.port,
            "starttls": smtp.starttls,
            "user": smtp.user or "",
            "password_file": _PASSWORD if smtp.password is not None else "",
        }

    def _unit(self) -> str:
        # A user's command may be anything, a sendmail with privileges of its own for one.
        confined = "" if self.spec.command else _CONFINED
        return f"""\
[Unit]
Description=habla: looks at partitions and logs, and tells when something is wrong

[Service]
Type=oneshot
ExecStart={PROGRAM}
# A run is over in a second, unless mail servers or peers do not answer.
TimeoutStartSec=120
{END_OF_ONESHOT}Nice=5
RuntimeDirectory={_NAME}
RuntimeDirectoryPreserve=yes
StateDirectory={_NAME}
StateDirectoryMode=0700
# Thousands of lines a day would say that it started and ended; what it has to say is a notice.
LogLevelMax=notice
{confined}"""

    def _timer(self) -> str:
        return f"""\
[Unit]
Description=habla: looks at partitions and logs every {self.spec.every_seconds} s

[Timer]
OnBootSec=10s
OnUnitActiveSec={self.spec.every_seconds}s
AccuracySec=1s

[Install]
WantedBy=timers.target
"""


# It sees all of the host, and writes nowhere but in its two directories. Nothing here may hide a mount or a
# file: no ProtectHome, no PrivateTmp.
_CONFINED = """\
ProtectSystem=strict
NoNewPrivileges=yes
CapabilityBoundingSet=CAP_DAC_OVERRIDE CAP_DAC_READ_SEARCH CAP_SYS_PTRACE CAP_SETUID CAP_SETGID
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX AF_NETLINK
"""

_LAUNCHER = launcher("habla's watcher", _MODULES, main="habla_watch.main", cache=_NAME)


def _snmp_conf(snmp: SnmpSpec) -> str:
    """Settings of net-snmp's clients; it unescapes what is in double quotes as systemd does."""
    if snmp.version == "2c":
        return f'defVersion 2c\ndefCommunity "{secret(snmp.community, "env")}"\n'
    return (
        f"defVersion 3\ndefSecurityName {snmp.user}\ndefSecurityLevel authPriv\n"
        f"defAuthType {AUTH}\ndefPrivType {PRIVACY}\n"
        f'defAuthPassphrase "{secret(snmp.auth, "env")}"\n'
        f'defPrivPassphrase "{secret(snmp.privacy, "env")}"\n'
    )
