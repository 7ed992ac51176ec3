"""Decorators that make a function a command, and the options that commands share."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Concatenate, TypeVar

import click

from habla.cli.invocation import Invocation
from habla.cli.result import Result, show
from habla.cli.shared_parameters import KeptOption, NamedArgument, invocation_of
from habla.cli.stack_names import host_names, role_names, stack_names

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
) -> Callable[[Callable[Concatenate[Invocation, ...], Result | int]], ExampleCommand]:
    """Make a command of a function that gets an Invocation and returns a Result, or an exit status.

    examples: command lines that work. attributes: further ones of ``click.Command``.
    """

    def decorated(function: Callable[Concatenate[Invocation, ...], Result | int]) -> ExampleCommand:
        @functools.wraps(function)
        def run(**options: Any) -> int:
            invocation = invocation_of(click.get_current_context())
            answer = function(invocation, **options)
            if isinstance(answer, Result):
                show(answer, json=invocation.json, quiet=invocation.quiet)
                return answer.status
            return answer

        return click.command(cls=ExampleCommand, examples=examples, **attributes)(run)

    return decorated


stack_option = click.option(
    "-s",
    "--stack",
    cls=KeptOption,
    metavar="STACK",
    names=stack_names,
    help="The stack, such as lab. Default: $PULUMI_STACK, the stack that Pulumi has selected, or the "
    "only one in stacks/.",
)

identity_option = click.option(
    "-i",
    "--identity",
    cls=KeptOption,
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="The private key to log in with. Default: the keys of the SSH agent; in a lab, its own key.",
)

_quiet_option = click.option(
    "-q",
    "--quiet",
    cls=KeptOption,
    is_flag=True,
    help="Print only what is wrong: no text, notes or progress. The exit status shows the result.",
)
_json_option = click.option("--json", cls=KeptOption, is_flag=True, help="Print the result as JSON.")


def report_options(function: F) -> F:
    """The options for how a result is printed: ``--json`` and ``--quiet``."""
    return _json_option(_quiet_option(function))


def host_filters(function: F) -> F:
    """The options that choose hosts: ``--host`` and ``--role``."""
    host = click.option(
        "--host",
        "hosts",
        cls=KeptOption,
        metavar="HOST",
        multiple=True,
        names=host_names,
        help="Only this host. Repeat it for more hosts.",
    )
    role = click.option(
        "--role",
        "roles",
        cls=KeptOption,
        metavar="ROLE",
        multiple=True,
        names=role_names,
        help="Only the hosts with this role. Repeat it for more roles; --host adds single hosts.",
    )
    return host(role(function))


def host_argument(*, required: bool = True) -> Callable[[F], F]:
    """The argument HOST."""
    return click.argument("host", cls=NamedArgument, metavar="HOST", required=required, names=host_names)
