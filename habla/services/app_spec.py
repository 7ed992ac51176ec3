"""The settings of a program of the user's own: ``habla:apps`` of a stack."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from habla.model.names import DnsName, SecretName
from habla.model.spec import MAX_MB, ArchiveSpec, LogSpec, Many, PortNumber, Spec
from habla.model.text_types import DebianPackage, EnvironmentName, Line, RequestPath, RoutePath, UserName

__all__ = ["AppSpec", "HealthSpec", "LimitsSpec", "RouteSpec"]


# See App: the facts that a program learns about its host.
_OWN_VARIABLES = ("HABLA_ADDRESS", "HABLA_HOST", "HABLA_PORT")


class HealthSpec(Spec):
    """The health check of an app: an HTTP GET. HAProxy repeats it, and a deployment waits for it."""

    path: RequestPath
    """The path of the request."""
    expect: Annotated[int, Field(ge=100, le=599)] = 200
    """The status that a healthy app answers."""
    deadline: Annotated[int, Field(ge=1, le=600)] = 30
    """How many seconds after its start the app must be healthy."""


class RouteSpec(Spec):
    """The requests that HAProxy's www instance sends to an app. It has a ``host``, a ``path`` or both."""

    host: DnsName | None = None
    """The virtual host of the requests."""
    path: RoutePath | None = None
    """The path of the requests. The route includes all paths below it."""

    @model_validator(mode="after")
    def _something(self) -> RouteSpec:
        if self.host is None and self.path is None:
            raise ValueError("set host, path or both")
        return self


# tasks: the kernel's PID_MAX_LIMIT. open_files: its fs.nr_open, unless somebody raised that.
class LimitsSpec(Spec):
    """The most that an app may use of its host."""

    memory_mb: Annotated[int, Field(ge=16, le=MAX_MB)] = 512
    """The memory. systemd ends a program that needs more, and starts it again."""
    tasks: Annotated[int, Field(ge=1, le=4_194_304)] = 256
    """The number of processes and threads."""
    cpu_percent: Annotated[int, Field(ge=1, le=100_000)] | None = None
    """The share of one processor: 150 is one and a half processors. Without it, there is no limit."""
    open_files: Annotated[int, Field(ge=64, le=1_048_576)] = 4096
    """The number of open files and connections."""


class AppSpec(Spec):
    """A program of your own. systemd runs it as a system user of its own."""

    roles: Annotated[Many[str], Field(min_length=1)]
    """The roles whose hosts run the app."""
    command: Annotated[Many[Line], Field(min_length=1)]
    """The program and its arguments. ``{app}`` is the directory of the unpacked archive."""
    stability: Literal["stable", "volatile"] = "stable"
    """``volatile`` if the app may use up the memory or the processors of its host."""
    archive: ArchiveSpec | None = None
    """The files of the app. Without it, ``command`` is a program that the host has."""
    packages: Many[DebianPackage] = ()
    """The Debian packages that the app needs."""
    user: UserName | None = None
    """The system user that runs the app. Without it, the user is ``habla-NAME``."""
    port: PortNumber | None = None
    """The port that the app listens on. The app finds it in ``$HABLA_PORT``, and the address in
    ``$HABLA_ADDRESS``."""
    environment: dict[EnvironmentName, Line] = Field(default_factory=dict)
    """Environment variables. A value may contain references such as ``${mysql.address}``."""
    secrets: dict[EnvironmentName, SecretName] = Field(default_factory=dict)
    """Environment variables whose values are secrets: the variable, and the name of the secret."""
    health: HealthSpec | None = None
    """The health check. An app behind HAProxy requires one."""
    routes: tuple[RouteSpec, ...] = ()
    """The requests that HAProxy sends to the app."""
    default: bool = False
    """Whether the app gets all requests that match no route. Only one app can have it."""
    maxconn: Annotated[int, Field(ge=0, le=250_000)] = 0
    """How many requests one server works on at a time. More requests wait in HAProxy. 0 is no limit."""
    logs: tuple[LogSpec, ...] = ()
    """Logs that the app writes besides its output."""
    limits: LimitsSpec = LimitsSpec()
    """The most that the app may use of its host."""

    @field_validator("command")
    @classmethod
    def _program(cls, command: tuple[str, ...]) -> tuple[str, ...]:
        # systemd looks for a name in its own directories; other characters in front change what it does.
        if not re.match(r"(?:/|\{app\}/|[A-Za-z0-9][A-Za-z0-9._+-]*$)", command[0]):
            raise ValueError("the first word is a program: its path from /, {app}/… or the name of a command")
        if "$" in command[0]:
            raise ValueError(
                "the path of the program must not contain $, because systemd has no way to quote it there"
            )
        return command

    @model_validator(mode="after")
    def _one_value_each(self) -> AppSpec:
        both = sorted({*self.environment} & {*self.secrets})
        if both:
            raise ValueError(
                f"set each variable in environment or in secrets, not in both: {', '.join(both)}"
            )
        own = sorted(name for name in (*self.environment, *self.secrets) if name in _OWN_VARIABLES)
        if own:
            raise ValueError(f"habla sets {', '.join(own)} itself")
        return self

    @property
    def balanced(self) -> bool:
        """Whether HAProxy sends requests to it."""
        return bool(self.routes) or self.default
