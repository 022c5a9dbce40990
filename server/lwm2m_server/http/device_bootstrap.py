"""``/api/v1/devices/{name}/bootstrap-preview``: what a device would be written if it bootstrapped now."""

from __future__ import annotations

from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from lwm2m_server.bootstrap.opening import BootstrapServer
from lwm2m_server.http.answers import json_answer
from lwm2m_server.http.bootstrap import refused, shown_preview
from lwm2m_server.http.describing import STRING, TENANT, described, enum, nullable, obj, ref
from lwm2m_server.http.devices import DeviceFinder
from lwm2m_server.library.models import Models
from lwm2m_server.store.records import BootstrapTemplate, Device

CONFIGURATION: Final = "configuration"
PROFILE: Final = "profile"


class DeviceBootstrapApi:
    """A configuration that is for the device goes before what its profile says."""

    def __init__(self, find: DeviceFinder, server: BootstrapServer, models: Models) -> None:
        self._find, self._models = find, models
        self._templates, self._profiled = server.templates, server.profiled

    def routes(self) -> list[Route]:
        """Below ``/api/v1``."""
        return [Route("/devices/{name}/bootstrap-preview", self.preview, methods=["GET"])]

    @described(
        "What a device would be written at bootstrap, and by what",
        query=(TENANT,),
        answers={
            200: obj(
                "*",
                endpoint=STRING,
                by=nullable(enum(CONFIGURATION, PROFILE)),
                name=nullable(STRING),
                preview=nullable(ref("BootstrapPreview")),
            )
        },
        problems=(400,),
    )
    async def preview(self, request: Request) -> Response:
        """Without the secrets; ``by`` is ``null`` if there is nothing for it. 400 says what is
        wrong with what there is."""
        device = self._find(request)
        endpoint = device.endpoint or device.name
        try:
            by, template = self._template(device, endpoint)
            found = None if template is None else self._preview(template, device, endpoint)
        except ExceptionGroup as group:
            raise refused(group) from group
        name = None if template is None else template.name
        return json_answer({"endpoint": endpoint, "by": by, "name": name, "preview": found})

    def _template(self, device: Device, endpoint: str) -> tuple[str | None, BootstrapTemplate | None]:
        found = self._templates.template(endpoint)
        if found is not None:
            return CONFIGURATION, found
        found = self._profiled(endpoint)
        return (None, None) if found is None else (PROFILE, found)

    def _preview(self, template: BootstrapTemplate, device: Device, endpoint: str) -> dict[str, Any]:
        config = self._templates.checked(template, endpoint)
        return {"endpoint": endpoint} | shown_preview(config, self._models.of(device.tenant).catalog)
