"""What a subscription asks for: its attributes, read once (TS-0004, 7.4.8 and table 6.3.5.8-1)."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any, Final

import attrs
import orjson

UPDATED, DELETED, CHILD_CREATED, CHILD_DELETED = 1, 2, 3, 4
"""``net``, notificationEventType."""
ALL, MODIFIED, REFERENCE = 1, 2, 3
"""``nct``, notificationContentType."""

Condition = Callable[[Mapping[str, Any]], bool]
"""Of a representation by short names."""


def _time(name: str, *, before: bool) -> Callable[[Any], Condition]:
    """``YYYYMMDDThhmmss[,f…]`` compare as texts."""

    def make(limit: str) -> Condition:
        if before:
            return lambda found: name in found and found[name] < limit
        return lambda found: name in found and found[name] > limit

    return make


def _number(name: str, *, below: bool) -> Callable[[Any], Condition]:
    def make(limit: int) -> Condition:
        if below:
            return lambda found: name in found and found[name] < limit
        return lambda found: name in found and found[name] >= limit

    return make


def _labels(wanted: Collection[str]) -> Condition:
    return lambda found: not set(wanted).isdisjoint(found.get("lbl", ()))


CONDITIONS: Final[dict[str, Callable[[Any], Condition]]] = {
    "crb": _time("ct", before=True),
    "cra": _time("ct", before=False),
    "ms": _time("lt", before=False),
    "us": _time("lt", before=True),
    "exb": _time("et", before=True),
    "exa": _time("et", before=False),
    "sts": _number("st", below=True),
    "stb": _number("st", below=False),
    "szb": _number("cs", below=True),
    "sza": _number("cs", below=False),
    "lbl": _labels,
}
"""Of ``enc``, eventNotificationCriteria, by short name."""
_COMBINED: Final[dict[int, Callable[[list[bool]], bool]]] = {
    1: all,
    2: any,
    3: lambda results: sum(results) == 1,
}
"""``fo``, filterOperation: AND, OR, XOR."""


@attrs.frozen(slots=True)
class Criteria:
    """When to tell, and what."""

    events: frozenset[int] = frozenset({UPDATED})
    content: int = ALL
    targets: tuple[str, ...] = ()
    farewell: str | None = None
    """``su``: who hears that the subscription is gone."""
    attributes: frozenset[str] = frozenset()
    """``atr``; none for any."""
    child_types: frozenset[int] = frozenset()
    """``chty``; none for any."""
    conditions: tuple[Condition, ...] = ()
    combine: Callable[[list[bool]], bool] = all
    counts: bool = False
    """It ends after so many notices (``exc``)."""
    own_lane: bool = False
    """Its notices do not go out as they come."""

    def accepts(self, representation: Mapping[str, Any]) -> bool:
        """Whether the conditions hold."""
        if not self.conditions:
            return True
        return self.combine([condition(representation) for condition in self.conditions])


def read_criteria(document: str) -> Criteria:
    """Of the attributes of a subscription, as JSON; they were checked when they came."""
    given = orjson.loads(document)
    wanted = given.get("enc", {})
    return Criteria(
        events=frozenset(wanted.get("net", (UPDATED,))),
        content=given.get("nct", ALL),
        targets=tuple(given.get("nu", ())),
        farewell=given.get("su"),
        attributes=frozenset(wanted.get("atr", ())),
        child_types=frozenset(wanted.get("chty", ())),
        conditions=tuple(make(wanted[name]) for name, make in CONDITIONS.items() if name in wanted),
        combine=_COMBINED[wanted.get("fo", 1)],
        counts="exc" in given,
        own_lane="bn" in given or given.get("pn") == 1,
    )
