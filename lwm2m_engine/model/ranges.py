"""What values a Resource may have: the RangeEnumeration of its definition, read (LwM2M DDF schema).

The schema leaves the text free, and definitions use that freedom: ``0..100``, ``0-255 bytes``, ``16,32,48``,
``0: off`` over several lines. For String, Corelnk and Opaque the numbers mean a length, else the value.
Where a text leaves two readings open, the wider one counts; where it leaves all open, nothing is checked.
"""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Mapping
from decimal import Decimal
from functools import lru_cache
from string import ascii_letters
from typing import TypeAlias, TypeGuard

import attrs

from lwm2m_engine.values import ResourceType, Value, show

Number: TypeAlias = int | float


@attrs.frozen(slots=True)
class Interval:
    """From ``low`` to ``high``, both included; one number when they are equal."""

    low: Number
    high: Number

    def __contains__(self, value: Number) -> bool:
        return self.low <= value <= self.high or _is(value, self.low) or _is(value, self.high)

    def __str__(self) -> str:
        return _text(self.low) if self.low == self.high else f"{_text(self.low)}..{_text(self.high)}"


@attrs.frozen(slots=True)
class Intervals:
    """The value lies in one of these: ``0..247, 255``."""

    intervals: tuple[Interval, ...]

    def check(self, value: Value) -> str | None:
        """What is wrong with a value; ``None`` for nothing."""
        if _is_number(value) and any(value in interval for interval in self.intervals):
            return None
        return f"{show(value)} is not in {self}"

    def __str__(self) -> str:
        return _joined(self.intervals)


@attrs.frozen(slots=True)
class Values:
    """The value is one of these: ``5, 10, 15, 20``."""

    values: tuple[Number, ...]

    def check(self, value: Value) -> str | None:
        """What is wrong with a value; ``None`` for nothing."""
        if _is_number(value) and any(_is(value, allowed) for allowed in self.values):
            return None
        return f"{show(value)} is none of {self}"

    def __str__(self) -> str:
        return ", ".join(map(_text, self.values))


@attrs.frozen(slots=True)
class Lengths:
    """The value is as long as one of these: ``1..64 bytes``, ``16, 32, 48 bytes``."""

    intervals: tuple[Interval, ...]
    unit: str
    """``bytes`` (of a text: in UTF-8) or ``characters``."""

    def check(self, value: Value) -> str | None:
        """What is wrong with a value; ``None`` for nothing."""
        if not isinstance(value, (str, bytes)):
            return f"{show(value)} has no length"
        if isinstance(value, str) and self.unit == "bytes":
            value = value.encode("utf-8", "surrogatepass")
        if any(len(value) in interval for interval in self.intervals):
            return None
        return f"a length of {len(value)} is not in {self}"

    def __str__(self) -> str:
        return f"{_joined(self.intervals)} {self.unit}"


@attrs.frozen(slots=True)
class Labels:
    """The value is one of these, and each has a name: ``0: RELEASED, 1: PRESSED``."""

    labels: Mapping[int, str]

    def check(self, value: Value) -> str | None:
        """What is wrong with a value; ``None`` for nothing."""
        if _is_number(value) and value in self.labels:
            return None
        return f"{show(value)} is none of {self}"

    def __str__(self) -> str:
        return ", ".join(f"{value}: {label}" for value, label in self.labels.items())


@attrs.frozen(slots=True)
class Unparsed:
    """No text, or one that tells no machine what is allowed: every value passes."""

    text: str

    def check(self, value: Value) -> str | None:
        """Always ``None``."""
        return None

    def __str__(self) -> str:
        return self.text


Range: TypeAlias = Intervals | Values | Lengths | Labels | Unparsed

MAX_CHARACTERS = 10_000
"""Longest text that is read; the longest of the OMA registry has 100 characters."""


@lru_cache(maxsize=1024)
def parse_range(text: str, kind: ResourceType) -> Range:
    """A RangeEnumeration for a Resource of this type. Never fails: see ``Unparsed``."""
    text = text.strip()
    found: Range | None = None
    if len(text) <= MAX_CHARACTERS:
        if kind in _MEASURED:
            found = _lengths(text, kind)
        elif kind in _NUMERIC:
            found = _labels(text) or _numbers(text, kind)
    return found or Unparsed(text)


_MEASURED = frozenset({ResourceType.STRING, ResourceType.CORELNK, ResourceType.OPAQUE})
_WHOLE = frozenset({ResourceType.INTEGER, ResourceType.UNSIGNED_INTEGER})
_NUMERIC = _WHOLE | {ResourceType.FLOAT, ResourceType.TIME}

_UNITS = {
    "byte": "bytes",
    "bytes": "bytes",
    "character": "characters",
    "characters": "characters",
    "bit": "bits",
    "bits": "bits",
}

# --- one reading for each group of types -----------------------------------------------------------


