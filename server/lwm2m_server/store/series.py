"""Series: times and values of one place as bytes, column by column, exact.

Times are microseconds, strictly ascending: the first, and the narrowest differences that hold the others.
Values of one kind are the narrowest numbers that hold them all; all else is JSON.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from itertools import accumulate, pairwise
from typing import Final, TypeAlias

from lwm2m_server.store.reports import Reported, decoded, encoded

Point: TypeAlias = tuple[int, Reported]

POINTS: Final = 512
"""Of one chunk at most."""
BYTES: Final = 65_536
"""Of one chunk, beyond which it takes no more points."""

_HEAD: Final = struct.Struct("<ccHq")
"""Code of the differences, code of the values, number of points, first time."""
_UNSIGNED: Final = ("B", "H", "I", "Q")
_SIGNED: Final = ("b", "h", "i", "q")
_JSON: Final = "J"


def pack(points: Sequence[Point]) -> bytes:
    """A chunk of at least one point."""
    times = [at for at, _ in points]
    gaps = [after - before for before, after in pairwise(times)]
    width = _narrowest(gaps, _UNSIGNED)
    code, column = _column([value for _, value in points])
    head = _HEAD.pack(width.encode(), code.encode(), len(times), times[0])
    return head + struct.pack(f"<{len(gaps)}{width}", *gaps) + column


def unpack(data: bytes) -> list[Point]:
    width, code, count, first = _HEAD.unpack_from(data)
    gaps = struct.unpack_from(f"<{count - 1}{width.decode()}", data, _HEAD.size)
    start = _HEAD.size + (count - 1) * struct.calcsize(f"<{width.decode()}")
    values: Sequence[Reported]
    if code == _JSON.encode():
        values = decoded(data[start:])
    else:
        values = struct.unpack_from(f"<{count}{code.decode()}", data, start)
    return list(zip(accumulate(gaps, initial=first), values, strict=True))


def chunks(points: Sequence[Point]) -> Iterator[Sequence[Point]]:
    """Shares of points that make a chunk each."""
    start = size = 0
    for place, (_, value) in enumerate(points):
        size += len(value) if isinstance(value, (str, bytes)) else 8
        if place + 1 - start == POINTS or size >= BYTES:
            yield points[start : place + 1]
            start, size = place + 1, 0
    if start < len(points):
        yield points[start:]


def _column(values: Sequence[Reported]) -> tuple[str, bytes]:
    kinds = {value.__class__ for value in values}
    if kinds == {float}:
        return _floats(values)
    if kinds == {bool}:
        return "?", struct.pack(f"<{len(values)}?", *values)
    if kinds == {int}:
        numbers = [value for value in values if isinstance(value, int)]
        code = _narrowest(numbers, _SIGNED if min(numbers) < 0 else _UNSIGNED)
        if code:
            return code, struct.pack(f"<{len(numbers)}{code}", *numbers)
    return _JSON, encoded(values)


def _floats(values: Sequence[Reported]) -> tuple[str, bytes]:
    """As 32 bits if these are all there is to them."""
    try:
        column = struct.pack(f"<{len(values)}f", *values)
    except OverflowError:
        column = b""
    if column and struct.unpack(f"<{len(values)}f", column) == tuple(values):
        return "f", column
    return "d", struct.pack(f"<{len(values)}d", *values)


def _narrowest(numbers: Sequence[int], codes: Sequence[str]) -> str:
    """Empty if none of the codes holds all of them."""
    lowest, highest = min(numbers, default=0), max(numbers, default=0)
    for code, bits in zip(codes, (8, 16, 32, 64), strict=True):
        signed = code.islower()
        if lowest >= (-(1 << (bits - 1)) if signed else 0) and highest < 1 << (bits - signed):
            return code
    return ""
