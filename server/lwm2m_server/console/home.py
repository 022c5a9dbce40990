"""The overview: what there is and what is wrong, and the choices that hold on every page."""

from __future__ import annotations

import time
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from lwm2m_server.access.callers import Role
from lwm2m_server.console.backend import Backend
from lwm2m_server.console.forms import form_of
from lwm2m_server.console.pages import HOME, page, previous, see_other
from lwm2m_server.console.viewer import THEME, THEMES, Viewer, viewer_of

YEAR: Final = 365 * 24 * 3600
DAY: Final = 24 * 3600 * 1000
"""Milliseconds."""
SHOWN: Final = 8
"""Lines of what is newest."""
UNDER_WAY: Final = frozenset(("scheduled", "preparing", "running", "paused", "aborting"))
"""States of campaigns."""


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
        facts = await _facts(viewer.api) if viewer.may(Role.READ) else {}
        return await page(request, "home.html", **{"devices": None, **facts})

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


async def _facts(api: Backend) -> dict[str, Any]:
    """Of the tenant: what there is, what is going on, and what is wrong."""
    since = int(time.time() * 1000) - DAY
    total = (await api.get("/devices", limit=1))["total"]
    registered = (await api.get("/devices", limit=1, registered=True))["total"]
    return {
        "devices": total,
        "registered": registered,
        "recent": (await api.get("/devices", sort="lastSeen", order="desc", limit=SHOWN))["devices"],
        "problems": (await api.get("/problems", since=since, limit=SHOWN))["problems"],
        "problem_count": (await api.get("/problems/count", since=since))["count"],
        "since": since,
        "campaigns": [one for one in (await api.get("/campaigns"))["campaigns"] if one["state"] in UNDER_WAY],
    }
