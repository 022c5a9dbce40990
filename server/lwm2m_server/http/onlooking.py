"""``/api/v1/devices/{name}/telemetry`` as a stream: the last values of a device, and then each as it comes.

Server-Sent Events (WHATWG HTML, 9.2) named ``values``; those that a slow reader misses are counted by an
event ``gap``.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from http import HTTPStatus
from typing import Any, Final

import orjson
from starlette.responses import Response

from lwm2m_engine.errors import PathError
from lwm2m_engine.model.view import ModelView
from lwm2m_server.directory import key_of
from lwm2m_server.http.problems import Problem
from lwm2m_server.http.streams import Stream
from lwm2m_server.onem2m.devices import Devices
from lwm2m_server.profiles.keys import Keys
from lwm2m_server.profiles.service import Profiles
from lwm2m_server.store.protocols import Ledger
from lwm2m_server.store.records import Device
from lwm2m_server.store.reports import Told
from lwm2m_server.telemetry import documents
from lwm2m_server.telemetry.live import Live, News
from lwm2m_server.telemetry.series import Selection

EVENT_STREAM: Final = "text/event-stream"
FOLLOWERS: Final = 1000
"""Streams at a time."""


class Onlooking:
    """Belongs to the event loop."""

    def __init__(self, ledger: Ledger, devices: Devices, profiles: Profiles, live: Live) -> None:
        self._ledger, self._devices, self._profiles, self._live = ledger, devices, profiles, live

    def stream(self, device: Device, keys: Sequence[str], paths: Sequence[str]) -> Response:
        """Raises ``Problem``."""
        if self._live.followers >= FOLLOWERS:
            raise Problem(HTTPStatus.SERVICE_UNAVAILABLE, f"{FOLLOWERS} readers look on already")
        try:
            Selection(*self._named(device), ()).matching(keys, paths)
        except PathError as error:
            raise Problem(HTTPStatus.BAD_REQUEST, str(error)) from error
        return Stream(self._frames(device, keys, paths), {"cache-control": "no-store"}, EVENT_STREAM)

    async def _frames(
        self, device: Device, keys: Sequence[str], paths: Sequence[str]
    ) -> AsyncGenerator[bytes, None]:
        async with aclosing(self._live.follow(device.tenant, key_of(device))) as batches:
            await anext(batches)
            told = await self._ledger.apart(lambda reader: reader.latest_values(device.node))
            yield _frame("values", {"values": self._rows(device, told, keys, paths)})
            async for batch in batches:
                if not batch.news:
                    yield b":\n\n"
                    continue
                if batch.missed:
                    yield _frame("gap", {"values": batch.missed})
                rows = [row for told in _moments(batch.news) for row in self._rows(device, told, keys, paths)]
                if rows:
                    yield _frame("values", {"values": rows})

    def _rows(
        self, device: Device, told: dict[str, Told], keys: Sequence[str], paths: Sequence[str]
    ) -> list[dict[str, Any]]:
        chosen = Selection(*self._named(device), told).matching(keys, paths)
        return [row for series in chosen if (row := documents.latest(series, told)) is not None]

    def _named(self, device: Device) -> tuple[Keys, ModelView]:
        models = self._devices.models(device)
        return self._profiles.keys(device, models), models


def _moments(news: Sequence[News]) -> list[dict[str, Told]]:
    """Values of one time are shown together, each place at most once."""
    found: list[dict[str, Told]] = []
    for one in news:
        told = Told(one.at, one.came, one.source, one.value)
        if found and one.place not in found[-1] and next(iter(found[-1].values())).at == one.at:
            found[-1][one.place] = told
        else:
            found.append({one.place: told})
    return found


def _frame(name: str, data: object) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (name.encode(), orjson.dumps(data))
