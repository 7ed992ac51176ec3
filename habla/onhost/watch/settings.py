"""The settings of the watcher: ``/etc/habla/watch.json``, which the deployment writes."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Mapping, Type, TypeVar

CONFIG = "/etc/habla/watch.json"
T = TypeVar("T")


@dataclass(frozen=True)
class Mail:
    """How mail goes out. password_file: holds the password and nothing else; empty without a login."""

    to: tuple[str, ...]
    sender: str
    host: str
    port: int = 25
    starttls: bool = False
    user: str = ""
    password_file: str = ""


@dataclass(frozen=True)
class Peer:
    """A program that writes a sign of life. address: of its snmpd. url: of a page, in place of snmpd."""

    name: str
    address: str = ""
    port: int = 161
    url: str = ""
    silent_seconds: int = 180


@dataclass(frozen=True)
class Settings:
    """All settings. Percentages are of use; times carry their unit in their name.

    partitions: mount points that must be there. directories: where logs are. data: directories that may grow.
    exempt: globs of files that may be there without a rule; ``*`` spans directories.
    snmp: the directory of net-snmp's client settings. settle_seconds: how long a log may lack a rule untold,
    so that a deployment in progress is not reported. old_processes: HAProxy instance -> how many of them
    it may have after reloads.
    """

    host: str
    environment: str
    partitions: tuple[str, ...] = ()
    warning: int = 80
    critical: int = 90
    trend_hours: int = 24
    trend_minutes: int = 60
    directories: tuple[str, ...] = ("/var/log",)
    data: tuple[str, ...] = ()
    exempt: tuple[str, ...] = ()
    logrotate: str = "/etc/logrotate.conf"
    settle_seconds: int = 120
    mail: Mail | None = None
    command: tuple[str, ...] = ()
    peers: tuple[Peer, ...] = ()
    snmp: str = ""
    old_processes: Mapping[str, int] = field(default_factory=dict)


def load(path: str) -> Settings:
    """The settings in a file. Raises OSError, or ValueError with the reason."""
    raw = json.loads(Path(path).read_text("utf-8"))
    if not isinstance(raw, dict):
        raise ValueError(f"{path}: the settings must be a mapping")
    mail = raw.pop("mail", None)
    peers = raw.pop("peers", [])
    return _build(
        Settings,
        raw,
        path,
        mail=_build(Mail, mail, f"{path}: mail") if mail else None,
        peers=tuple(_build(Peer, peer, f"{path}: peers") for peer in peers),
    )


def _build(kind: Type[T], raw: Any, where: str, **more: Any) -> T:
    unknown = set(raw) - {known.name for known in fields(kind)}  # type: ignore[arg-type]
    if unknown:
        raise ValueError(f"{where}: unknown keys: {', '.join(sorted(unknown))}")
    values = {key: tuple(value) if isinstance(value, list) else value for key, value in raw.items()}
    try:
        return kind(**values, **more)
    except TypeError as error:
        raise ValueError(f"{where}: {error}") from None
