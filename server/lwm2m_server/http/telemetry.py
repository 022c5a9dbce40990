"""``/api/v1/devices/{name}/telemetry``, ``/attributes`` and ``/values``: what a device told, now and then.

Points in time are milliseconds since 1970-01-01 UTC.
"""

from __future__ import annotations

import base64
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final

import attrs
import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from lwm2m_engine.errors import PathError
from lwm2m_engine.model.view import ModelView
from lwm2m_server.access.callers import Role
from lwm2m_server.http.answers import stored
from lwm2m_server.http.describing import (
    BOOLEAN,
    COUNT,
    LIMIT,
    PLACE,
    STRING,
    TENANT,
    Parameter,
    array,
    described,
    enum,
    obj,
    ref,
)
from lwm2m_server.http.devices import DeviceFinder, milliseconds, number_of
from lwm2m_server.http.onlooking import EVENT_STREAM, Onlooking
from lwm2m_server.http.problems import Problem
from lwm2m_server.http.rights import tenant_of
from lwm2m_server.http.streams import Stream
from lwm2m_server.onem2m.devices import Devices
from lwm2m_server.profiles.keys import Keys
from lwm2m_server.profiles.mapping import ATTRIBUTE
from lwm2m_server.profiles.service import Profiles
from lwm2m_server.store.histories import EVER
from lwm2m_server.store.protocols import Ledger
from lwm2m_server.store.records import Device
from lwm2m_server.store.reports import Told
from lwm2m_server.store.transaction import Reader
from lwm2m_server.store.undecoded import Undecoded
from lwm2m_server.telemetry import documents
from lwm2m_server.telemetry.aggregates import AGGREGATES
from lwm2m_server.telemetry.documents import MILLISECOND, Range
from lwm2m_server.telemetry.keeping import Keeper
from lwm2m_server.telemetry.series import Selection, Series, UnknownKey

CSV: Final = "text/csv"
USUAL, MOST = 1_000, 10_000
"""Values of one Resource in one answer."""
ALL: Final = 100_000
"""Values in one answer."""
PAGE: Final = 2_000
"""Rows of CSV that are made at a time."""

DIGITS: Final = 15
"""Of a point in time: until the year 33658."""
_MOMENT: Final = {**COUNT, "maximum": 10**DIGITS - 1}
_KEYS: Final = Parameter("keys", array(STRING), "only these, by key name or path; several with commas, too")
_PATHS: Final = Parameter("paths", array(STRING), "only these paths or below; * stands for any number")
_FORMAT: Final = Parameter("format", enum("json", "csv"), "the same as Accept: text/csv")
_FROM: Final = Parameter("from", _MOMENT, "not older than this, milliseconds")
_TO: Final = Parameter("to", _MOMENT, "older than this, milliseconds")
_SERIES: Final = obj("*", device=STRING, series=array(ref("Series")))


