"""Whether two versions are the same. One being a part of the other never makes them so."""

from __future__ import annotations

import re
from typing import Final

COMPARISONS: Final = ("exact", "semantic")

_SEMANTIC: Final = re.compile(r"v?(\d+(?:\.\d+)*)(?:-([0-9A-Za-z.-]+))?(?:\+[0-9A-Za-z.-]+)?", re.ASCII)
LONGEST: Final = 255
"""Characters of a version, as Resources have room for."""


def same(one: str, other: str, comparison: str = "exact") -> bool:
    """Equal as text; by ``semantic`` also ``v1.2``, ``1.2.0`` and ``1.2+build7``, which only look different.

    A version that is not of the form of semantic versions is compared as text.
    """
    if one == other:
        return True
    if comparison != "semantic":
        return False
    known = _parsed(one)
    return known is not None and known == _parsed(other)


def _parsed(text: str) -> tuple[tuple[int, ...], str] | None:
    found = _SEMANTIC.fullmatch(text.strip()) if len(text) <= LONGEST else None
    if found is None:
        return None
    numbers = [int(part) for part in found[1].split(".")]
    while len(numbers) > 1 and numbers[-1] == 0:
        numbers.pop()
    return tuple(numbers), found[2] or ""
