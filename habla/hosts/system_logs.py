"""The logs that a distribution writes by itself: its journal, and the files of its package tools and logins.

Debian rotates the latter once a month at any size, and lets the journal take a tenth of the file system. The
logs of rsyslog belong to the service that needs rsyslog.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from habla.hosts.rotation import JOURNAL_FILES
from habla.model.disk import size_bytes
from habla.model.service import HostPart, Log, ServiceState
from habla.model.site import Site
from habla.onhost.document import Action, File

__all__ = ["SystemLogs"]

_JOURNAL = "/etc/systemd/journald.conf.d/habla.conf"
# (rule, path, mode and owner of a new file). dpkg and apt open theirs for each run.
_FILES = (
    ("alternatives", "/var/log/alternatives.log", "0644 root root"),
    ("apt", "/var/log/apt/history.log", "0644 root root"),
    ("apt", "/var/log/apt/term.log", "0640 root adm"),
    ("btmp", "/var/log/btmp", "0660 root utmp"),
    ("dpkg", "/var/log/dpkg.log", "0644 root root"),
    ("wtmp", "/var/log/wtmp", "0664 root utmp"),
    # Debian 13 has a database of SQLite instead, which takes an empty file for a new one.
    ("wtmpdb", "/var/log/wtmp.db", "0644 root root"),
)


@dataclass(frozen=True)
class SystemLogs(HostPart):
    """Bounds on the distribution's logs."""

    title: ClassVar = "rules for the logs of the distribution"

    name: str = "system-logs"

    def state(self, site: Site) -> ServiceState:
        """journald's limits, and rules in the place of the distribution's own."""
        spec = site.fleet.logs
        return ServiceState(
            files={
                _JOURNAL: File(
                    "[Journal]\n"
                    f"SystemMaxUse={spec.journal}\n"
                    f"SystemMaxFileSize={size_bytes(spec.journal) // JOURNAL_FILES}\n"
                    # On a tmpfs, as long as the partition is not there.
                    "RuntimeMaxUse=16M\n"
                )
            },
            # Not as a unit of ours: it starts before the network, and those wait for the internal address.
            actions={
                "journald": Action(("systemctl", "restart", "systemd-journald.service"), inputs=(_JOURNAL,))
            },
            logs=(
                *(
                    Log(path, size="256k", keep=2, create=create, rule=rule, rate="64k")
                    for rule, path, create in _FILES
                ),
                *(
                    Log.of(log, rule, setting=f"logs.extra.{rule}[{index}]")
                    for rule, logs in sorted(spec.extra.items())
                    for index, log in enumerate(logs)
                ),
            ),
        )
