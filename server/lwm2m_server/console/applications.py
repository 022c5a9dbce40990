"""Applications: who gets what devices say, where and how; and the device groups they hear of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from lwm2m_server.console.backend import Refusal, segment
from lwm2m_server.console.forms import Form, form_of
from lwm2m_server.console.pages import page, previous, see_other
from lwm2m_server.console.paging import offset_of, page_of
from lwm2m_server.console.viewer import viewer_of

APPLICATIONS: Final = "/console/applications"
ROWS: Final = 50
MOST_GROUPS: Final = 1000
KINDS: Final = (
    ("WebHook", "Webhook (HTTP)"),
    ("MQTT", "MQTT"),
    ("Kafka", "Kafka"),
    ("PollingChannel", "Polling channel: it fetches them itself"),
)
EMPTY: Final[Mapping[str, Any]] = {
    "name": "",
    "aeId": "",
    "appId": "",
    "kind": "WebHook",
    "pointsOfAccess": (),
    "labels": (),
    "headers": (),
}
_ONE: Final = "/applications/{name}"


class ApplicationPages:
    """``/console/applications``."""

    def routes(self) -> list[Route]:
        return [
            Route("/applications", self.list_all, methods=["GET"]),
            Route("/new-application", self.show_new, methods=["GET"]),
            Route("/new-application", self.create, methods=["POST"]),
            Route(_ONE, self.show, methods=["GET"]),
            Route(_ONE, self.change, methods=["POST"]),
            Route(f"{_ONE}/pause", self.pause, methods=["POST"]),
            Route(f"{_ONE}/groups", self.join, methods=["POST"]),
            Route(f"{_ONE}/groups/leave", self.leave, methods=["POST"]),
            Route(f"{_ONE}/delete", self.delete, methods=["POST"]),
        ]

    async def list_all(self, request: Request) -> Response:
        api = viewer_of(request).api
        found = await api.get(
            "/applications", q=request.query_params.get("q"), limit=ROWS, offset=offset_of(request)
        )
        rows = found["applications"]
        deliveries = (await api.get("/deliveries"))["deliveries"]
        return await page(
            request,
            "applications/list.html",
            applications=[(one, _together(deliveries, one["name"])) for one in rows],
            pages=page_of(request, rows, found["total"], ROWS),
        )

    async def show_new(self, request: Request) -> Response:
        return await page(request, "applications/new.html", given=EMPTY, kinds=KINDS, error=None)

    async def create(self, request: Request) -> Response:
        form, viewer = await form_of(request), viewer_of(request)
        texts = {name: form.text(name) for name in ("name", "aeId", "appId")}
        given = {**texts, **_described(form), "headers": _lines(form, "headers")}
        try:
            made = await viewer.api.send("POST", "/applications", _said(given))
        except Refusal as refusal:
            return await page(
                request,
                "applications/new.html",
                status=refusal.status,
                given=given,
                kinds=KINDS,
                error=refusal.detail,
            )
        return see_other(request, _address(made["name"]), f"Application {made['name']} is registered.")

    # --- one -----------------------------------------------------------------------------------------

    async def show(self, request: Request) -> Response:
        return await self._show(request)

    async def change(self, request: Request) -> Response:
        form, name = await form_of(request), request.path_params["name"]
        document = _described(form)
        if form.flag("replaceHeaders"):
            document["headers"] = _lines(form, "headers")
        try:
            await viewer_of(request).api.send("PATCH", f"/applications/{segment(name)}", document)
        except Refusal as refusal:
            return await self._show(request, refusal.status, refusal.detail)
        return see_other(request, _address(name), "Saved.")

    async def pause(self, request: Request) -> Response:
        """Or go on."""
        form, name = await form_of(request), request.path_params["name"]
        wish = form.flag("paused")
        await viewer_of(request).api.send("PATCH", f"/applications/{segment(name)}", {"paused": wish})
        told = "gets nothing until you resume it" if wish else "gets what waited, and what comes"
        return see_other(request, previous(request), f"{name} {told}.")

    async def join(self, request: Request) -> Response:
        return await self._regroup(request, "addApplications", "hears of the devices of")

    async def leave(self, request: Request) -> Response:
        return await self._regroup(request, "removeApplications", "hears no more of the devices of")

    async def delete(self, request: Request) -> Response:
        await form_of(request)
        name = request.path_params["name"]
        await viewer_of(request).api.send("DELETE", f"/applications/{segment(name)}")
        return see_other(request, APPLICATIONS, f"Application {name} is removed.")

    # --- inner ---------------------------------------------------------------------------------------

    async def _show(
        self, request: Request, status: int = HTTPStatus.OK, error: str | None = None
    ) -> Response:
        api, name = viewer_of(request).api, request.path_params["name"]
        one = await api.get(f"/applications/{segment(name)}")
        groups = (await api.get("/groups", limit=MOST_GROUPS))["groups"]
        subscriptions = await api.get("/subscriptions", target=name, limit=ROWS)
        deliveries = (await api.get("/deliveries"))["deliveries"]
        return await page(
            request,
            "applications/show.html",
            status=status,
            one=one,
            error=error,
            kinds=_kinds(one["kind"]),
            others=[group["name"] for group in groups if group["name"] not in one["groups"]],
            subscriptions=subscriptions["subscriptions"],
            lanes=[lane for lane in deliveries if lane["application"] == name],
        )

    async def _regroup(self, request: Request, verb: str, told: str) -> Response:
        form, name = await form_of(request), request.path_params["name"]
        group, api = form.text("group"), viewer_of(request).api
        names = [name]
        if verb == "removeApplications":
            # A group may name it by its id as well.
            names.append((await api.get(f"/applications/{segment(name)}"))["id"])
        await api.send("PATCH", f"/groups/{segment(group)}", {verb: names})
        return see_other(request, _address(name), f"{name} {told} {group}.")


def _together(deliveries: Sequence[Mapping[str, Any]], name: str) -> dict[str, Any]:
    """Of all queues of an application."""
    lanes = [lane for lane in deliveries if lane["application"] == name]
    failing = [lane["failingSince"] for lane in lanes if lane["failingSince"] is not None]
    return {
        "waiting": sum(lane["waiting"] for lane in lanes),
        "delivered": sum(lane["delivered"] for lane in lanes),
        "failingSince": min(failing, default=None),
    }


def _described(form: Form) -> dict[str, Any]:
    """What can be said anew at any time."""
    return {
        "kind": form.text("kind"),
        "pointsOfAccess": _lines(form, "pointsOfAccess"),
        "labels": _lines(form, "labels"),
    }


def _lines(form: Form, name: str) -> list[str]:
    return [line.strip() for line in form.text(name).splitlines() if line.strip()]


def _said(given: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in given.items() if value}


def _kinds(own: str) -> Sequence[tuple[str, str]]:
    """A plugin may deliver to others."""
    return KINDS if own in dict(KINDS) else (*KINDS, (own, own))


def _address(name: str) -> str:
    return f"{APPLICATIONS}/{segment(name)}"
