"""``habla completion``: the script that makes a shell complete the words of habla."""

from __future__ import annotations

import click

from habla.cli.command_options import command
from habla.cli.invocation import Invocation
from habla.cli.result import Result

__all__ = ["completion"]

SHELLS = ("bash", "zsh", "fish")


@command(
    examples=(
        'eval "$(habla completion bash)"    # in ~/.bashrc',
        'eval "$(habla completion zsh)"     # in ~/.zshrc, after compinit',
        "habla completion fish > ~/.config/fish/completions/habla.fish",
    )
)
@click.argument("shell", type=click.Choice(SHELLS))
def completion(_: Invocation, *, shell: str) -> Result:
    """Print the completion script for a shell.

    The shell then completes commands, options, and the names of stacks, hosts and roles.
    """
    from click.shell_completion import get_completion_class

    from habla.cli.command_line import COMPLETE, ROOT

    kind = get_completion_class(shell)
    assert kind is not None
    script = kind(ROOT, {}, "habla", COMPLETE).source()
    return Result(script, [script])
