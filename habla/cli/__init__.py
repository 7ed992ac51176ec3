"""The ``habla`` command: looks at a stack without Pulumi, and at its hosts."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from habla.cli import addresses_verb, drain_verb, lab_verb, logs_verb, render_verb, status_verb
from habla.errors import Faults, HablaError
from habla.plan.stack_files import find_root

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run ``habla``. The exit status: 0 done, 1 failed, 2 wrong usage or settings."""
    parser = argparse.ArgumentParser(
        prog="habla",
        description="Looks at a stack: stacks/Pulumi.ENV.yaml in the project around this directory.",
        epilog="exit status: 0 done, 1 failed, 2 wrong usage or settings",
    )
    parser.add_argument("-C", "--directory", type=Path, default=Path(), help="the project, if not here")
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("-s", "--stack", required=True, metavar="ENV", help="lab, staging, production …")
    for module in (render_verb, addresses_verb, status_verb, logs_verb, lab_verb):
        module.add_verb(verbs, common)
    drain_verb.add_verbs(verbs, common)
    options = parser.parse_args(arguments)
    run: Callable[[Path, argparse.Namespace], int] = options.run
    try:
        return run(find_root(options.directory.resolve()), options)
    except Faults as error:
        print(f"habla: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:
        # Whoever read it has seen enough. Else Python would complain once more when it flushes.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (HablaError, OSError) as error:
        print(f"habla: {error}", file=sys.stderr)
        return 1
