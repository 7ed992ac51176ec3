"""The result of a command, and how it is printed: as JSON, as text, or not at all."""

from __future__ import annotations

import json as json_format
import sys
from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from enum import Enum, auto
from typing import Any, NamedTuple

from habla.cli.exit_status import ExitStatus

__all__ = ["Cell", "Result", "Table", "Tone", "Toned", "plain_lines", "show"]


class Tone(Enum):
    """The meaning of a cell, which a terminal shows as a colour."""

    GOOD = auto()
    WARNING = auto()
    BAD = auto()
    MUTED = auto()


class Toned(NamedTuple):
    """A text with a tone."""

    text: str
    tone: Tone


Cell = str | Toned


@dataclass(frozen=True)
class Table:
    """A table for people."""

    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    _: KW_ONLY
    fixed: int = 1
    """The number of columns from the left that are never broken into several lines."""


@dataclass(frozen=True)
class Result:
    """The outcome of a command."""

    document: Any
    """The result as values of JSON, for ``--json``."""
    text: Sequence[str | Table] = ()
    """The result for people: lines and tables."""
    _: KW_ONLY
    faults: Sequence[str] = ()
    """What is wrong, for stderr."""
    notes: Sequence[str] = ()
    """What the user should know, for stderr."""
    status: ExitStatus = ExitStatus.DONE


def show(result: Result, *, json: bool, quiet: bool) -> None:
    """Print a result. quiet: print only the faults, and the document if JSON is asked for."""
    if json:
        print(json_format.dumps(result.document, indent=2, sort_keys=True))
    elif not quiet:
        for part in result.text:
            if isinstance(part, str):
                print(part)
            elif sys.stdout.isatty():
                from habla.cli.terminal import draw

                draw(part, sys.stdout)
            else:
                print("\n".join(plain_lines(part)))
    for note in () if quiet else result.notes:
        print(f"note: {note}", file=sys.stderr)
    for fault in result.faults:
        print(f"habla: {fault}", file=sys.stderr)


def plain_lines(table: Table) -> list[str]:
    """The head and the rows as lines. Each column is as wide as its longest cell, whatever the width is."""
    rows = [
        [cell if isinstance(cell, str) else cell.text for cell in row] for row in (table.columns, *table.rows)
    ]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(word.ljust(width) for word, width in zip(row, widths, strict=True)).rstrip() for row in rows
    ]
