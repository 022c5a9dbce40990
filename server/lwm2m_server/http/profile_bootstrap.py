"""``/api/v1/profiles/{name}/bootstrap-preview``: what devices of a profile would be written at bootstrap."""

from __future__ import annotations

from typing import Final

import attrs
import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from lwm2m_server.bootstrap.opening import BootstrapServer
from lwm2m_server.bootstrap.templates import EXAMPLE
from lwm2m_server.http.bootstrap import refused, shown_preview
from lwm2m_server.http.describing import STRING, TENANT, Parameter, described, ref
from lwm2m_server.http.problems import Problem
from lwm2m_server.http.profiles import ProfileApi
from lwm2m_server.library.models import Models
from lwm2m_server.store.transaction import Reader

_DEVICE: Final = Parameter("device", STRING, "whose credentials it is to have; without it, of one with none")


class ProfileBootstrapApi:
    """Whether or not the profile is that of the device, and whatever templates there are."""

    def __init__(self, api: ProfileApi, server: BootstrapServer, models: Models, reader: Reader) -> None:
        self._api, self._models, self._reader = api, models, reader
        self._templates, self._profiled = server.templates, server.profiled

    def routes(self) -> list[Route]:
        """Below ``/api/v1``."""
        return [Route("/profiles/{name}/bootstrap-preview", self.preview, methods=["GET", "POST"])]

    @described(
        "What a device would be written at bootstrap by a profile",
        query=(TENANT, _DEVICE),
        answers={200: ref("BootstrapPreview")},
        problems=(400,),
        method="GET",
    )
    @described(
        "What a device would be written at bootstrap by another document",
        query=(TENANT, _DEVICE),
        body=ref("NewProfile"),
        answers={200: ref("BootstrapPreview")},
        method="POST",
    )
    async def preview(self, request: Request) -> Response:
        """Without the secrets. By what is kept, or (POST) by what might be."""
        profile = self._api.profile(request)
        if request.method == "POST":
            draft = await self._api.draft(request, profile.tenant or "")
            profile = attrs.evolve(profile, document=draft.data)
        tenant, name = profile.tenant or "", request.query_params.get("device")
        device = None if name is None else self._reader.device_named(tenant, name)
        if name is not None and device is None:
            raise Problem(404, f"tenant {tenant} has no device {name!r}")
        endpoint = EXAMPLE if device is None else device.endpoint or device.name
        try:
            template = self._profiled.template(profile, endpoint, device)
            config = self._templates.checked(template, endpoint)
        except ExceptionGroup as group:
            raise refused(group) from group
        document = {"endpoint": endpoint} | shown_preview(config, self._models.of(tenant).catalog)
        headers = {"cache-control": "no-store"}
        return Response(orjson.dumps(document), 200, headers, media_type="application/json")
