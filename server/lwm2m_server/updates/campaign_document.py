"""A campaign as a JSON document: read with every fault named by its place, and written again."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import time
from typing import Any, Final, TypeVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import attrs

from lwm2m_engine.errors import LwM2MError
from lwm2m_server.updates.campaign_definition import ACTIONS, APPROVALS, Definition, Target, Threshold, Wave
from lwm2m_server.updates.campaign_windows import COVERS, DAYS, Window
from lwm2m_server.updates.records import METHODS, SOURCES
from lwm2m_server.updates.versions import COMPARISONS

T = TypeVar("T")
Read = Callable[[Any, str], T]

MAX_WAVES: Final = 50
MAX_DEVICES: Final = 5000
"""Named one by one; for more there are groups and patterns."""
MAX_TEXT: Final = 255
MAX_IN_PROGRESS: Final = 10_000
_YEAR_10000: Final = 253_402_300_800_000


class BadCampaign(LwM2MError):
    """The document says no campaign; the text says where and why."""


# --- reading ------------------------------------------------------------------------------------------


def definition_of(document: Any) -> Definition:
    """Raises ``BadCampaign``."""
    members = _object(document, "", _MEMBERS)
    for name in ("package", "target"):
        if name not in members:
            raise BadCampaign(f"{name} is due")
    waves = members.get("waves", (Wave(),))
    if waves[-1] != attrs.evolve(waves[-1], count=None, percent=None):
        members["waves"] = (*waves, Wave())
    return Definition(**{_ATTRIBUTES.get(name, name): value for name, value in members.items()})


def _object(value: Any, place: str, members: Mapping[str, Read[Any]]) -> dict[str, Any]:
    """The members that are there and not null, each read."""
    if not isinstance(value, dict):
        raise BadCampaign(f"{place or 'the campaign'}: a JSON object is due")
    below = f"{place}." if place else ""
    if unknown := sorted(value.keys() - members.keys()):
        raise BadCampaign(f"{below}{str(unknown[0])[:80]} is not known; there are {', '.join(members)}")
    return {
        name: read(value[name], f"{below}{name}")
        for name, read in members.items()
        if value.get(name) is not None
    }


def _text(value: Any, place: str) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= MAX_TEXT:
        raise BadCampaign(f"{place}: text of at most {MAX_TEXT} characters is due")
    return value


def _words(*words: str) -> Read[str]:
    def read(value: Any, place: str) -> str:
        if value not in words:
            raise BadCampaign(f"{place}: one of {', '.join(words)} is due")
        return str(value)

    return read


def _flag(value: Any, place: str) -> bool:
    if not isinstance(value, bool):
        raise BadCampaign(f"{place}: true or false is due")
    return value


def _whole(least: int, most: int) -> Read[int]:
    def read(value: Any, place: str) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
            raise BadCampaign(f"{place}: an integer from {least} to {most} is due")
        return value

    return read


def _number(above: float, most: float) -> Read[float]:
    def read(value: Any, place: str) -> float:
        if not isinstance(value, (int, float)) or isinstance(value, bool) or not above < value <= most:
            raise BadCampaign(f"{place}: a number above {above:g}, up to {most:g}, is due")
        return float(value)

    return read


def _moment(value: Any, place: str) -> float:
    """Milliseconds."""
    return _whole(0, _YEAR_10000)(value, place) / 1000


def _list(value: Any, place: str, most: int) -> Sequence[Any]:
    if not isinstance(value, list) or not 0 < len(value) <= most:
        raise BadCampaign(f"{place}: a list of 1 to {most} is due")
    return value


def _target(value: Any, place: str) -> Target:
    members = _object(value, place, _TARGET)
    if not members:
        raise BadCampaign(f"{place}: one of {', '.join(_TARGET)} is due")
    return Target(**members)


def _names(value: Any, place: str) -> tuple[str, ...]:
    found = [_text(one, f"{place}[{i}]") for i, one in enumerate(_list(value, place, MAX_DEVICES))]
    return tuple(dict.fromkeys(found))


def _waves(value: Any, place: str) -> tuple[Wave, ...]:
    waves = []
    rows = _list(value, place, MAX_WAVES)
    for i, one in enumerate(rows):
        wave = Wave(**_object(one, f"{place}[{i}]", _WAVE))
        if wave.count is not None and wave.percent is not None:
            raise BadCampaign(f"{place}[{i}]: count or percent, not both")
        if wave.count is None and wave.percent is None and i + 1 < len(rows):
            raise BadCampaign(f"{place}[{i}]: count or percent is due; only the last wave is of what is left")
        waves.append(wave)
    return tuple(waves)


def _threshold(value: Any, place: str) -> Threshold:
    members = _object(value, place, _THRESHOLD)
    if not members.keys() & {"count", "percent"}:
        raise BadCampaign(f"{place}: count or percent is due")
    if "atLeast" in members:
        members["at_least"] = members.pop("atLeast")
    return Threshold(**members)


def _window(value: Any, place: str) -> Window:
    members = _object(value, place, _WINDOW)
    for name in ("from", "to"):
        if name not in members:
            raise BadCampaign(f"{place}.{name} is due")
    begin, end = members.pop("from"), members.pop("to")
    return Window(begin, end, members.pop("zone", ZoneInfo("UTC")), **members)


def _time(value: Any, place: str) -> time:
    try:
        found = time.fromisoformat(_text(value, place))
    except ValueError as error:
        raise BadCampaign(f"{place}: a time as 22:00 is due") from error
    if found.tzinfo is not None:
        raise BadCampaign(f"{place}: the zone has a place of its own")
    return found


def _zone(value: Any, place: str) -> ZoneInfo:
    try:
        return ZoneInfo(_text(value, place))
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise BadCampaign(f"{place}: there is no time zone {value!r}; one is Europe/Berlin") from error


def _days(value: Any, place: str) -> tuple[int, ...]:
    found = {_words(*DAYS)(one, f"{place}[{i}]") for i, one in enumerate(_list(value, place, len(DAYS)))}
    return tuple(i for i, day in enumerate(DAYS) if day in found)


_TARGET: Final[Mapping[str, Read[Any]]] = {
    "devices": _names,
    "group": _text,
    "profile": _text,
    "endpoint": _text,
    "manufacturer": _text,
    "model": _text,
    "version": _text,
}
_WAVE: Final[Mapping[str, Read[Any]]] = {
    "count": _whole(1, 10_000_000),
    "percent": _number(0, 100),
    "completed": _number(0, 100),
}
_THRESHOLD: Final[Mapping[str, Read[Any]]] = {
    "count": _whole(1, 10_000_000),
    "percent": _number(0, 100),
    "atLeast": _whole(1, 10_000_000),
    "action": _words(*ACTIONS),
}
_WINDOW: Final[Mapping[str, Read[Any]]] = {
    "from": _time,
    "to": _time,
    "zone": _zone,
    "days": _days,
    "covers": _words(*COVERS),
}
_MEMBERS: Final[Mapping[str, Read[Any]]] = {
    "description": _text,
    "package": _text,
    "target": _target,
    "waves": _waves,
    "maxInProgress": _whole(1, MAX_IN_PROGRESS),
    "failureThreshold": _threshold,
    "approval": _words(*APPROVALS),
    "window": _window,
    "deviceTimeout": _number(0, 31_536_000),
    "attempts": _whole(1, 20),
    "method": _words(*METHODS),
    "comparison": _words(*COMPARISONS),
    "source": _words(*SOURCES),
    "force": _flag,
    "component": _text,
    "instance": _whole(0, 65_534),
    "startAt": _moment,
    "expiresAt": _moment,
}
_ATTRIBUTES: Final = {
    "maxInProgress": "max_in_progress",
    "failureThreshold": "threshold",
    "deviceTimeout": "device_timeout",
    "force": "is_forced",
    "startAt": "start_at",
    "expiresAt": "expires_at",
}


# --- writing ------------------------------------------------------------------------------------------


def document_of(definition: Definition) -> dict[str, Any]:
    """What ``definition_of`` reads, with everything in it that counts."""
    target = attrs.asdict(definition.target, filter=lambda _, value: value not in (None, ()))
    document: dict[str, Any] = {
        "description": definition.description or None,
        "package": definition.package,
        "target": {name: list(value) if name == "devices" else value for name, value in target.items()},
        "waves": [attrs.asdict(wave, filter=lambda _, value: value is not None) for wave in definition.waves],
        "maxInProgress": definition.max_in_progress,
        "failureThreshold": definition.threshold and _threshold_document(definition.threshold),
        "approval": definition.approval,
        "window": definition.window and _window_document(definition.window),
        "deviceTimeout": definition.device_timeout,
        "attempts": definition.attempts,
        "method": definition.method,
        "comparison": definition.comparison,
        "source": definition.source,
        "force": definition.is_forced,
        "component": definition.component,
        "instance": definition.instance,
        "startAt": _milliseconds(definition.start_at),
        "expiresAt": _milliseconds(definition.expires_at),
    }
    return document


def _threshold_document(threshold: Threshold) -> dict[str, Any]:
    return {
        "count": threshold.count,
        "percent": threshold.percent,
        "atLeast": threshold.at_least,
        "action": threshold.action,
    }


def _window_document(window: Window) -> dict[str, Any]:
    return {
        "days": [DAYS[day] for day in window.days],
        "from": f"{window.begin:%H:%M}",
        "to": f"{window.end:%H:%M}",
        "zone": window.zone.key,
        "covers": window.covers,
    }


def _milliseconds(at: float | None) -> int | None:
    return None if at is None else round(at * 1000)
