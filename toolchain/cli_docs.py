"""``python -m toolchain.cli_docs`` writes docs/cli.md from the commands themselves."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from pathlib import Path

import click

from habla.cli.command_options import ExampleCommand
from habla.cli.command_table import COMMANDS, load
from habla.cli.exit_status import MEANINGS
from habla.cli.invocation import Invocation

__all__ = ["PATH", "page"]

PATH = Path(__file__).parents[1] / "docs" / "cli.md"
_HEAD = """\
<!-- Written by `python -m toolchain.cli_docs`. Change the commands in habla/cli instead of this page. -->
# The `habla` command

    habla render -s lab --host front1     # every file of a host, as it will be
    habla status -s production            # the servers behind HAProxy, as they are
    habla COMMAND --help                  # the options of a command, with examples

Run it in a project: the directory with `Pulumi.yaml` and `stacks/`, or one below it. `habla -C DIR` looks for
the project from another directory. No command needs Pulumi.

## The stack
A command takes the first stack that it finds here:

1. `--stack STACK`, or `-s STACK`
2. the environment variable `PULUMI_STACK`
3. the stack that `pulumi stack select` has selected
4. the only stack in `stacks/`

Without any of them the command ends with a list of the stacks.

## Output
`--json` prints the result as JSON on standard output. Faults, notes and progress go to standard error.
`--quiet` prints only faults, so that a script can go by the exit status.

A table fits the terminal. In a pipe or a file each row is one line, whatever its length. A terminal shows
colours unless the environment variable `NO_COLOR` is set.

## Exit status
| status | meaning |
| --- | --- |
"""
_COMPLETION = """
`habla lab ssh` ends with the exit status of the shell or command on the host.

## Completion
Put one of these lines into the file of your shell. It then completes commands, options, and the names of
stacks, hosts and roles.

    eval "$(habla completion bash)"                                 # ~/.bashrc
    eval "$(habla completion zsh)"                                  # ~/.zshrc, after compinit
    habla completion fish > ~/.config/fish/completions/habla.fish   # once
"""


def page() -> str:
    """The text of docs/cli.md."""
    parts = [_HEAD, *(f"| {status:d} | {meaning} |\n" for status, meaning in MEANINGS.items()), _COMPLETION]
    for section, names in COMMANDS.items():
        parts.append(f"\n## {section}\n")
        parts += [part for name in names for part in _command(name)]
    return "".join(parts).rstrip("\n") + "\n"


def _command(name: str) -> Iterator[str]:
    command = load(name)
    assert isinstance(command, ExampleCommand) and command.help is not None
    context = click.Context(command, info_name=f"habla {name}", parent=None, obj=Invocation())
    usage = " ".join(command.collect_usage_pieces(context))
    yield f"### habla {name}\n"
    yield f"    habla {name} {usage}\n\n"
    yield f"{inspect.cleandoc(command.help)}\n\n"
    yield "".join(f"    {example}\n" for example in command.examples)
    options = [option for option in command.params if isinstance(option, click.Option)]
    records = [option.get_help_record(context) for option in options]
    rows = [(record[0], record[1].replace("|", "\\|")) for record in records if record]
    if rows:
        yield "\n| option | meaning |\n| --- | --- |\n"
        yield "".join(f"| `{option}` | {meaning} |\n" for option, meaning in rows)
    yield "\n"


if __name__ == "__main__":
    PATH.write_text(page(), "utf-8")
