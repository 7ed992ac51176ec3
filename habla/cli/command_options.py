"""The decorators of a command: what makes a function one, and the options that commands share."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click

from habla.cli.completing import complete_hosts, complete_roles, complete_stacks
from habla.cli.invocation import Invocation
from habla.cli.result import Result, show

__all__ = [
    "ExampleCommand",
    "command",
    "host_argument",
    "host_filters",
    "identity_option",
    "report_options",
    "stack_option",
]

F = TypeVar("F", bound=Callable[..., Any])


class ExampleCommand(click.Command):
    """A command whose help ends with examples."""

    def __init__(self, *arguments: Any, examples: Sequence[str] = (), **attributes: Any) -> None:
        super().__init__(*arguments, **attributes)
        self.examples = tuple(examples)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the examples."""
        with formatter.section("Examples"):
            for example in self.examples:
                # Not as a paragraph, because a command line must not be wrapped.
                formatter.write(f"  {example}\n")


def command(
    *, examples: Sequence[str], **attributes: Any
) -> Callable[[Callable[..., Result | int]], ExampleCommand]:
    """Make a command of a function that gets an Invocation and returns a Result, or an exit status.

    examples: command lines that work. attributes: further ones of ``click.Command``.
    """

    def decorated(function: Callable[..., Result | int]) -> ExampleCommand:
        @functools.wraps(function)
        def run(**options: Any) -> int:
            invocation = click.get_current_context().find_object(Invocation)
            assert invocation is not None
            answer = function(invocation, **options)
            if isinstance(answer, Result):
                show(answer, json=invocation.json, quiet=invocation.quiet)
                return answer.status
            return answer

        return click.command(cls=ExampleCommand, examples=examples, **attributes)(run)

    return decorated


def _kept(*names: str, **attributes: Any) -> Callable[[F], F]:
    """An option whose value goes to the attribute of the Invocation that has the option's name."""

    def keep(context: click.Context, option: click.Parameter, value: Any) -> None:
        invocation = context.find_object(Invocation)
        assert invocation is not None and option.name is not None
        setattr(invocation, option.name, value)

    return click.option(*names, expose_value=False, callback=keep, **attributes)


stack_option = _kept(
    "-s",
    "--stack",
    metavar="STACK",
    default="",
    shell_complete=complete_stacks,
    help="The stack: lab, staging, production …  Default: $PULUMI_STACK, the stack that Pulumi has selected, or "
    "the only one in stacks/.",
)

identity_option = _kept(
    "-i",
    "--identity",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="The private key to log in with.  Default: the keys of the SSH agent; in a lab, its own key.",
)

_quiet_option = _kept(
    "-q",
    "--quiet",
    is_flag=True,
    help="Print only what is wrong: no text, notes or progress. The exit status shows the result.",
)
_json_option = _kept("--json", is_flag=True, help="Print the result as JSON.")


def report_options(function: F) -> F:
    """The options for how a result is printed: ``--json`` and ``--quiet``."""
    return _json_option(_quiet_option(function))


def host_filters(function: F) -> F:
    """The options that choose hosts: ``--host`` and ``--role``."""
    host = _kept(
        "--host",
        "hosts",
        metavar="HOST",
        multiple=True,
        shell_complete=complete_hosts,
        help="Only this host. Repeat it for more hosts.",
    )
    role = _kept(
        "--role",
        "roles",
        metavar="ROLE",
        multiple=True,
        shell_complete=complete_roles,
        help="Only the hosts with this role. Repeat it for more roles; --host adds single hosts.",
    )
    return host(role(function))


def host_argument(*, required: bool = True) -> Callable[[F], F]:
    """The argument HOST."""
    return click.argument("host", metavar="HOST", required=required, shell_complete=complete_hosts)
