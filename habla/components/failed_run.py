"""Ends a program after a command failed, so that the engine deletes nothing in that run.

With ``--continue-on-error`` the engine skips the commands that wait for the one that failed. At the end it
deletes every resource that the program no longer has. That would also undo a component that was renamed or
moves to another host, and that has lost its new resource to the skip. A program that fails deletes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from weakref import WeakKeyDictionary

import pulumi
import pulumi.runtime.settings

__all__ = ["fail_with"]

_WORDS = "a command failed, so this run removes nothing from any host; the next one that ends well does"
# The commands of each program. A process of tests runs many programs.
_commands: WeakKeyDictionary[Any, list[pulumi.Output[str]]] = WeakKeyDictionary()


def fail_with(report: pulumi.Output[str]) -> None:
    """Let the program fail at its end when a command failed. report: an output of the command."""
    if pulumi.runtime.is_dry_run():
        return
    reports = _commands.setdefault(pulumi.runtime.settings.get_monitor(), [])
    reports.append(report)
    if len(reports) == 1:
        # The SDK waits for every output, and takes its exception for one of the program.
        waiting: pulumi.Output[int] = pulumi.Output.from_input(_all_done(reports))
        del waiting


async def _all_done(reports: Sequence[pulumi.Output[str]]) -> int:
    """Wait for all commands, including later ones. Returns their number. Raises RunError.

    The output of a command that failed, or that was skipped, stays unknown.
    """
    known, seen = True, 0
    while seen < len(reports):
        known &= await reports[seen].is_known()
        seen += 1
    if not known:
        raise pulumi.RunError(_WORDS)
    return seen
