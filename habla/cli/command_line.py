"""Runs the ``habla`` command: parsing, errors in plain words, exit statuses."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path

import click

from habla.cli.command_table import CommandGroup
from habla.cli.exit_status import ExitStatus
from habla.cli.invocation import Invocation
from habla.cli.shared_parameters import KeptOption
from habla.errors import Faults, HablaError, did_you_mean

__all__ = ["COMPLETE", "ROOT", "main"]

COMPLETE = "_HABLA_COMPLETE"
"""The variable by which the completion of a shell asks for words."""


ROOT = CommandGroup(
    "habla",
    help="Show what a stack deploys and how its hosts are.\n\nhabla reads stacks/Pulumi.STACK.yaml of the "
    "project in this directory or in one above it. Only init uses Pulumi, to "
    "encrypt the secrets that it generates.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120},
    params=[
        KeptOption(
            ["-C", "--directory"],
            metavar="DIR",
            type=click.Path(path_type=Path, file_okay=False, exists=True),
            help="Look for the project from here.",
        )
    ],
)
"""The command without any arguments."""
click.version_option(package_name="habla", message="%(prog)s %(version)s", help="Print the version.")(ROOT)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run ``habla`` and return the exit status."""
    try:
        status = _run(arguments)
        # Not at the end of Python, which would print an error of its own if the reader is gone.
        sys.stdout.flush()
        return status
    except KeyboardInterrupt:
        return _fail("interrupted", ExitStatus.INTERRUPTED)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ExitStatus.PIPE_CLOSED
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        return ExitStatus.WRONG
    except click.UsageError as error:
        return _fail(_usage_words(error), ExitStatus.WRONG)
    except (Faults, OSError) as error:
        return _fail(str(error), ExitStatus.WRONG)
    except HablaError as error:
        return _fail(str(error), ExitStatus.FAILED)
    except Exception:
        # Python's own exit status would be 1, which means here that a command found something.
        traceback.print_exc()
        return _fail("this is a fault of habla; please report it with the lines above", ExitStatus.BROKEN)


def _run(arguments: Sequence[str] | None) -> int:
    instruction = os.environ.get(COMPLETE)
    if arguments is None and instruction:
        from click.shell_completion import shell_complete

        return shell_complete(ROOT, {"obj": Invocation()}, "habla", COMPLETE, instruction)
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        with ROOT.make_context("habla", words, obj=Invocation()) as context:
            return int(ROOT.invoke(context))
    except click.exceptions.Exit as error:
        return error.exit_code


def _usage_words(error: click.UsageError) -> str:
    """A fault of the command line in the form of all other faults."""
    see = f"see {error.ctx.command_path if error.ctx else 'habla'} --help"
    words, fix = error.format_message().rstrip("."), see
    words = words[:1].lower() + words[1:]
    if isinstance(error, click.NoSuchOption):
        words = f"{error.option_name}: there is no such option"
        fix = f"did you mean {error.possibilities[0]}?" if error.possibilities else see
    elif isinstance(error, click.BadParameter) and error.param is not None:
        words = f"{_name(error.param)}: {error.message.rstrip('.')}"
        if isinstance(error, click.MissingParameter):
            words = f"{_name(error.param)}: the argument is missing"
        elif isinstance(error.param.type, click.Choice):
            value = error.message.split("'")[1]
            words = f"{_name(error.param)}: {value!r} is not one of {', '.join(error.param.type.choices)}"
            fix = did_you_mean(value, error.param.type.choices, otherwise=see)
    return words if "\n  fix:" in words else f"{words}\n  fix:  {fix}"


def _name(parameter: click.Parameter) -> str:
    """An option by its longest form, an argument as the usage line has it."""
    if isinstance(parameter, click.Option):
        return max(parameter.opts, key=len)
    return parameter.human_readable_name


def _fail(words: str, status: ExitStatus) -> int:
    print(f"habla: {words}", file=sys.stderr)
    return status
