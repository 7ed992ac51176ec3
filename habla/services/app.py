"""A program of the user's own (RPC, status, website, gateway …) as a systemd service."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

from habla.errors import Fault, SettingsError, raise_faults
from habla.model.offer import Balancer, HttpCheck, Offer, OfferedValue, Route
from habla.model.quoting import environment_value, systemd_word
from habla.model.service import Log, Owner, Port, Service, ServiceState, Stability
from habla.model.site import Endpoint, FleetFacts, Site
from habla.model.spec import ArchiveSpec
from habla.onhost.document import Directory, File, Health, Unit, User, secret
from habla.services.app_spec import AppSpec

__all__ = ["App"]

# Its own host's or the first, and one to fail over to. With all of them, a host that joins would restart
# every program that names them.
_MOST_ADDRESSES = 2
_REFERENCE = re.compile(r"\$\{([^}]*)\}")
# A program that writes to stdout or stderr fills this; the rest is its own business and in ``logs``.
_OUTPUT = "output.log"


@dataclass(frozen=True)
class App(Service):
    """A program with its settings."""

    kind: ClassVar = "app"
    Settings: ClassVar = AppSpec
    roles: ClassVar = ("monitor", "stable", "web", "volatile")
    default_roles: ClassVar = ("stable", "web", "volatile")

    name: str
    spec: AppSpec

    @property
    def owner(self) -> Owner:
        """How errors name it."""
        return Owner(f"the app {self.name}", self._path)

    @property
    def stability(self) -> Stability:
        """The user declares it, because habla cannot know it."""
        return Stability(self.spec.stability)

    def offers(self) -> tuple[Offer, ...]:
        """HTTP on its port, through the www instance where it has routes; without a port, its presence."""
        if self.spec.port is None:
            return (Offer(self.name, 0),)
        check = None
        if self.spec.health:
            host = next((route.host for route in self.spec.routes if route.host), "")
            check = HttpCheck(self.spec.health.path, self.spec.health.expect, host=host)
        routes = tuple(Route(route.host or "", _prefix(route.path)) for route in self.spec.routes)
        if self.spec.default:
            routes = (*routes, Route())
        return (
            Offer(
                self.name,
                self.spec.port,
                balancer=Balancer.WWW if self.spec.balanced else None,
                routes=routes,
                check=check,
                maxconn=self.spec.maxconn,
                setting=f"{self._path}.routes",
            ),
        )

    def archives(self) -> Mapping[str, ArchiveSpec]:
        """Its files."""
        return {f"{self._path}.archive": self.spec.archive} if self.spec.archive else {}

    def data_paths(self) -> tuple[str, ...]:
        """Its working directory."""
        return (f"/var/lib/{self._prefixed}",)

    def data_name(self, site: Site) -> str:
        """The program: under another name it is still the same."""
        archive = self.spec.archive
        source = (archive.path or archive.url or "") if archive else ""
        return f"program {source or ' '.join(self.spec.command)}"

    def state(self, site: Site) -> ServiceState:
        """A unit under a user of its own. Raises SettingsError for a reference that no service offers."""
        archive = site.fleet.archives.get(self.spec.archive) if self.spec.archive else None
        unit = f"{self._prefixed}.service"
        unit_path = f"/etc/systemd/system/{unit}"
        environment_path = f"/etc/habla/apps/{self.name}.env"
        health = {}
        if self.spec.port is not None:
            check = self.spec.health
            health[self.name] = Health(
                unit,
                address=str(site.address),
                port=self.spec.port,
                path=check.path if check else "",
                expect=check.expect if check else 200,
                deadline=check.deadline if check else 30,
            )
        logs = [Log(f"{self._log_directory}/{_OUTPUT}", rule=self._prefixed)]
        logs += [
            Log.of(log, self._prefixed, setting=f"{self._path}.logs[{index}]")
            for index, log in enumerate(self.spec.logs)
        ]
        return ServiceState(
            packages=self.spec.packages,
            users={self._user: User()},
            # Not LogsDirectory=: systemd opens the standard output before it makes that.
            directories={self._log_directory: Directory("0750", owner=self._user, group=self._user)},
            files={
                unit_path: File(self._unit(environment_path)),
                # Read by systemd, as root, before the program starts.
                environment_path: File(self._environment(site), mode="0600"),
            },
            archives={self._directory: archive} if archive else {},
            units={
                unit: Unit(
                    restart_on=(
                        unit_path,
                        environment_path,
                        *([self._directory] if archive else []),
                    )
                )
            },
            health=health,
            logs=tuple(logs),
            ports=() if self.spec.port is None else (Port(self.spec.port),),
            data=self.data_paths(),
        )

    @property
    def _path(self) -> str:
        return f"apps.{self.name}"

    @property
    def _prefixed(self) -> str:
        return f"habla-{self.name}"

    @property
    def _user(self) -> str:
        return self.spec.user or self._prefixed

    @property
    def _log_directory(self) -> str:
        return f"/var/log/{self._prefixed}"

    @property
    def _directory(self) -> str:
        return f"/opt/habla/{self.name}"

    def _unit(self, environment_path: str) -> str:
        limits = self.spec.limits
        command = " ".join(systemd_word(word.replace("{app}", self._directory)) for word in self.spec.command)
        lines = [
            "[Unit]",
            f"Description=habla: {self.name}",
            "",
            "[Service]",
            f"ExecStart={command}",
            f"User={self._user}",
            f"Group={self._user}",
            f"EnvironmentFile={environment_path}",
            f"StateDirectory={self._prefixed}",
            f"WorkingDirectory=/var/lib/{self._prefixed}",
            f"StandardOutput=append:{self._log_directory}/{_OUTPUT}",
            "StandardError=inherit",
            "Restart=always",
            "RestartSec=1",
            f"MemoryMax={limits.memory_mb}M",
            f"TasksMax={limits.tasks}",
            f"LimitNOFILE={limits.open_files}",
            *([f"CPUQuota={limits.cpu_percent}%"] if limits.cpu_percent else []),
            "NoNewPrivileges=yes",
            "PrivateTmp=yes",
            "ProtectHome=yes",
            "ProtectSystem=strict",
            f"ReadWritePaths={self._log_directory}",
            "",
            "[Install]",
            "WantedBy=multi-user.target",
        ]
        return "\n".join(lines) + "\n"

    def _environment(self, site: Site) -> str:
        faults: list[Fault] = []
        values = {"HABLA_HOST": site.host, "HABLA_ADDRESS": str(site.address)}
        if self.spec.port is not None:
            values["HABLA_PORT"] = str(self.spec.port)
        for name, value in self.spec.environment.items():
            path = f"{self._path}.environment.{name}"
            values[name] = _REFERENCE.sub(
                partial(_resolve, site, app=self.name, path=path, faults=faults), value
            )
        raise_faults(SettingsError, faults)
        lines = {name: environment_value(value) for name, value in values.items()}
        lines |= {name: f'"{secret(where, "env")}"' for name, where in self.spec.secrets.items()}
        return "".join(f"{name}={value}\n" for name, value in sorted(lines.items()))


def _prefix(path: str | None) -> str:
    """/rpc/ and /rpc are one route."""
    return "" if path is None else path.rstrip("/") or "/"


def _resolve(site: Site, match: re.Match[str], *, app: str, path: str, faults: list[Fault]) -> str:
    """The value of a reference to another service or to this host. A fault if no service offers it."""
    service, _, attribute = match[1].partition(".")
    if match[1] == "domain":
        return site.fleet.domain
    if service == "host" and attribute in ("address", "name"):
        return str(site.address) if attribute == "address" else site.host
    special = [
        (end, value)
        for end in site.own_first(site.fleet.endpoints.all)
        for value in end.offer.values
        if value.name == match[1]
    ]
    if special:
        return _special(special, match[0], app=app, fleet=site.fleet, path=path, faults=faults)
    ends = [end for end in site.own_first(site.fleet.endpoints.named(service)) if end.offer.port]
    addresses = [str(end.address) for end in ends]
    values = {
        "address": "".join(addresses[:1]),
        "addresses": ",".join(addresses[:_MOST_ADDRESSES]),
        "port": str(ends[0].offer.port) if ends else "",
    }
    if not ends or attribute not in values:
        rule = (
            f"${{SERVICE.address}}, ${{SERVICE.addresses}} or ${{SERVICE.port}} of {_known(site)}, "
            "${host.address}, ${host.name}, ${domain}"
        )
        faults.append(
            Fault(
                path, "no service offers this value", value=match[0], rule=rule, fix="correct the reference"
            )
        )
        return match[0]
    return values[attribute]


def _special(
    found: Sequence[tuple[Endpoint, OfferedValue]],
    text: str,
    *,
    app: str,
    fleet: FleetFacts,
    path: str,
    faults: list[Fault],
) -> str:
    value = found[0][1]
    if value.users is not None and app not in value.users:
        rule = f"only {', '.join(value.users) or 'no app'} may use this value"
        fix = f"add {app} to services.{value.name.partition('.')[0]}, or remove the reference"
        faults.append(Fault(path, "this app may not use it", value=text, rule=rule, fix=fix))
        return text
    if value.secret:
        return secret(value.secret.format(app=app), "env")
    texts = (fleet.text_of(item, end, app=app) for end, item in found)
    return ",".join([*dict.fromkeys(texts)][:_MOST_ADDRESSES])


def _known(site: Site) -> str:
    ends = site.fleet.endpoints.all
    names = sorted({end.offer.name for end in ends if end.offer.port})
    values = sorted({f"${{{value.name}}}" for end in ends for value in end.offer.values})
    return ", ".join([", ".join(names) or "no service", *values])
