"""``/api/v1/devices``: registrations as an operator wants to see them. Points in time are milliseconds."""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import Any, Final

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from lwm2m_engine.attributes import format_attributes
from lwm2m_engine.engine.records import Observation, PowerSaving, Registration
from lwm2m_engine.model.spec import ResourceSpec
from lwm2m_engine.model.view import ModelView
from lwm2m_server.http.bodies import read_json
from lwm2m_server.http.describing import (
    COUNT,
    LIMIT,
    PLACE,
    STRING,
    TENANT,
    Parameter,
    array,
    described,
    nullable,
    obj,
)
from lwm2m_server.http.power import power_from_json, power_to_json
from lwm2m_server.http.problems import Problem
from lwm2m_server.http.rights import tenant_of
from lwm2m_server.http.schemas import ref
from lwm2m_server.onem2m.devices import Devices
from lwm2m_server.onem2m.rendering import CONTENT_INSTANCE
from lwm2m_server.settings import Settings
from lwm2m_server.store.errors import CommitFailed, Gone
from lwm2m_server.store.ids import SECOND, NodeIds, ResourceIds
from lwm2m_server.store.protocols import Inventory, Ledger
from lwm2m_server.store.records import Device, SealedCredential
from lwm2m_server.store.transaction import Reader

MAX_ROWS: Final = 1000
TURN: Final = 10
"""Rows made before others may run."""


class DeviceFinder:
    """Which device a request below ``/devices/{name}`` is about."""

    def __init__(self, inventory: Inventory, reader: Reader, settings: Settings) -> None:
        self._inventory, self._reader, self._default_tenant = inventory, reader, settings.tenant

    def __call__(self, request: Request) -> Device:
        """Raises ``Problem``."""
        tenant, name = self.tenant(request), request.path_params["name"]
        device = self._reader.device_named(tenant, name)
        if device is None:
            raise Problem(404, f"tenant {tenant} has no device {name!r}")
        return device

    def tenant(self, request: Request) -> str:
        """The query argument ``tenant``, or the caller's own. Raises ``Problem``, also if the caller has not
        the role there that the method takes."""
        name = tenant_of(request, self._default_tenant)
        if self._inventory.tenant(name) is None:
            raise Problem(404, f"there is no tenant {name!r}")
        return name


class DeviceApi:
    """What devices are, and when they listen; creating and removing them is oneM2M's business."""

    def __init__(self, inventory: Inventory, ledger: Ledger, devices: Devices, settings: Settings) -> None:
        self._ledger, self._reader, self._devices = ledger, ledger.reader, devices
        self._find = DeviceFinder(inventory, ledger.reader, settings)
        self._ids = ResourceIds(ledger.installation)

    def routes(self) -> list[Route]:
        """Below ``/api/v1``."""
        return [
            Route("/devices", self.list_devices, methods=["GET"]),
            Route("/devices/{name}", self.show_device, methods=["GET"]),
            Route("/devices/{name}/power-saving", self.show_power, methods=["GET"]),
            Route("/devices/{name}/power-saving", self.set_power, methods=["PUT"]),
            Route("/devices/{name}/power-saving", self.unset_power, methods=["DELETE"]),
        ]

    @described(
        "Devices in the order of their creation",
        query=(TENANT, LIMIT, Parameter("offset", PLACE, "leave out so many")),
        answers={200: obj("tenant devices", tenant=STRING, devices=array(ref("Device")), nextOffset=COUNT)},
        problems=(400,),
    )
    async def list_devices(self, request: Request) -> Response:
        """``?tenant=&limit=&offset=``: devices in the order of their creation."""
        tenant = self._find.tenant(request)
        limit = min(number_of(request, "limit", MAX_ROWS), MAX_ROWS)
        offset = number_of(request, "offset", 0)
        rows: list[dict[str, Any]] = []
        document: dict[str, Any] = {"tenant": tenant, "devices": rows}
        after = await self._ledger.apart(lambda reader: _node_before(reader, tenant, offset))
        for device in self._reader.devices(tenant, after=after, chunk=TURN) if after is not None else ():
            if len(rows) == limit:
                document["nextOffset"] = offset + limit
                break
            rows.append(self._row(device))
            if len(rows) % TURN == 0:
                await asyncio.sleep(0)
        return _json(document)

    @described("A device", query=(TENANT,), answers={200: ref("DeviceDetails")})
    async def show_device(self, request: Request) -> Response:
        device = self._find(request)
        return _json(self._row(device) | self._details(device))

    @described(
        "When a device listens, if that was set",
        query=(TENANT,),
        answers={200: nullable(ref("PowerSaving"))},
    )
    async def show_power(self, request: Request) -> Response:
        return _json(power_to_json(self._find(request).power))

    @described(
        "Set when a device listens",
        query=(TENANT,),
        body=ref("PowerSaving"),
        answers={200: nullable(ref("PowerSaving"))},
        problems=(503,),
    )
    async def set_power(self, request: Request) -> Response:
        """When the device listens, in force at once; the answer is it as it was understood."""
        device, power = self._find(request), power_from_json(await read_json(request))
        await self._save(device, power)
        return _json(power_to_json(power))

    @described("As the device says itself", query=(TENANT,), answers={204: None}, problems=(503,))
    async def unset_power(self, request: Request) -> Response:
        """Back to what the device says itself, and to the server's setting."""
        await self._save(self._find(request), None)
        return Response(status_code=HTTPStatus.NO_CONTENT)

    async def _save(self, device: Device, power: PowerSaving | None) -> None:
        try:
            await self._devices.save_power(device, power)
        except Gone as error:
            raise Problem(HTTPStatus.NOT_FOUND, str(error)) from error
        except CommitFailed as error:
            raise Problem(HTTPStatus.SERVICE_UNAVAILABLE, f"not stored: {error}") from error

    def _row(self, device: Device) -> dict[str, Any]:
        state, registration, liveness = self._devices.state(device), device.registration, device.liveness
        return {
            "name": device.name,
            "nodeId": device.node_id,
            "endpoint": device.endpoint,
            "registered": state.registered,
            "version": registration.version if registration else None,
            "lifetime": registration.lifetime if registration else None,
            "binding": registration.binding if registration else None,
            "queueMode": registration.queue_mode if registration else None,
            "awake": state.awake if registration else None,
            "awakeUntil": milliseconds(state.awake_until),
            "listensAt": milliseconds(state.listens_at),
            "lastSeen": milliseconds(liveness.seen_at) if liveness else None,
            "waiting": state.waiting,
            "inFlight": state.in_flight,
            "transferred": _transfer(state.transferred),
        }

    def _details(self, device: Device) -> dict[str, Any]:
        node = self._reader.resource(device.node)
        registration, liveness = device.registration, device.liveness
        details: dict[str, Any] = {
            "tenant": device.tenant,
            "labels": list(node.attributes.get("lbl", ())) if node else [],
            **_security(self._reader.credential(device.node, "management")),
            "registeredAt": milliseconds(device.registered_at),
            "updatedAt": milliseconds(device.updated_at),
            "deregisteredAt": milliseconds(device.deregistered_at),
            "expiredAt": milliseconds(device.expired_at),
            "powerSaving": power_to_json(device.power),
            "expiresAt": milliseconds(liveness.expires_at) if liveness else None,
            "address": str(liveness.peer) if liveness else None,
            "registration": _registration(registration) if registration else None,
            "objects": _objects(registration, self._devices.models(device)) if registration else [],
            "observations": [
                _observation(one, registration) for one in self._reader.observations(device.node)
            ],
        }
        return details | self._messages(device)

    def _messages(self, device: Device) -> dict[str, Any]:
        ids = NodeIds(device.node)
        last_error = self._reader.latest(ids.errors)
        return {
            "messages": [
                {
                    "id": self._ids.ri(message.id, CONTENT_INSTANCE),
                    "content": message.content,
                    "createdAt": message.id * 1000 // SECOND,
                    "expiresAt": milliseconds(message.deadline),
                    "inFlight": message.in_flight,
                }
                for message in self._reader.messages(ids.outgoing)
            ],
            "lastError": orjson.Fragment(last_error.content) if last_error else None,
        }


