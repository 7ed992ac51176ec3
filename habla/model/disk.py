"""The settings of what keeps partitions from filling: partitions, log rules, alerts, SNMP and Cacti.

Sizes are texts, ``512k``, ``64M``, ``4G``, in powers of 1024 as logrotate takes them.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from habla.model.names import OtherAddress, SecretName
from habla.model.spec import LogSpec, PortNumber, Spec
from habla.model.text_types import AbsolutePath, Line, LogSize, MailAddress, matching

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
        "an absolute path of letters, digits and . _ @ + ~ -, up to 200 characters, not in /dev, /proc, /run "
        "or /sys",
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
    """A partition. size: of its file system. reserved: what everything but logs may take of it.

    reserved may be left out where nothing else is: under /var/log.
    """

    size: LogSize
    reserved: LogSize | None = None


class LogRuleSpec(Spec):
    """Changes one rule of /etc/logrotate.d. What is not given stays as the service says."""

    size: LogSize | None = None
    keep: Annotated[int, Field(ge=1, le=100)] | None = None
    rate: LogSize | None = None


class LogsSpec(Spec):
    """Rotation on every host.

    check_seconds: how often logrotate looks. rate: how much one log file grows in a minute at most, where its
    service does not say. journal: what journald keeps at most. rules: rule in /etc/logrotate.d -> changes.
    extra: rule -> logs of what habla does not deploy, on every host that has them.
    """

    check_seconds: Annotated[int, Field(ge=10, le=1800)] = 300
    rate: LogSize = "512k"
    journal: LogSize = "64M"
    rules: dict[RuleName, LogRuleSpec] = Field(default_factory=dict)
    extra: dict[RuleName, tuple[LogSpec, ...]] = Field(default_factory=dict)


class SmtpSpec(Spec):
    """A mail server. user, password (the name of a secret): where it wants a login. starttls: encrypt."""

    host: OtherAddress
    port: PortNumber = 25
    starttls: bool = False
    user: Line | None = None
    password: SecretName | None = None

    @model_validator(mode="after")
    def _login(self) -> SmtpSpec:
        if (self.user is None) != (self.password is None):
            raise ValueError("user and password go together")
        if self.user is not None and not self.starttls:
            raise ValueError("a password is sent encrypted only: set starttls")
        return self


class AlertsSpec(Spec):
    """Who is told before a partition fills, and when.

    to, smtp: by mail. command: instead of mail, a program that gets the subject as its last argument and the
    text on its standard input. warning, critical: use in percent, of space and of inodes.
    trend_hours: told when a partition would be full that soon, at the rate of the last ``trend_minutes``.
    every_seconds: how often each host looks. settle_seconds: how long a log may be without a rule untold, as
    deployments write a log before its rule. silent_seconds: told when a host, or the monitor, has given no
    sign of life for so long.
    """

    to: tuple[MailAddress, ...] = ()
    sender: MailAddress | None = None
    smtp: SmtpSpec | None = None
    command: tuple[Line, ...] = ()
    warning: Percent = 80
    critical: Percent = 90
    trend_hours: Annotated[int, Field(ge=1, le=24 * 90)] = 24
    trend_minutes: Annotated[int, Field(ge=5, le=24 * 60)] = 60
    every_seconds: Annotated[int, Field(ge=5, le=300)] = 20
    settle_seconds: Annotated[int, Field(ge=0, le=3600)] = 120
    silent_seconds: Annotated[int, Field(ge=90, le=3600)] = 300

    @model_validator(mode="after")
    def _one_way(self) -> AlertsSpec:
        if self.warning >= self.critical:
            raise ValueError("warning is below critical")
        if bool(self.to) != (self.smtp is not None):
            raise ValueError("to and smtp go together")
        if self.to and self.command:
            raise ValueError("give either to and smtp, or command")
        return self

    @property
    def told(self) -> bool:
        """Whether anybody is told."""
        return bool(self.to or self.command)
