"""API clients: programs and people that may call the API, or sign in here."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from lwm2m_server.console.backend import Refusal, segment
from lwm2m_server.console.forms import form_of
from lwm2m_server.console.pages import page, see_other
from lwm2m_server.console.viewer import Viewer, viewer_of

CLIENTS: Final = "/console/clients"
ROLES: Final = (
    ("read", "read: look at everything but secrets"),
    ("operate", "operate: change devices, messages, groups, applications"),
    ("admin", "admin: profiles, models, clients, the audit log, too"),
)
SYSTEM: Final = ("system", "system: tenants, and what is for all of them; nothing inside of one")


class ClientPages:
    """``/console/clients``."""

    def routes(self) -> list[Route]:
        return [
            Route("/clients", self.list_all, methods=["GET"]),
            Route("/clients", self.add, methods=["POST"]),
            Route("/clients/{id}/revoke", self.revoke, methods=["POST"]),
        ]

    async def list_all(self, request: Request) -> Response:
        return await self._show(request, {})

    async def add(self, request: Request) -> Response:
        """Its secret is on the page that answers, and never again."""
        form, viewer = await form_of(request), viewer_of(request)
        given: dict[str, Any] = {name: form.text(name) for name in ("id", "role", "tenant", "origins")}
        document = {"id": given["id"], "role": given["role"], "origins": given["origins"].split() or None}
        if given["role"] != "system":
            document["tenant"] = given["tenant"] or viewer.tenant
        try:
            made = await viewer.api.send("POST", "/clients", document)
        except Refusal as refusal:
            return await self._show(request, given, refusal.status, error=refusal.detail)
        if viewer.is_open:
            # The first client ends what this page was reached by.
            return await page(request, "clients/first.html", status=HTTPStatus.CREATED, made=made)
        return await self._show(request, {}, HTTPStatus.CREATED, made=made)

    async def revoke(self, request: Request) -> Response:
        await form_of(request)
        id = request.path_params["id"]
        await viewer_of(request).api.send("DELETE", f"/clients/{segment(id)}")
        return see_other(request, CLIENTS, f"Client {id} is revoked: its tokens are good no more.")

    async def _show(
        self,
        request: Request,
        given: dict[str, Any],
        status: int = HTTPStatus.OK,
        *,
        error: str | None = None,
        made: dict[str, Any] | None = None,
    ) -> Response:
        viewer = viewer_of(request)
        clients = (await viewer.api.get("/clients"))["clients"]
        return await page(
            request,
            "clients/list.html",
            status=status,
            clients=sorted(clients, key=lambda one: (one["tenant"] or "", one["id"])),
            tenants=await _tenants(viewer),
            roles=[*ROLES, SYSTEM] if viewer.is_system else ROLES,
            given={
                "id": "",
                "role": "admin" if viewer.is_open else "operate",
                "tenant": viewer.tenant or "",
                "origins": "",
                **given,
            },
            error=error,
            made=made,
        )


async def _tenants(viewer: Viewer) -> list[str]:
    """Those whose clients the viewer may add, if there is a choice."""
    if not viewer.is_system:
        return []
    return sorted(one["name"] for one in (await viewer.api.get("/tenants"))["tenants"])