def _lengths(text: str, kind: ResourceType) -> Range | None:
    """A number alone may mean the length or the greatest length; it is taken for the latter."""
    text, unit = _without_unit(text)
    found = _intervals(text)
    if found is None or any(not isinstance(end, int) or end < 0 for i in found for end in (i.low, i.high)):
        return None
    alone = _is_alone(text)
    if unit == "bits":
        return Lengths((Interval(0, -(-found[0].high // 8)),), "bytes") if alone else None
    if unit not in (None, "bytes") and kind is ResourceType.OPAQUE:
        return None
    natural = "bytes" if kind is ResourceType.OPAQUE else "characters"
    return Lengths((Interval(0, found[0].high),) if alone else found, unit or natural)


def _numbers(text: str, kind: ResourceType) -> Range | None:
    """A number alone is the greatest value, or with a unit the size of the integer that holds it."""
    text, unit = _without_unit(text)
    found = _intervals(text)
    if found is None:
        return None
    if _is_alone(text):
        return _sized(found[0].high, unit, kind)
    if unit is not None:
        return None
    if len(found) > 1 and all(interval.low == interval.high for interval in found):
        return Values(tuple(interval.low for interval in found))
    return Intervals(found)


def _sized(number: Number, unit: str | None, kind: ResourceType) -> Range | None:
    """Whether ``8 bit`` is signed, nobody says: an Integer may use either reading."""
    if number < 0:
        return None
    if unit is None:
        return Intervals((Interval(0, number),))
    bits = number * 8 if unit == "bytes" else number
    if kind not in _WHOLE or unit == "characters" or not isinstance(bits, int) or not 1 <= bits <= 64:
        return None
    return Intervals((Interval(-(2 ** (bits - 1)) if kind is ResourceType.INTEGER else 0, 2**bits - 1),))


_LABEL_BREAK = re.compile(r"[\n,;][^\S\n]*(?=-?[0-9]{1,20}\s*[:=])")
_LABEL = re.compile(r"(-?[0-9]{1,20})\s*[:=]\s*(\S.*)", re.DOTALL)


def _labels(text: str) -> Range | None:
    """``0: off`` and so on, each on a line of its own or behind a comma or semicolon."""
    labels: dict[int, str] = {}
    for line in _LABEL_BREAK.split(text):
        match = _LABEL.fullmatch(line.strip())
        label = " ".join(match[2].split()).rstrip(",; ") if match is not None else ""
        if match is None or int(match[1]) in labels or not any(letter.isalpha() for letter in label):
            return None
        labels[int(match[1])] = label
    return Labels(labels)


# --- numbers and intervals -------------------------------------------------------------------------

_NUMBER = r"(-?[0-9]{1,310}(?:\.[0-9]{1,400})?)"
_ALONE = re.compile(_NUMBER)
_DOTS = re.compile(_NUMBER + r"\s*\.{2,3}\s*" + _NUMBER)
_BRACKETS = re.compile(r"\[\s*" + _NUMBER + r"\s*:\s*" + _NUMBER + r"\s*\]")
_HYPHENS = re.compile(r"[0-9]{1,310}(?:\s*-\s*[0-9]{1,310})+")
_BETWEEN = re.compile(r"[,;]|\bor\b")


def _without_unit(text: str) -> tuple[str, str | None]:
    """``8-Bits`` is ``8`` and ``bits``. A word that is no unit stays, and makes the text unreadable."""
    head = text.rstrip(ascii_letters)
    unit = _UNITS.get(text[len(head) :].lower())
    return (head.rstrip(" -"), unit) if unit is not None else (text, None)


def _is_alone(text: str) -> bool:
    return _ALONE.fullmatch(text) is not None


def _intervals(text: str) -> tuple[Interval, ...] | None:
    """All that a list of numbers and intervals names, each once, in order."""
    found: dict[Interval, None] = {}
    for part in _BETWEEN.split(text):
        intervals = _part(part.strip())
        if not intervals:
            return None
        found |= dict.fromkeys(intervals)
    return tuple(found)


def _part(text: str) -> list[Interval]:
    """A pair in the wrong order, as -30..-120, is the interval between the two."""
    if match := _ALONE.fullmatch(text) or _DOTS.fullmatch(text) or _BRACKETS.fullmatch(text):
        ends = [_number(end) for end in match.groups()]
        return [] if any(abs(end) == math.inf for end in ends) else [Interval(min(ends), max(ends))]
    if _HYPHENS.fullmatch(text):
        numbers = [_number(number) for number in text.split("-")]
        if len(numbers) == 2:
            return [Interval(min(numbers), max(numbers))]
        return [Interval(number, number) for number in numbers]
    return []


def _number(text: str) -> Number:
    if "." not in text:
        return int(text)
    number = float(text)
    return int(number) if number.is_integer() else number


def _text(number: Number) -> str:
    """Without exponent."""
    return str(number) if isinstance(number, int) else format(Decimal(repr(number)), "f")


def _joined(intervals: tuple[Interval, ...]) -> str:
    if len(intervals) == 1:
        # A number alone would mean something else.
        return f"{_text(intervals[0].low)}..{_text(intervals[0].high)}"
    return ", ".join(map(str, intervals))


def _is_number(value: Value) -> TypeGuard[Number]:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _is(value: Number, allowed: Number) -> bool:
    """Equal, or as near as a Float of 32 bits comes: most devices send those."""
    return value == allowed or (isinstance(value, float) and value == _as_float32(allowed))


def _as_float32(number: Number) -> float:
    try:
        return struct.unpack("<f", struct.pack("<f", float(number)))[0]  # type: ignore[no-any-return]
    except OverflowError:
        return math.nan
