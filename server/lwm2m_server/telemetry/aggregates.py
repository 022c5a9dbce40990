"""Aggregates: many values as one for each interval of time."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final, TypeAlias

import attrs

from lwm2m_server.store.reports import Reported
from lwm2m_server.store.series import Point

Figure: TypeAlias = Reported | None


@attrs.define(slots=True)
class Bucket:
    """What is known of an interval. Numbers that are not finite count, and are nothing else."""

    first: Reported
    last: Reported
    count: int = 0
    numbers: int = 0
    sum: int | float = 0
    least: int | float = math.inf
    most: int | float = -math.inf

    def add(self, value: Reported) -> None:
        self.count += 1
        self.last = value
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
            return
        self.numbers += 1
        self.sum += value
        if value < self.least:
            self.least = value
        if value > self.most:
            self.most = value


AGGREGATES: Final[Mapping[str, Callable[[Bucket], Figure]]] = {
    "min": lambda bucket: bucket.least if bucket.numbers else None,
    "max": lambda bucket: bucket.most if bucket.numbers else None,
    "avg": lambda bucket: bucket.sum / bucket.numbers if bucket.numbers else None,
    "sum": lambda bucket: bucket.sum if bucket.numbers else None,
    "count": lambda bucket: bucket.count,
    "first": lambda bucket: bucket.first,
    "last": lambda bucket: bucket.last,
}
"""By name; of an interval in which nothing was told there is none."""


def aggregated(
    points: Iterable[Point], name: str, *, since: int, interval: int
) -> Iterator[tuple[int, Figure]]:
    """Points in order of time; intervals begin at ``since`` and are told by their begin. Microseconds."""
    figure, begin, bucket = AGGREGATES[name], since, None
    for at, value in points:
        if bucket is None or at >= begin + interval:
            if bucket is not None:
                yield begin, figure(bucket)
            begin = since + (at - since) // interval * interval
            bucket = Bucket(value, value)
        bucket.add(value)
    if bucket is not None:
        yield begin, figure(bucket)