def _node_before(reader: Reader, tenant: str, offset: int) -> int | None:
    """The node of the last device to be left out, -1 if none is; ``None`` if there are not so many."""
    return -1 if offset == 0 else reader.node_at(tenant, offset - 1)


def _security(row: SealedCredential | None) -> dict[str, Any]:
    return {
        "security": "nosec" if row is None else row.mode,
        "identity": None if row is None else row.public.get("identity"),
    }


def _registration(registration: Registration) -> dict[str, Any]:
    return {
        "id": registration.id,
        "root": registration.root,
        "contentFormats": list(registration.formats),
        "sms": registration.sms,
        "attributes": dict(registration.attributes),
        "warnings": list(registration.warnings),
    }


def _objects(registration: Registration, models: ModelView) -> list[dict[str, Any]]:
    """What the device announced, and what its models say can be done with it."""
    instances: dict[int, list[int]] = {id: [] for id in registration.objects}
    for path in registration.instances:
        instances.setdefault(path[0], []).append(path[1])
    return [_object(id, found, models) for id, found in sorted(instances.items())]


def _object(id: int, instances: list[int], models: ModelView) -> dict[str, Any]:
    spec = models.object(id)
    return {
        "id": id,
        "name": spec.name if spec else None,
        "version": models.version(id),
        "modelVersion": spec.version if spec else None,
        "instances": instances,
        "resources": [_resource(resource) for resource in spec.resources.values()] if spec else [],
    }


def _resource(spec: ResourceSpec) -> dict[str, Any]:
    return {
        "id": spec.id,
        "name": spec.name,
        "operations": spec.operations,
        "type": spec.type.value,
        "multiple": spec.multiple,
        "mandatory": spec.mandatory,
        "units": spec.units,
        "range": spec.range,
    }


def _observation(observation: Observation, registration: Registration | None) -> dict[str, Any]:
    return {
        "paths": [str(path) for path in observation.paths],
        "prefix": observation.prefix,
        "attributes": format_attributes(observation.attributes),
        "composite": observation.composite,
        "since": milliseconds(observation.began_at),
        # One of another registration is wanted still: the device will be asked again.
        "active": registration is not None and observation.registration == registration.id,
    }


def number_of(request: Request, name: str, default: int) -> int:
    """A query argument; raises ``Problem``."""
    text = request.query_params.get(name)
    if text is None:
        return default
    if not (text.isascii() and text.isdigit() and len(text) <= 12):
        raise Problem(400, f"{name}={text[:40]} is not a number")
    return int(text)


def milliseconds(seconds: float | None) -> int | None:
    return None if seconds is None else int(seconds * 1000)


def _json(document: object) -> Response:
    return Response(orjson.dumps(document), 200, {"cache-control": "no-store"}, media_type="application/json")


def _transfer(progress: tuple[int, int] | None) -> dict[str, int] | None:
    return {"bytes": progress[0], "of": progress[1]} if progress is not None else None
