"""``/console/devices/{name}/profile``: which device profile is in force, why, and another one."""

from __future__ import annotations

from http import HTTPStatus
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from lwm2m_server.console.backend import Refusal
from lwm2m_server.console.device.frame import device_page, path_of
from lwm2m_server.console.device.tabs import address
from lwm2m_server.console.forms import form_of
from lwm2m_server.console.pages import see_other
from lwm2m_server.console.viewer import viewer_of

MOST: Final = 1000
"""Profiles to choose from."""


class DeviceProfilePages:
    """Assigned to the device goes before its group, that before a rule, that before the default."""

    def routes(self) -> list[Route]:
        """Below ``/console``."""
        place = "/devices/{name}/profile"
        return [
            Route(place, self.show, methods=["GET"]),
            Route(place, self.assign, methods=["POST"]),
            Route(f"{place}/unassign", self.unassign, methods=["POST"]),
        ]

    async def show(self, request: Request) -> Response:
        return await self._page(request)

    async def assign(self, request: Request) -> Response:
        form = await form_of(request)
        name = form.text("profile")
        try:
            await viewer_of(request).api.send("PUT", path_of(request, "/profile"), {"profile": name})
        except Refusal as error:
            if error.status not in (HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND):
                raise
            return await self._page(request, error.detail)
        return self._back(request, f"The profile {name} is assigned.")

    async def unassign(self, request: Request) -> Response:
        await form_of(request)
        await viewer_of(request).api.send("DELETE", path_of(request, "/profile"))
        return self._back(request, "The device has no profile of its own any more.")

    def _back(self, request: Request, notice: str) -> Response:
        return see_other(request, address(request.path_params["name"], "/profile"), notice)

    async def _page(self, request: Request, fault: str | None = None) -> Response:
        api = viewer_of(request).api
        profiles = await api.get("/profiles", limit=MOST)
        return await device_page(
            request,
            "device/profile.html",
            "Profile",
            status=HTTPStatus.BAD_REQUEST if fault else HTTPStatus.OK,
            profile=await api.get(path_of(request, "/profile")),
            names=[one["name"] for one in profiles["profiles"]],
            fault=fault,
        )
