"""``/console/devices/{name}/updates``: what runs on a device, and packages on their way to it."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from lwm2m_server.console.backend import Refusal, segment
from lwm2m_server.console.device.frame import device_page, path_of
from lwm2m_server.console.device.tabs import address
from lwm2m_server.console.forms import Form, form_of
from lwm2m_server.console.pages import part, see_other
from lwm2m_server.console.viewer import viewer_of

FINAL: Final = ("succeeded", "failed", "cancelled")
INSTALLING: Final = ("installing", "rebooting", "verifying")
"""States in which nothing can be called back."""
METHODS: Final = (("auto", "as the device can"), ("pull", "the device fetches it"), ("push", "it is sent"))
_DEEDS: Final = {
    "approve": "The update may be installed.",
    "cancel": "The update was cancelled.",
    "retry": "The update begins anew.",
}


class DeviceUpdatePages:
    """One update at a time is under way; those before it are its history."""

    def routes(self) -> list[Route]:
        """Below ``/console``."""
        place = "/devices/{name}/updates"
        return [
            Route(place, self.show, methods=["GET"]),
            Route(place, self.begin, methods=["POST"]),
            Route(f"{place}/now", self.now, methods=["GET"]),
            Route(f"{place}/{{id}}/{{deed}}", self.act, methods=["POST"]),
        ]

    async def show(self, request: Request) -> Response:
        return await self._page(request, {})

    async def now(self, request: Request) -> Response:
        """The part that changes."""
        base = address(request.path_params["name"])
        return await part(request, "device/updates_now.html", base=base, **await _updates(request))

    async def begin(self, request: Request) -> Response:
        """With a package that is there; what is wrong stands above the form."""
        form = await form_of(request)
        draft = _draft(form)
        try:
            await viewer_of(request).api.send("POST", path_of(request, "/updates"), draft)
        except Refusal as error:
            if error.status not in (HTTPStatus.BAD_REQUEST, HTTPStatus.CONFLICT):
                raise
            return await self._page(request, draft, error.detail, error.status)
        return see_other(request, address(request.path_params["name"], "/updates"), "The update has begun.")

    async def act(self, request: Request) -> Response:
        """Approve, cancel or retry."""
        await form_of(request)
        id, deed = request.path_params["id"], request.path_params["deed"]
        back = address(request.path_params["name"], "/updates")
        if deed not in _DEEDS:
            return see_other(request, back)
        await viewer_of(request).api.send("POST", path_of(request, f"/updates/{segment(id)}/{deed}"))
        return see_other(request, back, _DEEDS[deed])

    async def _page(
        self, request: Request, draft: dict[str, Any], fault: str | None = None, status: int = HTTPStatus.OK
    ) -> Response:
        packages = await viewer_of(request).api.get("/packages")
        return await device_page(
            request,
            "device/updates.html",
            "Updates",
            status=status,
            packages=packages["packages"],
            methods=METHODS,
            draft=draft,
            fault=fault,
            **await _updates(request),
        )


async def _updates(request: Request) -> dict[str, Any]:
    found = await viewer_of(request).api.get(path_of(request, "/updates"))
    running = [one for one in found["updates"] if one["state"] not in FINAL]
    over = [one for one in found["updates"] if one["state"] in FINAL]
    return {
        "seen": found["objects"],
        "running": running,
        "over": over,
        "installing": INSTALLING,
    }


def _draft(form: Form) -> dict[str, Any]:
    draft: dict[str, Any] = {"package": form.text("package"), "method": form.text("method", "auto") or "auto"}
    return draft | {name: True for name in ("approval", "force") if form.flag(name)}
