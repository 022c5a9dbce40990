"""Boxes in boxes, and lines between them, as SVG."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from typing import NamedTuple

WIDTH, LINE, HEAD, GAP = 900, 26, 34, 8
SHADES = ("#e8eef7", "#f6f8fb", "white", "#fbf6e6")


class Box(NamedTuple):
    title: str
    note: str = ""
    inside: tuple[Box, ...] = ()

    @property
    def height(self) -> int:
        if not self.inside:
            return LINE
        return HEAD + sum(box.height + GAP for box in self.inside)


class Placed(NamedTuple):
    box: Box
    x: int
    y: int
    width: int


class Line(NamedTuple):
    """From the right side of one box to the left side of another, by their titles."""

    start: str
    end: str
    labels: tuple[str, ...] = ()
    both: bool = False
    """Whoever is at either end may begin."""


def picture(boxes: Sequence[Placed], lines: Sequence[Line] = ()) -> str:
    height = max(placed.y + placed.box.height for placed in boxes) + 20
    everywhere = {one.box.title: one for placed in boxes for one in _nested(placed)}
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" '
        'font-family="sans-serif" font-size="13">',
        '<defs><marker id="head" viewBox="0 0 10 10" refX="10" refY="5" markerWidth="7" markerHeight="7" '
        'orient="auto-start-reverse"><path d="M0,0 L10,5 L0,10 z"/></marker></defs>',
        f'<rect width="{WIDTH}" height="{height}" fill="white"/>',
    ]
    for placed in boxes:
        parts += _drawn(placed, 0)
    for line in lines:
        parts += _line(line, everywhere[line.start], everywhere[line.end])
    return "\n".join([*parts, "</svg>", ""])


def _children(placed: Placed) -> Iterator[Placed]:
    y = placed.y + HEAD
    for box in placed.box.inside:
        yield Placed(box, placed.x + GAP, y, placed.width - 2 * GAP)
        y += box.height + GAP


def _nested(placed: Placed) -> Iterator[Placed]:
    yield placed
    for child in _children(placed):
        yield from _nested(child)


def _drawn(placed: Placed, depth: int) -> Iterator[str]:
    box, x, y, width = placed
    weight = ' font-weight="bold"' if box.inside else ""
    yield (
        f'<rect x="{x}" y="{y}" width="{width}" height="{box.height}" rx="4" fill="{SHADES[depth]}" '
        'stroke="#56657a"/>'
    )
    yield f'<text x="{x + GAP}" y="{y + 18}"{weight}>{escape(box.title)}</text>'
    if box.note:
        yield f'<text x="{x + width - GAP}" y="{y + 18}" text-anchor="end">{escape(box.note)}</text>'
    for child in _children(placed):
        yield from _drawn(child, depth + 1)


def _line(line: Line, start: Placed, end: Placed) -> Iterator[str]:
    """Level where it can be."""
    to = end.y + end.box.height // 2
    since = min(max(to, start.y + GAP), start.y + start.box.height - GAP)
    left = start.x + start.width
    heads = 'marker-end="url(#head)"' + (' marker-start="url(#head)"' if line.both else "")
    yield f'<line x1="{left}" y1="{since}" x2="{end.x}" y2="{to}" stroke="black" {heads}/>'
    above = len(line.labels) // 2 or 1
    for number, label in enumerate(line.labels):
        y = (since + to) // 2 + 16 * (number - above) + (10 if number < above else 16)
        yield f'<text x="{(left + end.x) // 2}" y="{y}" text-anchor="middle">{escape(label)}</text>'
