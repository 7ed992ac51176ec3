"""The settings that keep partitions from filling: partitions, log rules, alerts, SNMP and Cacti.

Sizes are texts, ``512k``, ``64M``, ``4G``, in powers of 1024 as logrotate takes them.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from habla.model.names import SecretName, ServerAddress
from habla.model.spec import LogSpec, PortNumber, Spec
from habla.model.text_types import AbsolutePath, Line, MailAddress, Size, matching

__all__ = [
    "AlertsSpec",
    "LogRuleSpec",
    "LogsSpec",
    "MailAddress",
    "MountPoint",
    "PartitionSpec",
    "SmtpSpec",
    "size_bytes",
]

MountPoint = Annotated[
    AbsolutePath,
    matching(
        r"(?!/(?:dev|proc|run|sys)(?:/|$))[^,:=]*",
        "not in /dev, /proc, /run or /sys, without , : and =, up to 200 characters",
        most=200,
    ),
]
# logrotate leaves out file names with a dot in some places (its taboo list), so none is taken.
RuleName = Annotated[
    str, matching(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}", "letters, digits, _ and -, up to 64 characters")
]
Percent = Annotated[int, Field(ge=1, le=99)]
_UNITS = {"k": 1 << 10, "M": 1 << 20, "G": 1 << 30}


def size_bytes(text: str) -> int:
    """A size as bytes: ``512k`` is 524288."""
    return int(text[:-1]) * _UNITS[text[-1]]


class PartitionSpec(Spec):
    """A partition of a host: a file system of its own."""

    size: Size
    """The size of the file system. A lab makes the partition. Any other host must have it, and habla checks
    it."""
    reserved: Size | None = None
    """The space for everything that is not a log. Only a partition under ``/var/log`` can do without it."""


class LogRuleSpec(Spec):
    """A change of one rule in ``/etc/logrotate.d``. A key that is not set keeps the value of the service."""

    size: Size | None = None
    """logrotate rotates a file that is larger than this."""
    keep: Annotated[int, Field(ge=1, le=100)] | None = None
    """How many rotated files logrotate keeps of each log."""
    rate: Size | None = None
    """How much one file grows in a minute at most."""


class LogsSpec(Spec):
    """The rotation of logs on every host."""

    check_seconds: Annotated[int, Field(ge=10, le=1800)] = 300
    """How often logrotate looks at the logs."""
    rate: Size = "512k"
    """How much one log file grows in a minute at most. The rate of a service or an app replaces it."""
    journal: Size = "64M"
    """How much space the journal of systemd takes at most."""
    rules: dict[RuleName, LogRuleSpec] = Field(default_factory=dict)
    """Changes of rules, by the name of the rule in ``/etc/logrotate.d``."""
    extra: dict[RuleName, tuple[LogSpec, ...]] = Field(default_factory=dict)
    """Rules for logs of programs that habla does not deploy, on every host that has these logs."""


class SmtpSpec(Spec):
    """The mail server that takes the alerts."""

    host: ServerAddress
    """The name or address of the server."""
    port: PortNumber = 25
    """The port of the server."""
    starttls: bool = False
    """Whether the hosts encrypt the connection with STARTTLS. A login requires it."""
    user: Line | None = None
    """The user who logs in, for a server that requires a login."""
    password: SecretName | None = None
    """The secret that holds the password of ``user``."""

    @model_validator(mode="after")
    def _login(self) -> SmtpSpec:
        if (self.user is None) != (self.password is None):
            raise ValueError("set both user and password, or neither")
        if self.user is not None and not self.starttls:
            raise ValueError("habla sends a password only over an encrypted connection: set starttls: true")
        return self


class AlertsSpec(Spec):
    """Who gets an alert before a partition fills, and when. Use ``to`` and ``smtp``, or ``command``."""

    to: tuple[MailAddress, ...] = ()
    """The mail addresses that get the alerts."""
    sender: MailAddress | None = None
    """The sender of the mails. Without it, the sender is ``habla@HOST.DOMAIN``."""
    smtp: SmtpSpec | None = None
    """The mail server. ``to`` requires it."""
    command: tuple[Line, ...] = ()
    """A program on the hosts, with its arguments, that runs instead of a mail. Its last argument is the
    subject, and its standard input is the text."""
    warning: Percent = 80
    """The use of space or inodes, in percent, that causes a warning. All logs together must stay below it."""
    critical: Percent = 90
    """The use of space or inodes, in percent, that makes the alert critical."""
    trend_hours: Annotated[int, Field(ge=1, le=24 * 90)] = 24
    """habla sends an alert when a partition will be full within this time."""
    trend_minutes: Annotated[int, Field(ge=5, le=24 * 60)] = 60
    """The period over which habla measures how fast a partition fills."""
    every_seconds: Annotated[int, Field(ge=5, le=300)] = 20
    """How often each host looks at its partitions."""
    settle_seconds: Annotated[int, Field(ge=0, le=3600)] = 120
    """How long a log may have no rule before habla sends an alert. A deployment may write a log before its
    rule."""
    silent_seconds: Annotated[int, Field(ge=90, le=3600)] = 300
    """How long a host or the monitor may be silent before habla sends an alert."""

    @model_validator(mode="after")
    def _one_way(self) -> AlertsSpec:
        if self.warning >= self.critical:
            raise ValueError("warning must be below critical")
        if bool(self.to) != (self.smtp is not None):
            raise ValueError("set both to and smtp, or neither")
        if self.to and self.command:
            raise ValueError("set to and smtp, or set command, but not both")
        return self

    @property
    def told(self) -> bool:
        """Whether anybody is told."""
        return bool(self.to or self.command)
