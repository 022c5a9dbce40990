"""``/console/plugins``: which plugins are loaded and what they bring; which are not, and why."""

from __future__ import annotations

from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from lwm2m_server.console.pages import page
from lwm2m_server.console.viewer import viewer_of

MARKS: Final = {"loaded": "good", "failed": "bad", "off": "plain", "not loaded": "waiting"}
"""By status."""


class PluginPages:
    """What is wrong comes first."""

    def routes(self) -> list[Route]:
        """Below ``/console``."""
        return [Route("/plugins", self.show, methods=["GET"])]

    async def show(self, request: Request) -> Response:
        plugins = (await viewer_of(request).api.get("/plugins"))["plugins"]
        return await page(
            request,
            "plugins/list.html",
            marks=MARKS,
            troubled=[one for one in plugins if one["status"] in ("failed", "not loaded")],
            loaded=[one for one in plugins if one["status"] == "loaded"],
            off=[one for one in plugins if one["status"] == "off"],
        )
