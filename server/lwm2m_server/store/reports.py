"""Reports: what devices told, as lines of JSON.

A line is one message of a device: when it came, how (``source``), whether it told all there is where its
values lie, their places and values, and their own times if it gave any. A place is a path without its
leading slash, ``3303/0/5700``, behind the prefix of an end device of a gateway and a slash if it is one's.
Points in time are microseconds since 1970-01-01 UTC.
"""

from __future__ import annotations

import binascii
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final, NamedTuple, TypeAlias

import orjson

from lwm2m_engine.paths import Path
from lwm2m_engine.values import ObjLink, Value

SECOND: Final = 1_000_000
CLOCK_IS_SET: Final = 1_420_070_400
"""2015-01-01. A device that tells an earlier time does not know what time it is."""
AHEAD: Final = 86_400.0
"""Nor does one whose clock is so many seconds ahead."""
DELETE: Final = "delete"
"""The source of a report that tells what is not there any more."""
LARGEST: Final = 65_536
"""Characters or bytes of a value that is kept; of a larger one its size is."""


class Untyped(NamedTuple):
    """A value in a format without types, of a Resource that no model knew: what the format had."""

    format: int
    data: bytes | str


class Omitted(NamedTuple):
    """A value that is too large to be kept: so many characters or bytes."""

    size: int


Reported: TypeAlias = Value | Untyped | Omitted


class Told(NamedTuple):
    """A value, and what is known about it. ``at`` is the device's own time, if it told one."""

    at: int
    came: int
    source: str
    """``read``, ``notify``, ``send`` or ``write``."""
    value: Reported


class Report(NamedTuple):
    """A line, read again."""

    came: int
    source: str
    is_complete: bool
    """Instances of its Resources that it does not tell are not there any more."""
    values: tuple[tuple[str, int, Reported], ...]
    """Place, time, value."""


Sample: TypeAlias = tuple[Path, Reported | None, float | None]
"""An ``Entry``, or one whose value has no type."""


def report(
    at: float, source: str, entries: Sequence[Sample], *, is_complete: bool = False, prefix: str = ""
) -> bytes:
    """A line; ``at`` in seconds is when it came. ``entries`` are not none."""
    came = int(at * SECOND)
    # All are threes; to check that costs as much as half of the rest.
    paths, values, times = zip(*entries)  # noqa: B905
    if times.count(None) == len(times):
        try:
            line = orjson.dumps((came, source, is_complete, _spelled(prefix, paths), values))
        except TypeError:
            # Bytes, links, text that UTF-8 cannot hold: what JSON has no word for.
            line = b""
        # It writes so what is no number, or infinite, or not there.
        if line and b"null" not in line and len(line) < LARGEST:
            return line
    kept = [(path, _plain(value), _moment(time, at)) for path, value, time in entries if value is not None]
    places = [_place(prefix, path) for path, _, _ in kept]
    plain, moments = [one[1] for one in kept], [one[2] for one in kept]
    return orjson.dumps((came, source, is_complete, places, plain, moments))


def read_report(line: bytes) -> Report:
    came, source, is_complete, places, values, *rest = orjson.loads(line)
    times = rest[0] if rest else [came] * len(places)
    told = tuple(zip(places, times, map(reported, values), strict=True))
    return Report(came, source, is_complete, told)


def samples_of(line: bytes) -> Iterator[tuple[str, int, Any]]:
    """Place, time and value of a line, in a hurry: a value that is a ``dict`` is for ``reported``."""
    came, source, _, places, values, *rest = orjson.loads(line)
    if source == DELETE:
        return iter(())
    return zip(places, rest[0] if rest else [came] * len(places), values, strict=True)


def update(latest: dict[str, Told], lines: Iterable[bytes]) -> None:
    """What holds after these reports, in the order they came."""
    for line in lines:
        report = read_report(line)
        if report.source == DELETE:
            _forget(latest, report)
            continue
        if report.is_complete:
            _forget_instances(latest, report)
        for place, at, value in report.values:
            known = latest.get(place)
            # A clock that is ahead must not shut out what follows.
            if known is None or min(at, report.came) >= min(known.at, known.came):
                latest[place] = Told(at, report.came, report.source, value)


def _forget(latest: dict[str, Told], report: Report) -> None:
    for path, _, _ in report.values:
        for place in [place for place in latest if place == path or place.startswith(f"{path}/")]:
            if latest[place].came <= report.came:
                del latest[place]


def _forget_instances(latest: dict[str, Told], report: Report) -> None:
    told = {place for place, _, _ in report.values}
    resources = {place.rpartition("/")[0] for place in told if place.count("/") == 3}
    if resources:
        others = [place for place in latest if place.rpartition("/")[0] in resources and place not in told]
        for place in others:
            if latest[place].came <= report.came:
                del latest[place]


def encoded(values: Iterable[Reported]) -> bytes:
    """As a JSON array."""
    return orjson.dumps([_plain(value) for value in values])


def decoded(data: bytes) -> list[Reported]:
    return [reported(one) for one in orjson.loads(data)]


def latest_to_json(latest: Mapping[str, Told]) -> bytes:
    return orjson.dumps(
        {place: (told.at, told.came, told.source, _plain(told.value)) for place, told in latest.items()}
    )


def latest_from_json(data: bytes) -> dict[str, Told]:
    return {
        place: Told(at, came, source, reported(value))
        for place, (at, came, source, value) in orjson.loads(data).items()
    }


@lru_cache(maxsize=4096)
def _spelled(prefix: str, paths: tuple[Path, ...]) -> orjson.Fragment:
    """Devices tell the same places over and over."""
    return orjson.Fragment(orjson.dumps([_place(prefix, path) for path in paths]))


def _place(prefix: str, path: Path) -> str:
    return f"{prefix}/{path.key}" if prefix else path.key


def _moment(time: float | None, at: float) -> int:
    if time is None or not CLOCK_IS_SET <= time <= at + AHEAD:
        return int(at * SECOND)
    return round(time * SECOND)


def _plain(value: Reported) -> Any:
    """As JSON has it: an object is what it has no word for."""
    match value:
        case bool() | int():
            return value
        case float():
            return value if math.isfinite(value) else {"f": repr(value)}
        case str():
            if len(value) > LARGEST:
                return {"x": len(value)}
            return value if value.isascii() else value.encode("utf-8", "replace").decode("utf-8")
        case bytes():
            return {"x": len(value)} if len(value) > LARGEST else {"b": _base64(value)}
        case ObjLink():
            return {"l": str(value)}
        case Untyped():
            return _untyped(value)
        case Omitted():
            return {"x": value.size}


def _untyped(value: Untyped) -> Any:
    data = value.data
    if len(data) > LARGEST:
        return {"x": len(data)}
    return {"u": value.format, "s" if isinstance(data, str) else "b": _plain_data(data)}


def _plain_data(data: bytes | str) -> str:
    return _base64(data) if isinstance(data, bytes) else data.encode("utf-8", "replace").decode("utf-8")


def reported(value: Any) -> Reported:
    """What JSON had for a value."""
    if value.__class__ is not dict:
        plain: Reported = value
        return plain
    match value:
        case {"u": format, "b": text}:
            return Untyped(format, binascii.a2b_base64(text))
        case {"u": format, "s": text}:
            return Untyped(format, text)
        case {"b": text}:
            return binascii.a2b_base64(text)
        case {"l": text}:
            return ObjLink.parse(text)
        case {"f": text}:
            return float(text)
        case _:
            return Omitted(value["x"])


def _base64(data: bytes) -> str:
    return binascii.b2a_base64(data, newline=False).decode("ascii")
