"""``/console/devices/{name}/bootstrap``: what a device would be written at bootstrap, and how it went."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from lwm2m_server.console.backend import Refusal, segment
from lwm2m_server.console.device.frame import device_page, path_of
from lwm2m_server.console.viewer import viewer_of


class DeviceBootstrapPages:
    """The log is of what the server remembers."""

    def routes(self) -> list[Route]:
        """Below ``/console``."""
        return [Route("/devices/{name}/bootstrap", self.show, methods=["GET"])]

    async def show(self, request: Request) -> Response:
        found, fault = await _preview(request)
        endpoint = found["endpoint"] if found is not None else request.path_params["name"]
        return await device_page(
            request,
            "device/bootstrap.html",
            "Bootstrap",
            found=found,
            fault=fault,
            sessions=await _sessions(request, endpoint),
        )


async def _preview(request: Request) -> tuple[dict[str, Any] | None, str]:
    """Or what is wrong with what there is for the device."""
    try:
        found: dict[str, Any] = await viewer_of(request).api.get(path_of(request, "/bootstrap-preview"))
    except Refusal as error:
        if error.status != HTTPStatus.BAD_REQUEST:
            raise
        return None, error.detail
    return found, ""


async def _sessions(request: Request, endpoint: str) -> list[dict[str, Any]]:
    """The newest first; a device that never bootstrapped has none."""
    try:
        found = await viewer_of(request).api.get(f"/bootstrap/sessions/{segment(endpoint)}")
    except Refusal as error:
        if error.status != HTTPStatus.NOT_FOUND:
            raise
        return []
    sessions: list[dict[str, Any]] = found["sessions"]
    return sessions
