"""Notification attributes: which there are, what they may hold, where they may stand (LwM2M Core 1.2, 7.3).

A set of attributes is a tuple of name and value in the order it was written, values as text, ``None`` for
a name without value, which in a request removes the attribute.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from decimal import Decimal
from typing import TypeAlias

import attrs

from lwm2m_engine.errors import ValueRejected
from lwm2m_engine.paths import LEVELS, Path

Attributes: TypeAlias = tuple[tuple[str, str | None], ...]
"""``(("pmin", "10"), ("pmax", None))``"""


@attrs.frozen(slots=True)
class AttributeSpec:
    """What one attribute may hold and where it may stand."""

    value: str
    """What its value is, for a person."""
    pattern: re.Pattern[str]
    levels: tuple[str, ...]
    """Levels of a path it may be attached to."""
    writable: bool = True
    """False for what only the client tells. A writable one may stand without a value."""


_SECONDS = re.compile(r"[0-9]{1,10}")
_NUMBER = re.compile(r"-?[0-9]{1,40}(?:\.[0-9]{1,40})?")
_STEP = re.compile(r"[0-9]{1,40}(?:\.[0-9]{1,40})?")
_BIT = re.compile(r"[01]")
_BYTE = re.compile(r"0*(?:[0-9]{1,2}|1[0-9]{2}|2[0-4][0-9]|25[0-5])")
_SERVER = re.compile(
    r"0*(?:[1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-4])"
)
_VERSION = re.compile(r"[0-9]{1,3}\.[0-9]{1,3}")
_TEXT = re.compile(r".+", re.DOTALL)

_BELOW_ROOT = LEVELS[1:]
_VALUES = ("resource", "resource instance")

ATTRIBUTES = {
    "pmin": AttributeSpec("a whole number of seconds", _SECONDS, _BELOW_ROOT),
    "pmax": AttributeSpec("a whole number of seconds", _SECONDS, _BELOW_ROOT),
    "epmin": AttributeSpec("a whole number of seconds", _SECONDS, _BELOW_ROOT),
    "epmax": AttributeSpec("a whole number of seconds", _SECONDS, _BELOW_ROOT),
    "lt": AttributeSpec("a number without exponent", _NUMBER, _VALUES),
    "gt": AttributeSpec("a number without exponent", _NUMBER, _VALUES),
    "st": AttributeSpec("a positive number without exponent", _STEP, _VALUES),
    "edge": AttributeSpec("0 (falling) or 1 (rising)", _BIT, _VALUES),
    "con": AttributeSpec("0 or 1", _BIT, _BELOW_ROOT),
    "hqmax": AttributeSpec("a whole number", _SECONDS, _BELOW_ROOT),
    "dim": AttributeSpec("a number from 0 to 255", _BYTE, ("resource",), writable=False),
    "ver": AttributeSpec("a version such as 1.1", _VERSION, ("object",), writable=False),
    "lwm2m": AttributeSpec("a version such as 1.1", _VERSION, ("root",), writable=False),
    "ssid": AttributeSpec("a Short Server ID from 1 to 65534", _SERVER, ("instance",), writable=False),
    "uri": AttributeSpec("a URI", _TEXT, ("instance",), writable=False),
}
"""By name, in the order they are printed in messages."""

_RANGES = (("pmin", "pmax"), ("epmin", "epmax"))


def parse_attributes(query: str | Sequence[str]) -> Attributes:
    """From ``pmin=10&pmax=60`` or one text an attribute; nothing gives an empty set.

    Raises ``ValueRejected`` for an unknown or repeated name, a value that does not fit, and for sets that
    contradict themselves (``pmin`` above ``pmax``, ``lt`` + 2 ``st`` not below ``gt``).
    """
    texts = query.split("&") if isinstance(query, str) else query
    if list(texts) == [""]:
        return ()
    attributes = tuple(_attribute(text) for text in texts)
    check_attributes(attributes)
    return attributes


def check_attributes(attributes: Attributes, path: Path | None = None) -> None:
    """Raise ``ValueRejected`` for a set that cannot be; with a ``path`` also for what it cannot be given."""
    values: dict[str, str | None] = {}
    for name, value in attributes:
        if name in values:
            raise ValueRejected(f"{name} is given more than once", value=name)
        _check(name, value)
        if path is not None:
            _check_place(name, path)
        values[name] = value
    numbers = {
        name: Decimal(value) for name, value in values.items() if value is not None and name in _ORDERED
    }
    for low, high in _RANGES:
        if low in numbers and high in numbers and numbers[low] > numbers[high]:
            raise ValueRejected(f"{low}={values[low]} is above {high}={values[high]}")
    _check_thresholds(numbers)


_ORDERED = frozenset({"pmin", "pmax", "epmin", "epmax", "lt", "gt", "st"})


def _check_thresholds(numbers: dict[str, Decimal]) -> None:
    if "lt" not in numbers or "gt" not in numbers:
        return
    lower, upper, step = numbers["lt"], numbers["gt"], numbers.get("st", Decimal(0))
    if lower >= upper:
        raise ValueRejected(f"lt={lower} is not below gt={upper}")
    if lower + 2 * step >= upper:
        raise ValueRejected(f"lt={lower} plus twice st={step} is not below gt={upper}")


def format_attributes(attributes: Attributes) -> str:
    """``pmin=10&pmax``, the inverse of ``parse_attributes``."""
    return "&".join(name if value is None else f"{name}={value}" for name, value in attributes)


def _attribute(text: str) -> tuple[str, str | None]:
    name, equals, value = text.partition("=")
    return name, value if equals else None


def _check(name: str, value: str | None) -> None:
    spec = ATTRIBUTES.get(name)
    if spec is None:
        nearest = difflib.get_close_matches(name[:40], ATTRIBUTES, n=1)
        known = f"did you mean {nearest[0]!r}?" if nearest else f"known: {', '.join(ATTRIBUTES)}"
        raise ValueRejected(f"{name[:40]!r} is no notification attribute; {known}", value=name)
    if value is None:
        if not spec.writable:
            raise ValueRejected(f"{name} needs a value", value=name)
    elif not spec.pattern.fullmatch(value):
        raise ValueRejected(f"{name}={value[:40]} is not {spec.value}", value=value)


def _check_place(name: str, path: Path) -> None:
    spec = ATTRIBUTES[name]
    if not spec.writable:
        raise ValueRejected(f"{name} is told by the device and cannot be written", path=path, value=name)
    if path.level not in spec.levels:
        raise ValueRejected(
            f"{name} cannot stand on the {path.level}, only on the {' or '.join(spec.levels)}",
            path=path,
            value=name,
        )
