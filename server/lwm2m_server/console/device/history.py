"""``/console/devices/{name}/history``: what one Resource was, as a chart and as a table."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import AsyncExitStack
from typing import Any, Final

import attrs
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from lwm2m_server.console.device.charts import Chart, banded, chart_of
from lwm2m_server.console.device.fields import Unfit, local, moment
from lwm2m_server.console.device.frame import device_page, path_of
from lwm2m_server.console.device.values import Reading, is_numeric, reading
from lwm2m_server.console.device.values import shown as shown_value
from lwm2m_server.console.viewer import viewer_of
from lwm2m_server.http.streams import Stream

HOUR: Final = 3_600_000
RANGES: Final[Mapping[str, tuple[str, int]]] = {
    "1h": ("1 hour", HOUR),
    "24h": ("24 hours", 24 * HOUR),
    "7d": ("7 days", 7 * 24 * HOUR),
    "30d": ("30 days", 30 * 24 * HOUR),
}
"""What they are called, and milliseconds."""
CUSTOM: Final = "custom"
AGGREGATES: Final = ("avg", "min", "max", "sum", "count", "first", "last")
RAW: Final = 2_000
"""Values drawn one by one; of more, intervals are."""
MOST: Final = 10_000
"""Values drawn one by one where that is asked for."""
EACH: Final = "none"
"""In place of the name of an aggregate."""
INTERVALS: Final = 400
TABLE: Final = 100


@attrs.frozen
class Span:
    """From when until when, in milliseconds; ``is_open`` if it goes on."""

    name: str
    since: int
    until: int
    is_open: bool
    problem: str = ""


class HistoryPages:
    """Whatever the API keeps of a value."""

    def routes(self) -> list[Route]:
        """Below ``/console``."""
        device = "/devices/{name}"
        return [
            Route(f"{device}/history", self.show, methods=["GET"]),
            Route(f"{device}/history.csv", self.download, methods=["GET"]),
        ]

    async def show(self, request: Request) -> Response:
        """``path``, and ``range``; or ``from`` and ``to``. ``agg`` is what is drawn of an interval."""
        api, asked = viewer_of(request).api, request.query_params
        known = (await api.get(path_of(request, "/values")))["values"]
        known.sort(key=lambda row: not is_numeric(row["type"]))
        wanted = asked.get("path", known[0]["path"] if known else "")
        chosen = next((reading(row) for row in known if row["path"] == wanted), None)
        span = span_of(asked, int(time.time() * 1000))
        aggregate = asked.get("agg", "")
        context: dict[str, Any] = {"chart": None, "table": (), "more": None}
        if chosen is not None and not span.problem:
            context |= await self._history(request, chosen, span, aggregate)
        return await device_page(
            request,
            "device/history.html",
            "History",
            known=known,
            chosen=chosen,
            wanted=wanted,
            is_numeric=is_numeric,
            span=span,
            ends=(local(span.since), local(span.until)),
            ranges=RANGES,
            aggregate=aggregate,
            aggregates=AGGREGATES,
            asked=_asked(asked),
            **context,
        )

    async def download(self, request: Request) -> Response:
        """CSV, as it comes from the API."""
        api, asked = viewer_of(request).api, request.query_params
        span = span_of(asked, int(time.time() * 1000))
        query: dict[str, Any] = {"paths": asked.getlist("path"), "from": span.since, "to": span.until}
        closing: AsyncExitStack = request.scope["closing"]
        headers = {"accept": "text/csv"}
        opened = api.open(path_of(request, "/telemetry"), headers=headers, **query)
        answer = await closing.enter_async_context(opened)
        name = {"content-disposition": answer.headers["content-disposition"], "cache-control": "no-store"}

        async def chunks() -> AsyncGenerator[bytes, None]:
            async for chunk in answer.chunks:
                yield chunk

        return Stream(chunks(), name, "text/csv")

    async def _history(self, request: Request, one: Reading, span: Span, aggregate: str) -> dict[str, Any]:
        found: dict[str, Any] = {}
        if one.is_numeric:
            found["chart"] = await self._chart(request, one, span, aggregate)
        newest = await self._values(request, one, span, limit=TABLE, order="desc")
        found["table"] = [(row["at"], _cells(row["value"], one)) for row in newest["values"]]
        found["more"] = newest.get("next")
        return found

    async def _chart(self, request: Request, one: Reading, span: Span, aggregate: str) -> Chart:
        """Each value where they are few, else for each interval what is between the least and the most."""
        interval = max((span.until - span.since) // INTERVALS, 1000)
        if aggregate in AGGREGATES:
            rows = await self._values(request, one, span, agg=aggregate, interval=interval)
            return chart_of(rows["values"], aggregate, interval)
        most = MOST if aggregate == EACH else RAW
        raw = await self._values(request, one, span, limit=most, order="desc")
        is_cut = "next" in raw
        if not is_cut or one.is_multiple or aggregate == EACH:
            return attrs.evolve(chart_of(raw["values"][::-1], "", 0), is_cut=is_cut)
        averages, lows, highs = [
            (await self._values(request, one, span, agg=name, interval=interval))["values"]
            for name in ("avg", "min", "max")
        ]
        return banded(averages, lows, highs, interval)

    async def _values(self, request: Request, one: Reading, span: Span, **more: Any) -> dict[str, Any]:
        api = viewer_of(request).api
        place = {"paths": one.path, "from": span.since, "to": span.until}
        found = await api.get(path_of(request, "/telemetry"), **place, **{"limit": RAW, **more})
        series: Sequence[dict[str, Any]] = found["series"]
        return series[0] if series else {"values": []}


def span_of(asked: Mapping[str, str], now: int) -> Span:
    """The last 24 hours, if nothing is asked."""
    name = asked.get("range", "24h")
    if name != CUSTOM:
        _, length = RANGES.get(name, RANGES["24h"])
        return Span(name if name in RANGES else "24h", now - length, now, True)
    try:
        since, until = (moment(asked.get(end, ""), asked.get(f"{end}.offset", "")) for end in ("from", "to"))
    except Unfit:
        return Span(CUSTOM, 0, now, False, "From when, and until when?")
    if since >= until:
        return Span(CUSTOM, since, until, False, "It ends before it begins.")
    return Span(CUSTOM, max(since, 0), max(until, 0), False)


def _asked(asked: Mapping[str, str]) -> dict[str, str]:
    """What of the address goes on to the download."""
    names = ("path", "range", "from", "from.offset", "to", "to.offset")
    return {name: asked[name] for name in names if asked.get(name)}


def _cells(value: Any, one: Reading) -> list[tuple[str, Any]]:
    found = value if one.is_multiple and isinstance(value, Mapping) else {"": value}
    return [(id, shown_value(each, one.kind)) for id, each in found.items()]
