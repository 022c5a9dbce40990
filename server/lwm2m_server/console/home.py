"""The overview: what there is and what is wrong, and the choices that hold on every page."""

from __future__ import annotations

from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from lwm2m_server.access.callers import Role
from lwm2m_server.console.backend import Backend
from lwm2m_server.console.forms import form_of
from lwm2m_server.console.pages import HOME, page, previous, see_other
from lwm2m_server.console.viewer import THEME, THEMES, Viewer, viewer_of

YEAR: Final = 365 * 24 * 3600


class HomePages:
    """``/console/``, and the choice of a tenant and a theme."""

    def routes(self) -> list[Route]:
        return [
            Route("/", self.show, methods=["GET"]),
            Route("/tenant", self.show_tenants, methods=["GET"]),
            Route("/tenant", self.choose_tenant, methods=["POST"]),
            Route("/theme", self.choose_theme, methods=["POST"]),
        ]

    async def show(self, request: Request) -> Response:
        viewer = viewer_of(request)
        counts = await _counts(viewer.api) if viewer.may(Role.READ) else {}
        return await page(request, "home.html", counts=counts)

    async def show_tenants(self, request: Request) -> Response:
        return await page(request, "tenant.html", tenants=await _tenants(viewer_of(request)))

    async def choose_tenant(self, request: Request) -> Response:
        """Whose devices are looked at from now on."""
        form, viewer = await form_of(request), viewer_of(request)
        name = form.text("tenant")
        if name in await _tenants(viewer):
            viewer.session.tenant = name
        return see_other(request, HOME)

    async def choose_theme(self, request: Request) -> Response:
        """Kept by the browser."""
        form = await form_of(request)
        theme = form.text("theme")
        answer = see_other(request, previous(request))
        if theme in THEMES:
            answer.set_cookie(THEME, theme, max_age=YEAR, path="/console", httponly=True, samesite="lax")
        return answer


async def _tenants(viewer: Viewer) -> list[str]:
    return sorted(one["name"] for one in (await viewer.api.get("/tenants"))["tenants"])


async def _counts(api: Backend) -> dict[str, int]:
    """Devices by their state."""
    total = (await api.get("/devices", limit=1))["total"]
    registered = (await api.get("/devices", limit=1, registered=True))["total"]
    return {"devices": total, "registered": registered}
