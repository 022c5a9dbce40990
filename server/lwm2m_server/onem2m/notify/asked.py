"""What a client may ask of a subscription: its attributes, checked (TS-0004, 7.4.8 and 6.3.5)."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from typing import Any, Final

from lwm2m_server.onem2m.errors import BadRequest, NotImplementedYet
from lwm2m_server.onem2m.names import SHORT
from lwm2m_server.onem2m.notify.criteria import (
    ALL,
    CHILD_CREATED,
    CHILD_DELETED,
    CONDITIONS,
    DELETED,
    MODIFIED,
    REFERENCE,
    UPDATED,
    read_conditions,
)
from lwm2m_server.onem2m.tables import MEMBERS
from lwm2m_server.sinks.targets import check_url, is_url

MOST_TARGETS: Final = 16
MOST_TOGETHER: Final = 1000
"""Notices in one batch."""

_EVENTS: Final = {UPDATED, DELETED, CHILD_CREATED, CHILD_DELETED}
_UNSUPPORTED: Final = frozenset({"om", "operationMonitor", "md", "missingData", "aq", "attributeQuery"})
_DURATION: Final = re.compile(r"P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+(?:\.\d+)?)S)?)?")
_TARGET: Final = re.compile(r"[!-~]{1,2000}")


def check_attributes(given: Mapping[str, Any], children: Collection[int]) -> dict[str, Any]:
    """Of a subscription to a resource that may have such ``children``, by short names, as they are kept:
    with short names inside of objects too. Raises ``BadRequest``, ``NotImplementedYet``."""
    asked = {name: _CHECKS[name](value) if name in _CHECKS else value for name, value in given.items()}
    criteria = asked.get("enc", {})
    illegal = set(criteria.get("chty", ())) - set(children)
    if illegal:
        raise BadRequest(f"enc/chty: {_list(illegal)} cannot be below this resource")
    _check_content(asked.get("nct"), set(criteria.get("net", (UPDATED,))))
    if "atr" in criteria and UPDATED not in criteria.get("net", (UPDATED,)):
        raise BadRequest("enc/atr goes with net 1, update of the resource")
    if asked.get("ln") and "bn" not in asked:
        raise BadRequest("ln (latestNotify) goes with bn (batchNotify)")
    return asked


def _check_content(content: int | None, events: set[int]) -> None:
    if content in (4, 5):
        raise NotImplementedYet(f"nct (notificationContentType) {content} is not supported")
    if content not in (None, ALL, MODIFIED, REFERENCE):
        raise BadRequest(f"nct (notificationContentType) {content} does not exist")
    if content == MODIFIED and events != {UPDATED}:
        raise BadRequest("nct 2 (modified attributes) goes with net 1, update of the resource, alone")


def _targets(value: Any) -> list[str]:
    targets = value if isinstance(value, list) else [value]
    if not 1 <= len(targets) <= MOST_TARGETS:
        raise BadRequest(f"nu (notificationURI) has 1 to {MOST_TARGETS} targets")
    return list(dict.fromkeys(_target(target) for target in targets))


def _target(target: Any) -> str:
    if not isinstance(target, str) or not _TARGET.fullmatch(target):
        raise BadRequest(f"{str(target)[:60]!r} is neither a URL nor an application")
    if is_url(target):
        try:
            check_url(target)
        except ValueError as error:
            raise BadRequest(f"{target[:60]}: {error}") from error
    return target


def _criteria(value: Any) -> dict[str, Any]:
    found = _members("enc", "eventNotificationCriteria", value)
    for name in ("net", "chty"):
        if name in found:
            _expect(f"enc/{name}", found[name], _is_numbers, "a list of integers")
    events = set(found.get("net", (UPDATED,)))
    if not events or events - set(range(1, 11)):
        raise BadRequest(f"enc/net: {_list(events)} are no event types")
    if events - _EVENTS:
        raise NotImplementedYet(f"enc/net: event types {_list(events - _EVENTS)} are not supported")
    if "atr" in found:
        _expect("enc/atr", found["atr"], _is_texts, "a list of names of attributes")
        unknown = [name for name in found["atr"] if name not in SHORT]
        if unknown:
            raise BadRequest(f"enc/atr: {unknown[0][:40]!r} is no attribute")
        found["atr"] = [SHORT[name] for name in found["atr"]]
    if "fo" in found and found["fo"] not in (1, 2, 3):
        raise BadRequest("enc/fo is 1 (AND), 2 (OR) or 3 (XOR)")
    if "lbl" in found:
        _expect("enc/lbl", found["lbl"], _is_texts, "a list of labels")
    for name in set(CONDITIONS) - {"lbl"} & found.keys():
        if isinstance(found.get(name), (dict, list, bool)):
            raise BadRequest(f"enc/{name} is one value")
    read_conditions(found)
    return found


def _batch(value: Any) -> dict[str, Any]:
    found = _members("bn", "batchNotify", value)
    number, duration = found.get("num"), found.get("dur")
    if number is None and duration is None:
        raise BadRequest("bn (batchNotify) needs num (number), dur (duration) or both")
    if number is not None and not (_is_number(number) and 1 <= number <= MOST_TOGETHER):
        raise BadRequest(f"bn/num is 1 to {MOST_TOGETHER}")
    if duration is not None:
        seconds_of(duration)
    return found


def seconds_of(duration: Any) -> float:
    """Of ``PT10S`` or milliseconds. Raises ``BadRequest``."""
    if _is_number(duration) and 0 < duration < 10**10:
        return float(duration) / 1000
    match = _DURATION.fullmatch(duration) if isinstance(duration, str) else None
    if match is None or not any(match.groups()):
        raise BadRequest(f"{str(duration)[:40]!r} is no duration such as PT10S, nor a number of milliseconds")
    days, hours, minutes, seconds = (float(part or 0) for part in match.groups())
    return ((days * 24 + hours) * 60 + minutes) * 60 + seconds


def _counter(value: Any) -> int:
    if not _is_number(value) or value < 1:
        raise BadRequest("exc (expirationCounter) is an integer from 1")
    return int(value)


def _pending(value: Any) -> int:
    if value not in (1, 2):
        raise BadRequest("pn (pendingNotification) is 1 (the latest) or 2 (all)")
    return int(value)


_CHECKS: Final[dict[str, Callable[[Any], Any]]] = {
    "nu": _targets,
    "su": _target,
    "enc": _criteria,
    "bn": _batch,
    "exc": _counter,
    "pn": _pending,
}


def _members(name: str, long: str, value: Any) -> dict[str, Any]:
    """An object by the short names of its members."""
    if not isinstance(value, dict):
        raise BadRequest(f"{name} ({long}) is an object")
    shorts = {both: short for short, long in MEMBERS[name].items() for both in (short, long)}
    found: dict[str, Any] = {}
    for given, member in value.items():
        if given in _UNSUPPORTED:
            raise NotImplementedYet(f"{given} of {name} ({long}) is not supported")
        if given not in shorts:
            raise BadRequest(f"{given[:40]!r} is no member of {name} ({long})")
        found[shorts[given]] = member
    return found


def _expect(what: str, value: Any, fits: Callable[[Any], bool], means: str) -> None:
    if not fits(value):
        raise BadRequest(f"{what} is {means}")


def _is_number(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_numbers(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(map(_is_number, value))


def _is_texts(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(one, str) for one in value)


def _list(numbers: Collection[int]) -> str:
    return ", ".join(map(str, sorted(numbers)))
