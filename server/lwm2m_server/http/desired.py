"""``/api/v1/devices/{name}/desired``: what Resources shall be, and how far that has come."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from lwm2m_engine.errors import ValueRejected
from lwm2m_engine.model.spec import ResourceSpec
from lwm2m_engine.model.view import ModelView
from lwm2m_engine.paths import Path
from lwm2m_server.desired.service import DesiredStates
from lwm2m_server.desired.writes import checked, is_reported
from lwm2m_server.http.answers import stored
from lwm2m_server.http.bodies import read_json
from lwm2m_server.http.describing import STRING, TENANT, any_of, array, described, obj, ref
from lwm2m_server.http.devices import DeviceFinder, milliseconds
from lwm2m_server.http.problems import Problem
from lwm2m_server.onem2m.devices import Devices
from lwm2m_server.profiles.keys import Keys
from lwm2m_server.profiles.service import Profiles
from lwm2m_server.store.desired import DesiredValue
from lwm2m_server.store.records import Device
from lwm2m_server.telemetry.readings import Reading, Readings
from lwm2m_server.telemetry.values import to_json

MAX_DESIRED: Final = 1000
"""Resources of a device of which something can be desired."""

_ANSWER: Final = obj("*", device=STRING, desired=array(ref("DesiredValue")))


class DesiredApi:
    """By key name or path; a member ``null`` ends the wish."""

    def __init__(
        self,
        find: DeviceFinder,
        desired: DesiredStates,
        devices: Devices,
        profiles: Profiles,
        readings: Readings,
    ) -> None:
        self._find, self._desired, self._devices = find, desired, devices
        self._profiles, self._readings = profiles, readings

    def routes(self) -> list[Route]:
        """Below ``/api/v1``."""
        path = "/devices/{name}/desired"
        return [
            Route(path, self.show, methods=["GET"]),
            Route(path, self.want, methods=["PATCH"]),
            Route(f"{path}/retry", self.retry, methods=["POST"]),
        ]

    @described("What Resources shall be, and how far that has come", query=(TENANT,), answers={200: _ANSWER})
    async def show(self, request: Request) -> Response:
        return await self._shown(self._find(request))

    @described(
        "Say what Resources shall be: written when the device can hear it",
        query=(TENANT,),
        body=any_of({}),
        answers={200: _ANSWER},
        problems=(400, 413, 503),
    )
    async def want(self, request: Request) -> Response:
        """All members or none."""
        device, document = self._find(request), await read_json(request)
        if not isinstance(document, dict):
            raise Problem(HTTPStatus.BAD_REQUEST, "a JSON object is due: values by key name or path")
        models = self._devices.models(device)
        keys = self._profiles.keys(device, models)
        texts = {_path(key, keys): self._text(key, value, keys, models) for key, value in document.items()}
        others = {one.path for one in self._desired.of(device)}
        if len(others.union(map(str, texts))) > MAX_DESIRED:
            raise Problem(HTTPStatus.BAD_REQUEST, f"more than {MAX_DESIRED} Resources of a device")
        with stored():
            await self._desired.want(device, texts)
        return await self._shown(device)

    @described("Ask once more for what failed", query=(TENANT,), answers={200: _ANSWER}, problems=(503,))
    async def retry(self, request: Request) -> Response:
        device = self._find(request)
        with stored():
            await self._desired.retry(device)
        return await self._shown(device)

    def _text(self, key: str, value: object, keys: Keys, models: ModelView) -> str | None:
        if value is None:
            return None
        path = _path(key, keys)
        try:
            return checked(path, value, models)
        except ValueRejected as error:
            raise Problem(HTTPStatus.BAD_REQUEST, f"{key}: {error}") from error

    async def _shown(self, device: Device) -> Response:
        rows, models = self._desired.of(device), self._devices.models(device)
        keys = self._profiles.keys(device, models)
        told = await self._readings.latest(device, [Path(one.path) for one in rows]) if rows else {}
        document = {"device": device.name, "desired": [_row(one, keys, models, told) for one in rows]}
        return Response(
            orjson.dumps(document), headers={"cache-control": "no-store"}, media_type="application/json"
        )


def _row(wanted: DesiredValue, keys: Keys, models: ModelView, told: Mapping[Path, Reading]) -> dict[str, Any]:
    path = Path(wanted.path)
    spec = models.resource(path)
    readings = {place: reading for place, reading in told.items() if place.startswith(path)}
    values = {place: reading.value for place, reading in readings.items()}
    return {
        "key": keys.name(path),
        "path": str(path),
        "name": spec.name if spec else None,
        "units": spec.units if spec else None,
        "value": orjson.Fragment(wanted.value),
        "state": wanted.state,
        "since": milliseconds(wanted.since),
        "settledAt": milliseconds(wanted.settled_at),
        "attempts": wanted.attempts,
        "reason": wanted.reason,
        "reported": _reported(path, readings, spec),
        "same": is_reported(wanted, values.items(), models),
    }


def _reported(
    path: Path, readings: Mapping[Path, Reading], spec: ResourceSpec | None
) -> dict[str, Any] | None:
    if not readings:
        return None
    at = max(reading.at for reading in readings.values())
    if path in readings:
        value = to_json(readings[path].value, spec)
    else:
        value = to_json({place[3]: reading.value for place, reading in readings.items()}, spec)
    return {"value": value, "at": milliseconds(at)}


def _path(key: str, keys: Keys) -> Path:
    """The Resource that a key name or a path means; raises ``Problem``."""
    found = keys.paths(key)
    if len(found) == 1 and len(found[0]) == 3:
        return found[0]
    if len(found) > 1:
        several = ", ".join(map(str, found[:5]))
        raise Problem(HTTPStatus.BAD_REQUEST, f"{key[:80]!r} is the name of several Resources: {several}")
    raise Problem(HTTPStatus.BAD_REQUEST, f"{key[:80]!r} is no key name and no path of a Resource")
