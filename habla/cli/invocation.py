"""The options that commands share, and the project, stack, plan and hosts that they select."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from habla.cli.project import choose_stack, find_root
from habla.cli.waiting import Waiting, waiting
from habla.errors import SettingsError, not_one_of, raise_faults

if TYPE_CHECKING:
    from habla.cli.ssh import Shells
    from habla.plan import FleetPlan
    from habla.settings import Settings

__all__ = ["Invocation", "program"]


def program() -> str:
    """How this user calls ``habla`` from here: by its name if the shell finds it, else by its path."""
    if shutil.which("habla"):
        return "habla"
    path = Path(sys.argv[0]).absolute()
    if path.name != "habla" or not path.is_file():
        return "habla"
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)


@dataclass
class Invocation:
    """One run of ``habla``. The parser fills in the options."""

    directory: Path = Path()
    stack: str = ""
    """The value of ``--stack``; empty if it is not given."""
    identity: Path | None = None
    hosts: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()
    json: bool = False
    quiet: bool = False

    @property
    def root(self) -> Path:
        """The directory of the project. Raises FileNotFoundError."""
        return find_root(self.directory)

    @property
    def environment(self) -> str:
        """The name of the stack. Raises SettingsError."""
        return choose_stack(self.root, self.stack)

    def plan(self) -> FleetPlan:
        """The plan of the stack. Raises Faults."""
        root, environment = self.root, self.environment
        with self.waiting(f"planning {environment}"):
            from habla.plan.stack_files import load_plan

            return load_plan(root, environment)

    def chosen(self, settings: Settings) -> list[str]:
        """The hosts that ``--host`` and ``--role`` choose, in the order of the settings; else all hosts.

        Raises SettingsError with every unknown host and role.
        """
        held = {name: host.role for name, host in settings.hosts.items()}
        roles = sorted(set(held.values()))
        faults = [
            not_one_of("--host", "the stack has no such host", value=name, known=tuple(held))
            for name in self.hosts
            if name not in held
        ] + [
            not_one_of("--role", "no host of the stack has this role", value=role, known=roles)
            for role in self.roles
            if role not in roles
        ]
        raise_faults(SettingsError, faults)
        every = not self.hosts and not self.roles
        return [name for name, role in held.items() if every or name in self.hosts or role in self.roles]

    @contextmanager
    def shells(self, plan: FleetPlan) -> Iterator[Shells]:
        """SSH to the hosts of the plan."""
        from habla.cli.ssh import shells

        with shells(self.root, plan, identity=self.identity) as reached:
            yield reached

    def waiting(self, words: str) -> AbstractContextManager[Waiting]:
        """Tell the user about the work of a block when it takes long, except with ``--quiet``."""
        return waiting(words, quiet=self.quiet)
