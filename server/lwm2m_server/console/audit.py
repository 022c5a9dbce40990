"""The audit log: who changed what, the newest first."""

from __future__ import annotations

from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from lwm2m_server.console.pages import page, url
from lwm2m_server.console.viewer import viewer_of

AUDIT: Final = "/console/audit"
ROWS: Final = 100
ACTIONS: Final = ("create", "update", "delete")


class AuditPages:
    """``/console/audit``."""

    def routes(self) -> list[Route]:
        return [Route("/audit", self.show, methods=["GET"])]

    async def show(self, request: Request) -> Response:
        query = request.query_params
        asked = {name: query.get(name, "") for name in ("client", "action", "q", "refused")}
        if asked["action"] not in ACTIONS:
            asked["action"] = ""
        asked["refused"] = "true" if asked["refused"] else ""
        before = query.get("before", "")
        found = await viewer_of(request).api.get(
            "/audit", **asked, before=before if before.isdecimal() else None, limit=ROWS
        )
        return await page(
            request,
            "audit/list.html",
            entries=found["entries"],
            asked=asked,
            actions=ACTIONS,
            more=url(AUDIT, **asked, before=found["next"]) if "next" in found else None,
            first=url(AUDIT, **asked) if before else None,
        )
