"""``/metrics`` for Prometheus: figures that the parts of the server keep anyway, read when somebody asks.

None has a label that grows with the fleet.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from importlib.metadata import version
from typing import Final, TypeAlias

import attrs
from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from lwm2m_engine.engine.events import Event
from lwm2m_server.bus import Bus
from lwm2m_server.figures import Histogram
from lwm2m_server.http.describing import STRING, described

PREFIX: Final = "lwm2m_"


@attrs.frozen
class Figures:
    """One metric: its values by the value of ``label``, or a single one."""

    name: str
    meaning: str
    values: Mapping[str, float] | Histogram | float
    label: str = ""
    is_total: bool = False
    """It only ever grows."""

    def family(self) -> Metric:
        name, values = PREFIX + self.name, self.values
        if isinstance(values, Histogram):
            buckets = [(_bound(bound), float(count)) for bound, count in values.cumulative()]
            return HistogramMetricFamily(name, self.meaning, buckets=buckets, sum_value=values.sum)
        family = (CounterMetricFamily if self.is_total else GaugeMetricFamily)(
            name, self.meaning, labels=[self.label] if self.label else None
        )
        if not isinstance(values, Mapping):
            values = {"": values}
        for value, figure in values.items():
            family.add_metric([value] if self.label else [], figure)
        return family


Source: TypeAlias = Callable[[], Iterable[Figures]]
"""What one part of the server knows of itself."""
Slow: TypeAlias = Callable[[], Awaitable[Iterable[Figures]]]
"""The same for what must not be asked on the loop."""


def metrics_route(sources: Iterable[Source], slow: Iterable[Slow] = ()) -> Route:
    """``sources`` are asked anew each time."""
    known, awaited = tuple(sources), tuple(slow)

    @described("Figures for Prometheus", answers={200: STRING}, media_type="text/plain")
    async def metrics(request: Request) -> Response:
        found = [figures for source in known for figures in source()]
        for source in awaited:
            found += await source()
        headers = {"cache-control": "no-store"}
        return Response(exposed(found), headers=headers, media_type=CONTENT_TYPE_LATEST)

    return Route("/metrics", metrics, methods=["GET"])


def exposed(figures: Iterable[Figures]) -> bytes:
    """In the text format, with those of the process."""
    registry = CollectorRegistry(auto_describe=False)
    for collector in (ProcessCollector, PlatformCollector, GCCollector):
        collector(registry=registry)
    registry.register(_Found([_build(), *figures]))
    return generate_latest(registry)


class EventCounts:
    """How many events there were of each kind."""

    def __init__(self, bus: Bus) -> None:
        self._counts: Counter[type] = Counter()
        bus.subscribe(self._count)

    def _count(self, tenant: str, event: Event) -> None:
        self._counts[event.__class__] += 1

    def figures(self) -> Iterator[Figures]:
        counts = {kind.__name__: count for kind, count in self._counts.items()}
        yield Figures("events_total", "What devices did, and what came of it.", counts, "kind", True)


class _Found(Collector):
    def __init__(self, figures: Iterable[Figures]) -> None:
        self._figures = figures

    def collect(self) -> Iterable[Metric]:
        return [figures.family() for figures in self._figures]


def _build() -> Figures:
    return Figures("build_info", "Version of the server.", {version("lwm2m-engine"): 1}, "version")


def _bound(value: float) -> str:
    return "+Inf" if value == float("inf") else str(value)
