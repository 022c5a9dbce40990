"""Ripening: what a device told becomes history: lines in the order they came, sorted by series and time.

Worked out on a thread, from what is committed; what comes of it is written in turns. To do it again, because
a turn was lost, changes nothing: the same values go to the same places.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import attrs

from lwm2m_server.store.reports import Told, reported, samples_of, update
from lwm2m_server.store.series import POINTS, Point, chunks
from lwm2m_server.store.telemetry import Change, Span, TelemetryReads

SIZE: Final = 131_072
"""Bytes of lines that become history at a time."""


@attrs.frozen
class Retention:
    """What is kept of a device."""

    points: int = 100_000
    """Of one series; the oldest go."""
    series: int = 1_000
    """Those that were told of least recently go."""


@attrs.frozen
class Ripe:
    """What is to be written, the changes first."""

    changes: Sequence[Change]
    latest: Mapping[str, Told]
    through: int
    evicted: Sequence[str] = ()
    """Places of which there is nothing any more, since there are too many."""


def ripen(reader: TelemetryReads, node: int, retention: Retention) -> Ripe | None:
    """The oldest of what is not history; ``None`` if all is."""
    batches = reader.batches(node, SIZE)
    if not batches:
        return None
    lines = [line for batch in batches for line in batch.lines.split(b"\n")]
    latest = reader.settled_values(node)
    update(latest, lines)
    series: dict[str, dict[int, object]] = {}
    for line in lines:
        for place, at, value in samples_of(line):
            series.setdefault(place, {})[at] = value
    evicted = _surplus(latest, series, retention.series)
    changes: list[Change] = []
    for place, points in series.items():
        if place not in evicted:
            own = [*merged(reader, node, place, [(at, reported(points[at])) for at in sorted(points)])]
            changes += own
            changes += _overflow(reader, node, place, retention.points, own)
    for place in evicted:
        latest.pop(place, None)
        changes.append(Change(place, [span.id for span in reader.spans(node, place)]))
    return Ripe(changes, latest, batches[-1].number, tuple(evicted))


def merged(reader: TelemetryReads, node: int, place: str, points: Sequence[Point]) -> Iterator[Change]:
    """Put points, in order of time, where they belong."""
    spans = list(reader.spans(node, place, since=points[0][0], until=points[-1][0] + 1))
    before = reader.span_before(node, place, points[0][0])
    if before is not None and before not in spans:
        spans.insert(0, before)
    begins = [span.since for span in spans]
    groups: dict[int, list[Point]] = {}
    for point in points:
        groups.setdefault(bisect_right(begins, point[0]) - 1, []).append(point)
    for index, group in groups.items():
        yield _into(reader, place, spans[index] if index >= 0 else None, group)


def _into(reader: TelemetryReads, place: str, span: Span | None, points: Sequence[Point]) -> Change:
    """``points`` begin within or behind the chunk, and end before the next one."""
    if span is None or (span.count >= POINTS and points[0][0] > span.until):
        return Change(place, (), tuple(chunks(points)))
    both = dict(reader.chunk(span.id)) | dict(points)
    return Change(place, (span.id,), tuple(chunks(sorted(both.items(), key=lambda point: point[0]))))


def _surplus(latest: Mapping[str, Told], told: Mapping[str, object], limit: int) -> set[str]:
    """Places that are too many: those of which the device has not told for longest."""
    places = {*latest, *told}
    if len(places) <= limit:
        return set()
    by_age = sorted(places, key=lambda place: (latest[place].came if place in latest else 0, place))
    return set(by_age[: len(places) - limit])


def _overflow(
    reader: TelemetryReads, node: int, place: str, limit: int, changes: Sequence[Change]
) -> Iterator[Change]:
    """The oldest chunks of a series, as long as there are enough points without them."""
    replaced = {id for change in changes for id in change.remove}
    spans = [span for span in reader.spans(node, place) if span.id not in replaced]
    count = sum(span.count for span in spans)
    count += sum(len(points) for change in changes for points in change.add)
    for span in spans:
        count -= span.count
        if count < limit:
            return
        yield Change(place, (span.id,))
