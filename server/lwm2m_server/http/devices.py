"""``/api/v1/devices``: registrations as an operator wants to see them. Points in time are milliseconds."""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus
from typing import Any, Final

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from lwm2m_engine.engine.records import PowerSaving
from lwm2m_server.http import device_views as views
from lwm2m_server.http.answers import json_answer, stored
from lwm2m_server.http.bodies import read_json
from lwm2m_server.http.describing import TENANT, described, nullable, ref
from lwm2m_server.http.device_views import milliseconds as milliseconds
from lwm2m_server.http.power import power_from_json, power_to_json
from lwm2m_server.http.problems import Problem
from lwm2m_server.http.rights import tenant_of
from lwm2m_server.onem2m.devices import Devices
from lwm2m_server.onem2m.rendering import CONTENT_INSTANCE
from lwm2m_server.profiles.opening import ProfileServer
from lwm2m_server.settings import Settings
from lwm2m_server.store.ids import SECOND, NodeIds, ResourceIds
from lwm2m_server.store.protocols import Inventory, Ledger
from lwm2m_server.store.records import Device, Message
from lwm2m_server.store.transaction import Reader

MAX_ROWS: Final = 1000
LAST: Final = 20
"""Exchanges that are shown of a device."""


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
    """What devices are, and when they listen."""

    def __init__(self, find: DeviceFinder, ledger: Ledger, devices: Devices, profiles: ProfileServer) -> None:
        self._find, self._reader = find, ledger.reader
        self._devices, self._profiles, self._belonging = devices, profiles.profiles, profiles.belonging
        self._ids = ResourceIds(ledger.installation)

    def routes(self) -> list[Route]:
        """Below ``/api/v1``."""
        return [
            Route("/devices/{name}", self.show_device, methods=["GET"]),
            Route("/devices/{name}/objects", self.show_objects, methods=["GET"]),
            Route("/devices/{name}/power-saving", self.show_power, methods=["GET"]),
            Route("/devices/{name}/power-saving", self.set_power, methods=["PUT"]),
            Route("/devices/{name}/power-saving", self.unset_power, methods=["DELETE"]),
        ]

    @described("A device", query=(TENANT,), answers={200: ref("DeviceDetails")})
    async def show_device(self, request: Request) -> Response:
        device = self._find(request)
        row = self.row(device)
        await self.add_groups(device.tenant, [(device.node, row)])
        return json_answer(row | self._details(device))

    @described(
        "The objects of a device as it announced them, and what their models say",
        query=(TENANT,),
        answers={200: ref("ObjectTree")},
        problems=(409,),
    )
    async def show_objects(self, request: Request) -> Response:
        device = self._find(request)
        if device.registration is None:
            raise Problem(
                HTTPStatus.CONFLICT,
                f"{device.name} is not registered; what it has, it says when it registers",
            )
        tree = views.tree(device.registration, self._devices.models(device))
        return json_answer({"device": device.name, **tree})

    @described(
        "When a device listens, if that was set",
        query=(TENANT,),
        answers={200: nullable(ref("PowerSaving"))},
    )
    async def show_power(self, request: Request) -> Response:
        return json_answer(power_to_json(self._find(request).power))

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
        return json_answer(power_to_json(power))

    @described("As the device says itself", query=(TENANT,), answers={204: None}, problems=(503,))
    async def unset_power(self, request: Request) -> Response:
        """Back to what the device says itself, and to the server's setting."""
        await self._save(self._find(request), None)
        return Response(status_code=HTTPStatus.NO_CONTENT)

    async def _save(self, device: Device, power: PowerSaving | None) -> None:
        with stored():
            await self._devices.save_power(device, power)

    def row(self, device: Device) -> dict[str, Any]:
        """As a list has it."""
        profile = self._profiles.of(device)
        found = views.row(device, self._devices.state(device), None if profile is None else profile.name)
        return found | views.security(self._reader.credential(device.node, "management"))

    async def add_groups(self, tenant: str, rows: Sequence[tuple[int, dict[str, Any]]]) -> None:
        """To rows of these nodes, the names of the device groups they are in."""
        found = await self._belonging.names(tenant, [(row["name"], node) for node, row in rows])
        for (_, row), names in zip(rows, found, strict=True):
            row["groups"] = names

    def _details(self, device: Device) -> dict[str, Any]:
        node = self._reader.resource(device.node)
        registration, liveness = device.registration, device.liveness
        details: dict[str, Any] = {
            "tenant": device.tenant,
            "labels": list(node.attributes.get("lbl", ())) if node else [],
            "updatedAt": milliseconds(device.updated_at),
            "powerSaving": power_to_json(device.power),
            "expiresAt": milliseconds(liveness.expires_at) if liveness else None,
            "address": str(liveness.peer) if liveness else None,
            "registration": views.registration(registration) if registration else None,
            "objects": views.objects(registration, self._devices.models(device)) if registration else [],
            "observations": [
                views.observation(one, registration) for one in self._reader.observations(device.node)
            ],
            "exchanges": views.exchanges(self._last(device), LAST),
        }
        return details | self._messages(device)

    def _last(self, device: Device) -> list[Message]:
        ids = NodeIds(device.node)
        found: list[Message] = []
        for container in (ids.received, ids.errors):
            found += newest(self._reader, container, LAST)
        return found

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


def newest(reader: Reader, container: int, limit: int) -> Sequence[Message]:
    """The last messages of a container, oldest first."""
    count = reader.counters(container).instances
    return reader.messages(container, limit=limit, offset=max(count - limit, 0))


def node_after(request: Request) -> int:
    """The query argument ``after`` of lists in the order of nodes; raises ``Problem``."""
    text = request.query_params.get("after", "0")
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise Problem(400, f"after={text[:40]} is not what was given as next")
    return int(text)


def number_of(request: Request, name: str, default: int) -> int:
    """A query argument; raises ``Problem``."""
    text = request.query_params.get(name)
    if text is None:
        return default
    if not (text.isascii() and text.isdigit() and len(text) <= 12):
        raise Problem(400, f"{name}={text[:40]} is not a number")
    return int(text)
