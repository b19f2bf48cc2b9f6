"""Lists that commands print: folded to the terminal, one line a row into a file or a pipe."""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterable, Sequence
from typing import Literal

import typer

__all__ = ["padded", "print_rows"]

_WIDE = 10_000
"""Columns where there is no terminal: nothing is folded, so lines can be searched."""


def padded(text: str, width: int) -> str:
    """The text with blanks behind, so wide on a terminal: a Chinese character takes two columns."""
    from rich.cells import cell_len

    return text + " " * (width - cell_len(text))


def print_rows(
    heads: Sequence[str],
    rows: Iterable[Sequence[str]],
    longest: int = 600,
    figures: Collection[int] = (),
) -> None:
    """Print rows of text under heads. Cells are made plain and cut at `longest` characters.

    Args:
        figures: places of the columns of numbers, which stand right and are never folded.
    """
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from federated.text import plain

    table = Table(box=None, pad_edge=False)
    for place, head in enumerate(heads):
        number = place in figures
        justify: Literal["right", "left"] = "right" if number else "left"
        table.add_column(Text(head), justify=justify, overflow="fold", no_wrap=number)
    for row in rows:
        table.add_row(*(Text(plain(cell, longest)) for cell in row))
    if sys.stdout.isatty():
        Console().print(table)
        return
    console = Console(width=_WIDE)
    with console.capture() as text:
        console.print(table)
    for line in text.get().splitlines():
        typer.echo(line.rstrip())
