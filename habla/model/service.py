"""The description that a service gives of itself. Everything that cuts across services is derived from it.

Bind addresses, logrotate rules, HAProxy backends, names, port clashes and placement come from these values
and are never written a second time.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import KW_ONLY, dataclass
from enum import StrEnum
from typing import ClassVar

from habla.errors import Fault
from habla.model.lab_forward import Forward
from habla.model.offer import Offer
from habla.model.programs import ProgramArchive
from habla.model.public_names import PublicName
from habla.model.site import Database, Endpoints, FleetFacts, Site
from habla.model.spec import ArchiveSpec, LogSpec, Spec
from habla.onhost.document import HostState, Parts

__all__ = [
    "AdminPage",
    "DataBound",
    "HostFacts",
    "HostPart",
    "Log",
    "Owner",
    "Port",
    "Scope",
    "Service",
    "ServiceState",
    "Stability",
]


class Stability(StrEnum):
    """Whether a service may use up the memory or processors of its machine (row 2 of the fleet's rules)."""

    STABLE = "stable"
    VOLATILE = "volatile"


class Scope(StrEnum):
    """From where a port can be reached."""

    LOOPBACK = "loopback"
    INTERNAL = "internal"
    PUBLIC = "public"


@dataclass(frozen=True, order=True)
class Port:
    """A TCP port that a service listens on."""

    number: int
    scope: Scope = Scope.INTERNAL


@dataclass(frozen=True)
class Log:
    """Log files (a glob) of a service, rotated by size: ``keep`` old files of ``size`` each.

    reopen: a command that makes the daemon open its log anew. create: mode, owner and group of the new file,
    as logrotate takes them, where the daemon does not make it. With neither the file is copied and truncated.
    rule: the rule's name in /etc/logrotate.d; the name of the package's own rule replaces that rule.
    rate: how much one file grows in a minute at most; empty: as the stack's settings say.
    files: how many files the glob matches at most. setting: where the user says this, if he does.
    """

    path: str
    size: str = "1M"
    _: KW_ONLY
    keep: int = 3
    reopen: str = ""
    rule: str = ""
    create: str = ""
    rate: str = ""
    files: int = 1
    setting: str = ""

    @classmethod
    def of(cls, spec: LogSpec, rule: str, *, setting: str) -> Log:
        """The logs that a user's settings name, in the rule of that name."""
        return cls(
            spec.path,
            spec.size,
            keep=spec.keep,
            rule=rule,
            rate=spec.rate or "",
            files=spec.files,
            setting=setting,
        )


@dataclass(frozen=True, order=True)
class DataBound:
    """A directory in which a service keeps its data below a size. setting: the setting of that size."""

    path: str
    size: str
    _: KW_ONLY
    setting: str


@dataclass(frozen=True)
class ServiceState(Parts):
    """One service on one host, with its ports and logs.

    data: the directories of its data. Their files may grow, but no rule of rotation may touch them.
    bounds: the most that the data takes, if that is known.
    """

    logs: tuple[Log, ...] = ()
    ports: tuple[Port, ...] = ()
    data: tuple[str, ...] = ()
    bounds: tuple[DataBound, ...] = ()


@dataclass(frozen=True)
class HostFacts:
    """The facts about the services of a host that its watcher needs.

    data: directories that grow and hold no logs. bounds: of such data. stats_pages: HAProxy instance -> port
    of its statistics page, on the loopback address. most_old_processes: HAProxy instance -> how many old
    processes it may have after reloads.
    """

    logs: tuple[Log, ...] = ()
    data: tuple[str, ...] = ()
    _: KW_ONLY
    bounds: tuple[DataBound, ...] = ()
    stats_pages: tuple[tuple[str, int], ...] = ()
    most_old_processes: tuple[tuple[str, int], ...] = ()

    def __add__(self, other: HostFacts) -> HostFacts:
        return HostFacts(
            self.logs + other.logs,
            self.data + other.data,
            bounds=self.bounds + other.bounds,
            stats_pages=self.stats_pages + other.stats_pages,
            most_old_processes=self.most_old_processes + other.most_old_processes,
        )


@dataclass(frozen=True, order=True)
class Owner:
    """The owner of a name on a host, in the user's words. path: the setting to change, or ""."""

    title: str
    path: str = ""


class Service(ABC):
    """A service of the fleet, with its settings, not yet on a host. A subclass is a frozen dataclass.

    name: the name of the service in the settings, unique on a host.
    """

    # The word for services like this one in the settings: ``memcached``, ``jabber`` …
    kind: ClassVar[str]
    # The class of its settings, and their path in a stack.
    Settings: ClassVar[type[Spec]]
    section: ClassVar[str] = ""
    # The roles whose hosts may run it, and those whose hosts run it unless the settings say otherwise. These
    # are the roles that habla knows; a stack may say something else.
    roles: ClassVar[tuple[str, ...]] = ()
    default_roles: ClassVar[tuple[str, ...]] = ()
    # Whether it may share a host with HAProxy (row 2 of the fleet's rules), and whether it is HAProxy.
    beside_balancer: ClassVar[bool] = False
    balances: ClassVar[bool] = False
    # The component of its host that it is a part of; empty: the component of the host's role.
    component: ClassVar[str] = ""
    # Programs of its own that travel with the agent; its state names them by digest.
    programs: ClassVar[tuple[ProgramArchive, ...]] = ()
    # Unix users that its packages bring along. A program that runs as one of them could read its secrets.
    daemon_users: ClassVar[tuple[str, ...]] = ()
    # Whether a fleet has it on one host only. Two of them would know nothing of each other's data.
    one_per_fleet: ClassVar[bool] = False
    # Whether its data is of no use on a host of another name.
    data_needs_host_name: ClassVar[bool] = False
    # The role whose component class deploys it, also on hosts of a role of the user's own.
    home_role: ClassVar[str] = ""

    name: str

    @property
    def stability(self) -> Stability:
        """Whether it may use up its machine."""
        return Stability.STABLE

    @classmethod
    def of(cls, settings: Spec) -> Service:
        """The service with these settings, of the class ``Settings``. Only for those with a ``section``."""
        return cls(settings)  # type: ignore[call-arg]

    @property
    def owner(self) -> Owner:
        """How errors name it."""
        return Owner(f"the service {self.name}", self.section)

    def offers(self) -> tuple[Offer, ...]:
        """Its offers to the rest of the fleet; the same on every host."""
        return ()

    def reserved_names(self) -> tuple[str, ...]:
        """Names that no offer of another service may have."""
        return ()

    def archives(self) -> Mapping[str, ArchiveSpec]:
        """YAML path -> archive, of the archives that its hosts need."""
        return {}

    def companions(self) -> tuple[Service, ...]:
        """Services that run wherever it runs."""
        return ()

    def ahead(self, site: Site) -> tuple[HostState, ...]:
        """Components that its host must have before it. Each is deployed, and removed, by itself."""
        return ()

    def stats_pages(self) -> Mapping[str, int]:
        """HAProxy instance -> port of its statistics page, on the loopback address."""
        return {}

    def most_old_processes(self) -> Mapping[str, int]:
        """HAProxy instance -> the number of old processes that it may have after reloads."""
        return {}

    def forwards(self, site: Site) -> Mapping[str, Forward]:
        """Name -> a way for users of a lab from the loopback address."""
        return {}

    def data_paths(self) -> tuple[str, ...]:
        """Directories with data that would be missed; () for a service that keeps nothing."""
        return ()

    def data_name(self, site: Site) -> str:
        """The name of that data, when the same directories can hold different data: a database, say."""
        return self.name

    def public_names(self, fleet: FleetFacts) -> Iterable[PublicName]:
        """The names by which people reach it."""
        return ()

    def admin_page(self) -> AdminPage | None:
        """Its page for operators, if it has one."""
        return None

    def databases(self) -> tuple[Database, ...]:
        """The databases that it needs in the fleet's MySQL."""
        return ()

    def shared_address(self) -> str:
        """The public address that its hosts share, of which one has it at a time; "" without one."""
        return ""

    def fleet_faults(self, sites: Mapping[str, Site]) -> Iterable[Fault]:
        """Its faults in the fleet as a whole. sites: all hosts."""
        return ()

    def notes(self, endpoints: Endpoints) -> Iterable[str]:
        """Remarks on settings that are allowed, but may not be meant."""
        return ()

    @abstractmethod
    def state(self, site: Site) -> ServiceState:
        """Its state on one host. Pure. Raises Faults."""


@dataclass(frozen=True)
class AdminPage:
    """A page for operators on the loopback address of a host. accounts: the accounts that may log in."""

    port: int
    path: str
    accounts: tuple[str, ...] = ()


class HostPart(Service):
    """A part that a host gets because of the services on it. It is never placed by settings and has none."""

    kind: ClassVar = "host-part"
    Settings: ClassVar = Spec
    # How errors name it.
    title: ClassVar[str]

    @property
    def owner(self) -> Owner:
        """It belongs to habla itself."""
        return Owner(f"habla's {self.title}")
