"""``/api/v1/devices/{name}/mappings``: what a device told, what mappings made of it, and the rule between."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from lwm2m_server.http.answers import json_answer
from lwm2m_server.http.describing import BOOLEAN, STRING, TENANT, array, described, obj, ref
from lwm2m_server.http.devices import DeviceFinder
from lwm2m_server.http.mapping_views import Sides
from lwm2m_server.library.models import Models
from lwm2m_server.onem2m.devices import Devices
from lwm2m_server.onem2m.rendering import MGMT_OBJ
from lwm2m_server.store.transaction import Reader
from lwm2m_server.telemetry.readings import Readings


class MappingApi:
    """LwM2M Resources on one side, oneM2M attributes on the other."""

    def __init__(
        self, find: DeviceFinder, reader: Reader, devices: Devices, models: Models, readings: Readings
    ) -> None:
        self._find, self._reader = find, reader
        self._devices, self._models, self._readings = devices, models, readings

    def routes(self) -> list[Route]:
        """Below ``/api/v1``."""
        return [Route("/devices/{name}/mappings", self.show, methods=["GET"])]

    @described(
        "LwM2M Resources and the oneM2M attributes made of them, with the rule between",
        query=(TENANT,),
        answers={
            200: obj(
                "*",
                device=STRING,
                registered=BOOLEAN,
                managed=array(ref("ManagedObject")),
                unmapped=ref("Unmapped"),
            )
        },
    )
    async def show(self, request: Request) -> Response:
        device = self._find(request)
        told = await self._readings.latest(device)
        sides = Sides(
            device,
            self._devices.models(device),
            self._models.of(device.tenant).table,
            told,
            self._reader.children(device.node, types=(MGMT_OBJ,)),
        )
        return json_answer(
            {
                "device": device.name,
                "registered": device.registration is not None,
                "managed": sides.managed(),
                "unmapped": sides.unmapped(),
            }
        )
