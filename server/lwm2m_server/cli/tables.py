"""Plain columns: readable on a terminal, and still whole when piped."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence

import click


def columns(heading: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Lines of left-aligned cells under their headings."""
    lines = [tuple(heading), *(tuple(row) for row in rows)]
    widths = [max(map(len, cells)) for cells in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def show_table(heading: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a table on a terminal, plain columns into a pipe or file."""
    if not sys.stdout.isatty():
        click.echo(columns(heading, rows))
        return
    # Takes longer to import than most commands take to run.
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=None, header_style="bold", pad_edge=False)
    for title in heading:
        table.add_column(title, overflow="fold")
    for row in rows:
        table.add_row(*map(escape, row))
    Console().print(table)
