"""``/console/devices/{name}/queue``: what waits for a device, since when, for whom, and taking it back."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from lwm2m_server.console.backend import Refusal, segment
from lwm2m_server.console.device.frame import device_page, path_of
from lwm2m_server.console.device.messages import line_of, messages_of
from lwm2m_server.console.device.tabs import address
from lwm2m_server.console.forms import form_of
from lwm2m_server.console.pages import part, see_other
from lwm2m_server.console.viewer import viewer_of

LATEST: Final = 6
"""Messages of what just happened."""
LENGTH: Final = 400
"""Characters of what a message brings along."""


class QueuePages:
    """It refreshes by itself."""

    def routes(self) -> list[Route]:
        """Below ``/console``."""
        place = "/devices/{name}/queue"
        return [
            Route(place, self.show, methods=["GET"]),
            Route(f"{place}/now", self.now, methods=["GET"]),
            Route(f"{place}/{{id}}/cancel", self.cancel, methods=["POST"]),
        ]

    async def show(self, request: Request) -> Response:
        return await device_page(request, "device/queue.html", "Queue", **await _queue(request))

    async def now(self, request: Request) -> Response:
        """The part that changes."""
        base = address(request.path_params["name"])
        return await part(request, "device/queue_now.html", base=base, **await _queue(request))

    async def cancel(self, request: Request) -> Response:
        """Take one back; it may have left meanwhile."""
        await form_of(request)
        name, id = request.path_params["name"], request.path_params["id"]
        notice = "The message was taken back."
        try:
            await viewer_of(request).api.send("DELETE", path_of(request, f"/queue/{segment(id)}"))
        except Refusal as error:
            if error.status != HTTPStatus.NOT_FOUND:
                raise
            notice = "The message was not waiting any more."
        return see_other(request, address(name, "/queue"), notice)


async def _queue(request: Request) -> dict[str, Any]:
    found = await viewer_of(request).api.get(path_of(request, "/queue"), length=LENGTH)
    rows = [{**one, "line": line_of(one["content"])} for one in found["queue"]]
    return {"queue": {**found, "queue": rows}, "latest": await messages_of(request, LATEST)}
