"""Unknown devices that came by a rule and wait for somebody's word, and those rules."""

from __future__ import annotations

from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from lwm2m_server.console.backend import segment
from lwm2m_server.console.device.tabs import address
from lwm2m_server.console.forms import form_of
from lwm2m_server.console.pages import is_htmx, page, part, see_other
from lwm2m_server.console.viewer import viewer_of

ENROLMENT: Final = "/console/enrolment"


class EnrolmentPages:
    """``/console/enrolment``."""

    def routes(self) -> list[Route]:
        return [
            Route("/enrolment", self.show, methods=["GET"]),
            Route("/enrolment/approve", self.approve, methods=["POST"]),
            Route("/enrolment/reject", self.reject, methods=["POST"]),
        ]

    async def show(self, request: Request) -> Response:
        """``htmx`` asks for those who wait only."""
        api = viewer_of(request).api
        pending = (await api.get("/enrolments/pending"))["pending"]
        if is_htmx(request) and "hx-history-restore-request" not in request.headers:
            return await part(request, "enrolment/waiting.html", pending=pending)
        rules = (await api.get("/enrolments"))["enrolments"]
        return await page(request, "enrolment/list.html", pending=pending, rules=rules)

    async def approve(self, request: Request) -> Response:
        endpoint = (await form_of(request)).raw("endpoint") or ""
        path = f"/enrolments/pending/{segment(endpoint)}/approve"
        let_in = await viewer_of(request).api.send("POST", path)
        return see_other(request, address(let_in["device"]), "It is let in; its next attempt succeeds.")

    async def reject(self, request: Request) -> Response:
        endpoint = (await form_of(request)).raw("endpoint") or ""
        await viewer_of(request).api.send("POST", f"/enrolments/pending/{segment(endpoint)}/reject")
        return see_other(request, ENROLMENT, f"{endpoint} is not let in.")
