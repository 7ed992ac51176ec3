"""Tables and progress on a terminal, drawn by rich, which takes time to load: only drawing imports this."""

from __future__ import annotations

import os
from typing import TextIO

from rich.console import Console
from rich.table import Column
from rich.table import Table as RichTable
from rich.text import Text

from habla.cli.result import Cell, Table, Tone, plain_lines

__all__ = ["console", "draw"]

_STYLES = {Tone.GOOD: "green", Tone.WARNING: "yellow", Tone.BAD: "bold red", Tone.MUTED: "dim"}


def console(stream: TextIO) -> Console:
    """A console for a terminal; without colours if NO_COLOR is set."""
    plain = bool(os.environ.get("NO_COLOR"))
    return Console(
        file=stream,
        highlight=False,
        markup=False,
        emoji=False,
        no_color=plain,
        color_system=None if plain else "auto",
    )


def draw(table: Table, stream: TextIO) -> None:
    """Draw a table in the width of the terminal.

    If it does not fit, its columns come closer, and then cells right of the fixed ones take several lines.
    """
    terminal = console(stream)
    gap = 2 if max(map(len, plain_lines(table))) <= terminal.width else 1
    columns = [Column(name, overflow="fold") for name in table.columns]
    for column in columns[: table.fixed]:
        column.no_wrap = True
    drawn = RichTable(*columns, box=None, pad_edge=False, padding=(0, gap, 0, 0), header_style="bold")
    for row in table.rows:
        drawn.add_row(*map(_text, row))
    terminal.print(drawn)


def _text(cell: Cell) -> Text:
    if isinstance(cell, str):
        return Text(cell)
    return Text(cell.text, style=_STYLES[cell.tone])
