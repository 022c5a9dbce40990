"""Updates: all packages on their way to devices, live."""

from __future__ import annotations

from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from lwm2m_server.console.backend import segment
from lwm2m_server.console.forms import form_of
from lwm2m_server.console.pages import page, part, previous, see_other, url
from lwm2m_server.console.viewer import viewer_of

UPDATES: Final = "/console/updates"
ROWS: Final = 50
STATES: Final = (
    "queued",
    "offered",
    "transferring",
    "downloaded",
    "awaiting-approval",
    "installing",
    "rebooting",
    "verifying",
    "succeeded",
    "failed",
    "cancelled",
)
OVER: Final = frozenset(STATES[-3:])
_ACTIONS: Final = {
    "approve": "{} may install it.",
    "cancel": "The update of {} is cancelled.",
    "retry": "The update of {} begins anew.",
}


class UpdatePages:
    """``/console/updates``."""

    def routes(self) -> list[Route]:
        return [
            Route("/updates", self.list_all, methods=["GET"]),
            Route("/updates/rows", self.list_rows, methods=["GET"]),
            Route("/updates/{device}/{id}/{action}", self.act, methods=["POST"]),
        ]

    async def list_all(self, request: Request) -> Response:
        return await page(request, "updates/list.html", **await _rows(request), states=STATES)

    async def list_rows(self, request: Request) -> Response:
        return await part(request, "updates/rows.html", **await _rows(request))

    async def act(self, request: Request) -> Response:
        await form_of(request)
        device, id, action = (request.path_params[name] for name in ("device", "id", "action"))
        if action not in _ACTIONS:
            return see_other(request, UPDATES)
        await viewer_of(request).api.send(
            "POST", f"/devices/{segment(device)}/updates/{segment(id)}/{action}"
        )
        return see_other(request, previous(request), _ACTIONS[action].format(device))


async def _rows(request: Request) -> dict[str, Any]:
    """Without a state, those that are under way."""
    query = request.query_params
    state = query.get("state", "") if query.get("state") in STATES else None
    filters = {"state": state, "campaign": query.get("campaign")}
    found = await viewer_of(request).api.get(
        "/updates", **filters, open=state is None, after=query.get("after"), limit=ROWS
    )
    next = found.get("next")
    return {
        "updates": found["updates"],
        "over": OVER,
        "rows": url(f"{UPDATES}/rows", **filters, after=query.get("after")),
        "first": url(UPDATES, **filters) if query.get("after") else None,
        "next": url(UPDATES, **filters, after=next) if next is not None else None,
    }
