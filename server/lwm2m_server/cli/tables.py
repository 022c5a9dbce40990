"""Plain columns: readable on a terminal, and still whole when piped."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def columns(heading: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Lines of left-aligned cells under their headings."""
    lines = [tuple(heading), *(tuple(row) for row in rows)]
    widths = [max(map(len, cells)) for cells in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )
