"""The ``habla`` command: shows a stack without Pulumi, and asks its hosts over SSH."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from habla.cli.arguments import Run, parser
from habla.cli.exit_status import ExitStatus
from habla.errors import Faults, HablaError

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run ``habla`` and return the exit status."""
    options = parser().parse_args(arguments)
    # Imported after parsing: it loads the planner, which takes most of the time.
    from habla.plan.stack_files import find_root

    run: Run = options.run
    try:
        return run(find_root(options.directory.resolve()), options)
    except BrokenPipeError:
        # The reader of stdout is gone, as in `habla render | head`. Python flushes stdout at exit, and would
        # print an error of its own if that failed.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ExitStatus.FOUND
    except (Faults, OSError) as error:
        print(f"habla: {error}", file=sys.stderr)
        return ExitStatus.WRONG
    except HablaError as error:
        print(f"habla: {error}", file=sys.stderr)
        return ExitStatus.FAILED
