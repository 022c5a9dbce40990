"""Histories as JSON and as CSV. These read on a thread: a document may have a hundred thousand values."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from itertools import islice
from typing import Any, Final

import attrs

from lwm2m_engine.values import ResourceType
from lwm2m_server.store.reports import SECOND, Reported, Told
from lwm2m_server.store.series import Point
from lwm2m_server.store.transaction import Reader
from lwm2m_server.telemetry.aggregates import aggregated
from lwm2m_server.telemetry.readings import divided
from lwm2m_server.telemetry.series import Series
from lwm2m_server.telemetry.values import plain, to_json, typed

MILLISECOND: Final = SECOND // 1000
HEADER: Final = ("at", "time", "key", "path", "value", "units")
COUNTED: Final = "count"
"""The aggregate that is a number whatever the values are."""


@attrs.frozen
class Range:
    """Which part of a history; times are microseconds, ``until`` exclusive."""

    since: int
    until: int
    limit: int
    newest_first: bool = False
    aggregate: str = ""
    interval: int = 0


def described(series: Series) -> dict[str, Any]:
    """What a series is."""
    spec = series.spec
    return {
        "key": series.key,
        "path": series.place,
        "name": spec.name if spec is not None else None,
        "type": spec.type.value if spec is not None else None,
        "units": (spec.units or None) if spec is not None else None,
        "kinds": sorted(series.kinds),
    }


def latest(series: Series, told: Mapping[str, Told]) -> dict[str, Any] | None:
    """The last value, of a Resource with instances those of them all; ``None`` if there is none."""
    found = {place: told[place] for place in series.places if place in told}
    if not found:
        return None
    newest = max(found.values(), key=lambda one: (one.came, one.at))
    return described(series) | {
        "at": newest.at // MILLISECOND,
        "received": newest.came // MILLISECOND,
        "source": newest.source,
        "value": _whole(series, {place: one.value for place, one in found.items()}),
    }


def history(reader: Reader, node: int, series: Series, wanted: Range) -> dict[str, Any]:
    """Values in order; ``next`` says where more of them begin (or end, the newest first)."""
    rows = _rows(reader, node, series, wanted)
    found = list(islice(rows, wanted.limit))
    more = next(rows, None)
    # A number of values is not of their type.
    shown = attrs.evolve(series, spec=None) if wanted.aggregate == COUNTED else series
    document = described(series) | {
        "values": [{"at": at // MILLISECOND, "value": _whole(shown, values)} for at, values in found]
    }
    if more is not None and found:
        # Exclusive at its end: what has the same millisecond is told once more.
        document["next"] = more[0] // MILLISECOND + wanted.newest_first
    return document


def csv_header() -> bytes:
    return _csv([HEADER])


def csv_page(
    reader: Reader, node: int, series: Series, place: str, wanted: Range
) -> tuple[bytes, int | None]:
    """Rows of one place, and the time behind the last of them; ``None`` if there are no more."""
    if wanted.aggregate == COUNTED:
        series = attrs.evolve(series, spec=None)
    points = _points(reader, node, place, wanted, series)
    found = list(islice(points, wanted.limit))
    rows = [_csv_row(series, place, at, value) for at, value in found]
    if len(found) < wanted.limit or next(points, None) is None:
        return _csv(rows), None
    last = found[-1][0]
    return _csv(rows), last if wanted.newest_first else last + (wanted.interval or 1)


def csv_latest(chosen: Sequence[Series], told: Mapping[str, Told]) -> bytes:
    rows = [
        _csv_row(series, place, told[place].at, typed(told[place].value, _kind(series)))
        for series in chosen
        for place in series.places
        if place in told
    ]
    return _csv([HEADER, *rows])


def _rows(
    reader: Reader, node: int, series: Series, wanted: Range
) -> Iterator[tuple[int, dict[str, Reported]]]:
    """Times, and values by place."""
    if len(series.places) == 1:
        place = series.places[0]
        for at, value in _points(reader, node, place, wanted, series):
            yield at, {place: value}
        return
    # Instances that were told at once are one value.
    merged: dict[int, dict[str, Reported]] = {}
    for place in series.places:
        for at, value in islice(_points(reader, node, place, wanted, series), wanted.limit + 1):
            merged.setdefault(at, {})[place] = value
    for at in sorted(merged, reverse=wanted.newest_first):
        yield at, merged[at]


def _points(reader: Reader, node: int, place: str, wanted: Range, series: Series) -> Iterator[Point]:
    kind = _kind(series)
    chunks = reader.points(
        node,
        place,
        since=wanted.since,
        until=wanted.until,
        newest_first=wanted.newest_first and not wanted.aggregate,
    )
    points = ((at, typed(value, kind)) for chunk in chunks for at, value in chunk)
    if not wanted.aggregate:
        yield from points
        return
    figures: Iterable[tuple[int, Reported | None]] = aggregated(
        points, wanted.aggregate, since=wanted.since, interval=wanted.interval
    )
    known = [(at, figure) for at, figure in figures if figure is not None]
    yield from reversed(known) if wanted.newest_first else known


def _whole(series: Series, values: Mapping[str, Reported]) -> Any:
    ids = {divided(place)[1].resource_instance: value for place, value in values.items()}
    if None in ids:
        return to_json(ids[None], series.spec)
    return to_json({id: value for id, value in ids.items() if id is not None}, series.spec)


def _kind(series: Series) -> ResourceType | None:
    return series.spec.type if series.spec is not None else None


def _csv_row(series: Series, place: str, at: int, value: Reported) -> tuple[object, ...]:
    shown = plain(value, _kind(series))
    units = series.spec.units if series.spec is not None else ""
    moment = datetime.fromtimestamp(at / SECOND, UTC).isoformat(timespec="milliseconds")
    text = str(shown).lower() if isinstance(shown, bool) else shown
    return at // MILLISECOND, moment.replace("+00:00", "Z"), series.key, f"/{place}", text, units


def _csv(rows: Sequence[Sequence[object]]) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text).writerows(rows)
    return text.getvalue().encode("utf-8", "replace")
