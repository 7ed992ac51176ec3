"""All commands of ``habla``, and the groups that load a command only when it is needed."""

from __future__ import annotations

import importlib
from typing import Any

import click

from habla.cli.exit_status import MEANINGS
from habla.errors import did_you_mean

__all__ = ["COMMANDS", "GROUPS", "CommandGroup", "load"]

COMMANDS: dict[str, dict[str, str]] = {
    "Before a deployment": {
        "init": "init_verb",
        "render": "render_verb",
        "addresses": "addresses_verb",
        "dns": "dns_verb",
    },
    "Look at the hosts": {
        "status": "status_verb",
        "logs": "logs_verb",
    },
    "Work on a host": {
        "drain": "drain_verb",
        "undrain": "drain_verb",
        "maintenance on": "maintenance_verb",
        "maintenance off": "maintenance_verb",
        "jabber admin": "jabber_verb",
        "jabber force": "jabber_verb",
    },
    "The lab": {
        "lab summary": "lab_verb",
        "lab ssh": "lab_verb",
    },
    "The shell": {
        "completion": "completion_verb",
    },
}
"""Section of the help -> name of a command -> its module, which has a function with the name's last word."""

GROUPS = {
    "jabber": "Reach the Jabber nodes: the admin page, a node that waits.",
    "maintenance": "Let HAProxy answer all requests with its 503 page, and end that.",
    "lab": "Show the hosts of the lab, or log in to one.",
}
"""The first word of the commands with two words -> its help text."""


def load(name: str) -> click.Command:
    """The command with this name, such as ``lab ssh``."""
    module = next(commands[name] for commands in COMMANDS.values() if name in commands)
    command = getattr(importlib.import_module(f"habla.cli.{module}"), name.rpartition(" ")[2])
    assert isinstance(command, click.Command)
    return command


class CommandGroup(click.Group):
    """The commands of the table whose names begin with a prefix. It loads a command when it is needed.

    prefix: the first word of the names and a space, or nothing for the whole table.
    """

    def __init__(self, *arguments: Any, prefix: str = "", **attributes: Any) -> None:
        super().__init__(*arguments, **attributes)
        self.prefix = prefix

    def sections(self) -> dict[str, list[str]]:
        """Section of the help -> the next words of the commands in it."""
        found: dict[str, list[str]] = {}
        for section, commands in COMMANDS.items():
            names = [name.removeprefix(self.prefix) for name in commands if name.startswith(self.prefix)]
            if names:
                found[section] = list(dict.fromkeys(name.split()[0] for name in names))
        return found

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The next words of the commands, in the order of the table."""
        return [name for names in self.sections().values() for name in names]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command or group with this next word, or None."""
        name = f"{self.prefix}{cmd_name}"
        if not self.prefix and name in GROUPS:
            return CommandGroup(name, prefix=f"{name} ", help=GROUPS[name], no_args_is_help=True)
        return load(name) if any(name in commands for commands in COMMANDS.values()) else None

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command that the arguments name. Raises UsageError with the command that is most like it."""
        if (
            self.get_command(ctx, args[0]) is None
            and not args[0].startswith("-")
            and not ctx.resilient_parsing
        ):
            fix = did_you_mean(args[0], self.list_commands(ctx), otherwise=f"see {ctx.command_path} --help")
            raise click.UsageError(f"{args[0]}: there is no such command\n  fix:  {fix}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands with their summaries, by section."""
        width = max(map(len, self.list_commands(ctx)))
        for section, names in self.sections().items():
            with formatter.section(section):
                rows = []
                for name in names:
                    command = self.get_command(ctx, name)
                    assert command is not None
                    rows.append((name.ljust(width), command.get_short_help_str(limit=100)))
                formatter.write_dl(rows)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the exit statuses below the whole table."""
        if not self.prefix:
            with formatter.section("Exit status"):
                formatter.write_dl([(f"{status:d}", meaning) for status, meaning in MEANINGS.items()])
