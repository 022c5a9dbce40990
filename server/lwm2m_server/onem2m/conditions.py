"""The conditions of filterCriteria: which representations a query means (TS-0004, 7.3.3.17)."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping, Sequence
from enum import IntEnum
from functools import partial
from typing import Any, Final, TypeAlias

import attrs

from lwm2m_server.onem2m.errors import BadRequest
from lwm2m_server.store.ids import parse_timestamp, timestamp

Representation: TypeAlias = Mapping[str, Any]
Test: TypeAlias = Callable[[Representation], bool]


class Operation(IntEnum):
    """``fo``, filterOperation: how several conditions go together."""

    AND = 1
    OR = 2
    XOR = 3


@attrs.frozen(slots=True)
class Conditions:
    """Tests of a representation by short names. The values of one condition are OR-ed."""

    tests: tuple[Test, ...] = ()
    operation: Operation = Operation.AND

    def __bool__(self) -> bool:
        return bool(self.tests)

    def accept(self, representation: Representation) -> bool:
        if self.operation is Operation.AND or not self.tests:
            return all(test(representation) for test in self.tests)
        met = sum(test(representation) for test in self.tests)
        return met > 0 if self.operation is Operation.OR else met % 2 == 1


NO_CONDITIONS: Final = Conditions()


def condition(name: str, values: Sequence[str]) -> Test | None:
    """The test a query argument stands for; ``None`` if ``name`` is no condition.

    Raises ``BadRequest`` for a malformed value.
    """
    if name in _TIMES:
        attribute, before = _TIMES[name]
        return partial(_is_before if before else _is_after, attribute, _time(name, values))
    if name in _NUMBERS:
        attribute, compare = _NUMBERS[name]
        return partial(_compares, attribute, compare, number(name, values))
    if name == "lbl":
        # A label may hold a blank itself: "updates_timestamp: 1738537906296".
        return partial(_has_label, frozenset(values) | {" ".join(values)})
    return partial(_equals, "cnf", tuple(values)) if name == "cty" else None


def has_attribute(name: str, values: Sequence[str]) -> Test:
    """An attribute condition: its text is one of ``values``, where ``*`` stands for any characters."""
    if any("*" in value for value in values):
        pattern = "|".join(".*".join(map(re.escape, value.split("*"))) for value in values)
        return partial(_matches, name, re.compile(pattern, re.DOTALL))
    return partial(_equals, name, tuple(values))


def has_type(types: frozenset[int]) -> Test:
    return lambda representation: representation.get("ty") in types


def number(name: str, values: Sequence[str]) -> int:
    """Raises ``BadRequest``."""
    if len(values) == 1 and values[0].isascii() and values[0].isdigit() and len(values[0]) <= 18:
        return int(values[0])
    raise BadRequest(f"{name}={' '.join(values)[:40]} is not a number")


def _time(name: str, values: Sequence[str]) -> str:
    """As representations have it: with six digits behind the comma times compare as texts."""
    try:
        (value,) = values
        return timestamp(parse_timestamp(value))
    except ValueError as error:
        raise BadRequest(f"{name}={' '.join(values)[:40]}: {error}") from error


def _is_before(name: str, moment: str, representation: Representation) -> bool:
    value = representation.get(name)
    return value is not None and value < moment


def _is_after(name: str, moment: str, representation: Representation) -> bool:
    value = representation.get(name)
    return value is not None and value > moment


def _compares(
    name: str, compare: Callable[[int, int], bool], limit: int, representation: Representation
) -> bool:
    value = representation.get(name)
    return isinstance(value, int) and compare(value, limit)


def _has_label(labels: frozenset[str], representation: Representation) -> bool:
    return not labels.isdisjoint(representation.get("lbl", ()))


def _equals(name: str, texts: tuple[str, ...], representation: Representation) -> bool:
    return _text(representation.get(name)) in texts


def _matches(name: str, pattern: re.Pattern[str], representation: Representation) -> bool:
    text = _text(representation.get(name))
    return text is not None and pattern.fullmatch(text) is not None


def _text(value: object) -> str | None:
    if isinstance(value, bool):
        return "true" if value else "false"
    return None if value is None else str(value)


_TIMES: Final = {
    "crb": ("ct", True),
    "cra": ("ct", False),
    "us": ("lt", True),
    "ms": ("lt", False),
    "exb": ("et", True),
    "exa": ("et", False),
}
"""By argument the attribute, and whether it has to lie before the time given."""
_NUMBERS: Final[dict[str, tuple[str, Callable[[int, int], bool]]]] = {
    "sts": ("st", operator.lt),
    "stb": ("st", operator.gt),
    "sza": ("cs", operator.ge),
    "szb": ("cs", operator.lt),
}