class TelemetryApi:
    """Whatever a device told, mapped by its profile or not."""

    def __init__(
        self,
        find: DeviceFinder,
        ledger: Ledger,
        devices: Devices,
        profiles: Profiles,
        keeper: Keeper,
        onlooking: Onlooking,
    ) -> None:
        self._find, self._ledger, self._devices = find, ledger, devices
        self._profiles, self._keeper, self._onlooking = profiles, keeper, onlooking

    def routes(self) -> list[Route]:
        """Below ``/api/v1``."""
        device = "/devices/{name}"
        return [
            Route(f"{device}/telemetry", self.show, methods=["GET"]),
            Route(f"{device}/telemetry", self.delete, methods=["DELETE"]),
            Route(f"{device}/attributes", self.attributes, methods=["GET"]),
            Route(f"{device}/values", self.values, methods=["GET"]),
        ]

    @described(
        "The last values of a device; with from, to or agg those of that time; "
        "with Accept: text/event-stream each as it comes",
        query=(
            TENANT,
            _KEYS,
            _PATHS,
            _FROM,
            _TO,
            LIMIT,
            Parameter("order", enum("asc", "desc"), "the oldest first, or the newest"),
            Parameter("agg", enum(*AGGREGATES), "one value for each interval"),
            Parameter("interval", PLACE, "milliseconds; without it, all of the time"),
            _FORMAT,
        ),
        answers={200: _SERIES},
        more={CSV: STRING, EVENT_STREAM: STRING},
        problems=(400, 503),
    )
    async def show(self, request: Request) -> Response:
        device = self._find(request)
        if EVENT_STREAM in request.headers.get("accept", ""):
            return self._onlooking.stream(device, _names(request, "keys"), _names(request, "paths"))
        selection, told = await self._selection(device)
        chosen = _chosen(selection, request)
        is_csv = _wants_csv(request)
        is_latest = not any(name in request.query_params for name in ("from", "to", "agg"))
        wanted = self._range(request, None if is_csv or is_latest else len(chosen))
        if is_latest and is_csv:
            return _file(device, documents.csv_latest(chosen, told))
        if is_latest:
            return _answer(device, "series", _latest(chosen, told))
        if is_csv:
            return Stream(self._csv(device, chosen, wanted), _headers(device), CSV)
        return _json(await self._ledger.apart(lambda reader: _histories(reader, device, chosen, wanted)))

    @described(
        "Forget what a device told",
        query=(TENANT, _KEYS, _PATHS, _FROM, _TO),
        answers={200: obj("*", deleted=COUNT)},
        problems=(400, 503),
    )
    async def delete(self, request: Request) -> Response:
        """Without keys and paths all; without from and to the last values, too."""
        tenant_of(request, self._find.tenant(request), Role.ADMIN)
        device = self._find(request)
        since, until = _moment(request, "from", EVER[0]), _moment(request, "to", EVER[1])
        selection, _ = await self._selection(device)
        chosen = _chosen(selection, request)
        named = any(name in request.query_params for name in ("keys", "paths"))
        places = [place for series in chosen for place in series.places] if named else None
        with stored():
            count = await self._keeper.delete(device.node, places, since, until)
        return _json(orjson.dumps({"deleted": count}))

    @described(
        "The last values of what the device profile has for attributes",
        query=(TENANT, Parameter("all", BOOLEAN, "of everything else, too"), _FORMAT),
        answers={200: obj("*", device=STRING, attributes=array(ref("Series")))},
        more={CSV: STRING},
        problems=(400,),
    )
    async def attributes(self, request: Request) -> Response:
        device = self._find(request)
        selection, told = await self._told(device)
        chosen = selection.all
        if not _flag(request, "all"):
            keys, _ = self._keys(device)
            chosen = [one for one in chosen if not one.prefix and ATTRIBUTE in keys.kind(one.path)]
        if _wants_csv(request):
            return _file(device, documents.csv_latest(chosen, told))
        return _answer(device, "attributes", _latest(chosen, told))

    @described(
        "All that is known of a device: the last value of each Resource, and what could not be decoded",
        query=(TENANT, _PATHS),
        answers={
            200: obj("*", device=STRING, values=array(ref("Series")), undecoded=array(ref("Undecoded")))
        },
        problems=(400,),
    )
    async def values(self, request: Request) -> Response:
        device = self._find(request)
        selection, told = await self._told(device)
        raw = [_undecoded(one) for one in self._ledger.reader.undecoded(device.node)]
        return _answer(device, "values", _latest(_chosen(selection, request), told), undecoded=raw)

    # --- inner ---------------------------------------------------------------------------------------

    def _keys(self, device: Device) -> tuple[Keys, ModelView]:
        models = self._devices.models(device)
        return self._profiles.keys(device, models), models

    async def _told(self, device: Device) -> tuple[Selection, Mapping[str, Told]]:
        """What has a last value; to look for all that has a history takes longer."""
        told = await self._ledger.apart(lambda reader: reader.latest_values(device.node))
        return Selection(*self._keys(device), told), told

    async def _selection(self, device: Device) -> tuple[Selection, Mapping[str, Told]]:
        def read(reader: Reader) -> tuple[Mapping[str, Told], frozenset[str]]:
            told = reader.latest_values(device.node)
            return told, frozenset(reader.places(device.node))

        told, places = await self._ledger.apart(read)
        return Selection(*self._keys(device), places), told

    def _range(self, request: Request, series: int | None) -> Range:
        """Raises ``Problem``. ``series`` is ``None`` where there may be any number, as of CSV, which is not
        made at once."""
        asked = request.query_params
        since = max(_moment(request, "from", EVER[0]), self._keeper.horizon)
        until = _moment(request, "to", EVER[1] if "agg" not in asked else self._keeper.now)
        asked_for = min(number_of(request, "limit", USUAL), MOST)
        limit = PAGE if series is None else asked_for
        if series is not None and limit * series > ALL and "limit" in asked:
            raise Problem(
                HTTPStatus.BAD_REQUEST,
                f"limit={limit} for {series} Resources is more than {ALL} values: name keys, or ask for less",
            )
        if series:
            limit = min(limit, ALL // series)
        order = _one_of(request, "order", ("asc", "desc"))
        wanted = Range(since, max(until, since), limit, order == "desc")
        return _aggregating(request, wanted)

    async def _csv(
        self, device: Device, chosen: Sequence[Series], wanted: Range
    ) -> AsyncGenerator[bytes, None]:
        yield documents.csv_header()
        for series in chosen:
            for place in series.places:
                rest: Range | None = wanted
                while rest is not None:
                    page, rest = await self._ledger.apart(_reading(device, series, place, rest))
                    yield page


def _reading(
    device: Device, series: Series, place: str, wanted: Range
) -> Callable[[Reader], tuple[bytes, Range | None]]:
    def read(reader: Reader) -> tuple[bytes, Range | None]:
        page, end = documents.csv_page(reader, device.node, series, place, wanted)
        if end is None:
            return page, None
        if wanted.newest_first:
            return page, attrs.evolve(wanted, until=end)
        return page, attrs.evolve(wanted, since=end)

    return read


def _histories(reader: Reader, device: Device, chosen: Sequence[Series], wanted: Range) -> bytes:
    series = [documents.history(reader, device.node, one, wanted) for one in chosen]
    return orjson.dumps({"device": device.name, "series": series})


def _latest(chosen: Sequence[Series], told: Mapping[str, Told]) -> list[dict[str, Any]]:
    rows = (documents.latest(series, told) for series in chosen)
    return [row for row in rows if row is not None]


def _undecoded(one: Undecoded) -> dict[str, Any]:
    return {
        "at": milliseconds(one.at),
        "source": one.source,
        "path": f"/{one.prefix}{one.path}" if one.prefix else str(one.path),
        "paths": [str(path) for path in one.paths],
        "contentFormat": one.content_format,
        "payload": base64.b64encode(one.payload).decode("ascii"),
        "error": one.error,
    }


# --- what was asked -------------------------------------------------------------------------------


def _chosen(selection: Selection, request: Request) -> Sequence[Series]:
    """Raises ``Problem``."""
    try:
        return selection.chosen(_names(request, "keys"), _names(request, "paths"))
    except (UnknownKey, PathError) as error:
        raise Problem(HTTPStatus.BAD_REQUEST, str(error)) from error


def _names(request: Request, name: str) -> list[str]:
    """Several, with commas or repeated."""
    texts = request.query_params.getlist(name)
    return [one.strip() for text in texts for one in text.split(",") if one.strip()]


def _moment(request: Request, name: str, default: int) -> int:
    """Microseconds. Raises ``Problem``."""
    text = request.query_params.get(name)
    if text is None:
        return default
    if not (text.isascii() and text.isdigit() and len(text) <= DIGITS):
        raise Problem(HTTPStatus.BAD_REQUEST, f"{name}={text[:40]} is no time in milliseconds since 1970")
    return int(text) * MILLISECOND


def _aggregating(request: Request, wanted: Range) -> Range:
    name = _one_of(request, "agg", tuple(AGGREGATES))
    interval = number_of(request, "interval", 0) * MILLISECOND
    if not name:
        if interval:
            raise Problem(HTTPStatus.BAD_REQUEST, "interval is for agg")
        return wanted
    whole = max(wanted.until - wanted.since, 1)
    return attrs.evolve(wanted, aggregate=name, interval=interval or whole)


def _one_of(request: Request, name: str, known: Sequence[str]) -> str:
    """Empty if it is not asked for."""
    text = request.query_params.get(name, "")
    if text and text not in known:
        raise Problem(HTTPStatus.BAD_REQUEST, f"{name}={text[:40]} is none of {', '.join(known)}")
    return text


def _flag(request: Request, name: str) -> bool:
    if name not in request.query_params:
        return False
    return _one_of(request, name, ("true", "false", "1", "0")) not in ("false", "0")


def _wants_csv(request: Request) -> bool:
    format = _one_of(request, "format", ("json", "csv"))
    return format == "csv" if format else CSV in request.headers.get("accept", "")


# --- answers ---------------------------------------------------------------------------------------


def _headers(device: Device) -> dict[str, str]:
    name = "".join(letter if letter.isascii() and letter.isalnum() else "-" for letter in device.name)
    return {"cache-control": "no-store", "content-disposition": f'attachment; filename="{name}.csv"'}


def _file(device: Device, data: bytes) -> Response:
    return Response(data, headers=_headers(device), media_type=CSV)


def _answer(device: Device, name: str, rows: list[dict[str, Any]], **more: Any) -> Response:
    return _json(orjson.dumps({"device": device.name, name: rows, **more}))


def _json(document: bytes) -> Response:
    return Response(document, headers={"cache-control": "no-store"}, media_type="application/json")
