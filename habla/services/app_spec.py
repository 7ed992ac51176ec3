"""The settings of a program of the user's own: ``habla:apps`` of a stack."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from habla.model.names import DnsName, SecretName
from habla.model.spec import MAX_MB, ArchiveSpec, LogSpec, Many, PortNumber, Spec
from habla.model.text_types import DebianPackage, EnvironmentName, Line, RequestPath, RoutePath, UserName

__all__ = ["AppSpec", "HealthSpec", "LimitsSpec", "RouteSpec"]


# See App: what a program learns of its host.
_OWN_VARIABLES = ("HABLA_ADDRESS", "HABLA_HOST", "HABLA_PORT")


class HealthSpec(Spec):
    """An HTTP GET of ``path`` must answer with status ``expect``, within ``deadline`` seconds of a start."""

    path: RequestPath
    expect: Annotated[int, Field(ge=100, le=599)] = 200
    deadline: Annotated[int, Field(ge=1, le=600)] = 30


class RouteSpec(Spec):
    """Requests for this virtual host, this path prefix, or both."""

    host: DnsName | None = None
    path: RoutePath | None = None

    @model_validator(mode="after")
    def _something(self) -> RouteSpec:
        if self.host is None and self.path is None:
            raise ValueError("give a host, a path or both")
        return self


# tasks: the kernel's PID_MAX_LIMIT. open_files: its fs.nr_open, unless somebody raised that.
class LimitsSpec(Spec):
    """The most that a program may use: memory, processes and threads, share of one CPU in %, open files."""

    memory_mb: Annotated[int, Field(ge=16, le=MAX_MB)] = 512
    tasks: Annotated[int, Field(ge=1, le=4_194_304)] = 256
    cpu_percent: Annotated[int, Field(ge=1, le=100_000)] | None = None
    open_files: Annotated[int, Field(ge=64, le=1_048_576)] = 4096


class AppSpec(Spec):
    """A program of the user's own, run by systemd as a user of its own.

    roles: the roles whose hosts run it. command: the program and its arguments; ``{app}`` is where the
    archive was unpacked. environment: values may name what other services offer, as ``${mysql.address}`` or
    ``${mysql.port}``, and this host, as ``${host.address}`` or ``${host.name}``. secrets: environment
    variable -> name of a secret. routes: requests that HAProxy's www instance sends here; ``default: true``
    takes what no other route wants. maxconn: requests one server works on at a time (0: no limit).
    """

    roles: Annotated[Many[str], Field(min_length=1)]
    command: Annotated[Many[Line], Field(min_length=1)]
    stability: Literal["stable", "volatile"] = "stable"
    archive: ArchiveSpec | None = None
    packages: Many[DebianPackage] = ()
    user: UserName | None = None
    port: PortNumber | None = None
    environment: dict[EnvironmentName, Line] = Field(default_factory=dict)
    secrets: dict[EnvironmentName, SecretName] = Field(default_factory=dict)
    health: HealthSpec | None = None
    routes: tuple[RouteSpec, ...] = ()
    default: bool = False
    maxconn: Annotated[int, Field(ge=0, le=250_000)] = 0
    logs: tuple[LogSpec, ...] = ()
    limits: LimitsSpec = LimitsSpec()

    @field_validator("command")
    @classmethod
    def _program(cls, command: tuple[str, ...]) -> tuple[str, ...]:
        # systemd looks for a name in its own directories; other characters in front change what it does.
        if not re.match(r"(?:/|\{app\}/|[A-Za-z0-9][A-Za-z0-9._+-]*$)", command[0]):
            raise ValueError("the first word is a program: its path from /, {app}/… or the name of a command")
        if "$" in command[0]:
            raise ValueError("the path of a program has no $, which systemd would not take for itself")
        return command

    @model_validator(mode="after")
    def _one_value_each(self) -> AppSpec:
        both = sorted({*self.environment} & {*self.secrets})
        if both:
            raise ValueError(f"a variable is in environment or in secrets, not in both: {', '.join(both)}")
        own = sorted(name for name in (*self.environment, *self.secrets) if name in _OWN_VARIABLES)
        if own:
            raise ValueError(f"habla sets {', '.join(own)} itself")
        return self

    @property
    def balanced(self) -> bool:
        """Whether HAProxy sends requests to it."""
        return bool(self.routes) or self.default
