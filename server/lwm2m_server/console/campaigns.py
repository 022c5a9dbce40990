"""Campaigns: packages for many devices, wave by wave: defined, watched and steered."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from lwm2m_server.access.callers import Role
from lwm2m_server.console.backend import Backend, Refusal, segment
from lwm2m_server.console.campaign_forms import BadField, definition_of, values_of
from lwm2m_server.console.forms import form_of
from lwm2m_server.console.pages import is_htmx, page, part, see_other, url
from lwm2m_server.console.viewer import viewer_of

CAMPAIGNS: Final = "/console/campaigns"
ROWS: Final = 50
NAMED: Final = 20
"""Devices of a preview."""
STATES: Final = ("waiting", "active", "succeeded", "skipped", "failed", "cancelled")
UNTOLD: Final = ("comparison", "source", "component", "instance")
"""Members of a definition that the form has no field for: they stay."""
QUIET: Final = frozenset({"draft", "finished", "aborted", "expired"})
"""States in which nothing changes by itself."""
KINDS: Final = {
    "draft": "plain",
    "scheduled": "waiting",
    "preparing": "busy",
    "running": "busy",
    "paused": "waiting",
    "aborting": "busy",
    "finished": "good",
    "aborted": "bad",
    "expired": "bad",
    "waiting": "waiting",
    "active": "busy",
    "succeeded": "good",
    "skipped": "plain",
    "failed": "bad",
    "cancelled": "plain",
}
_ACTIONS: Final = {
    "start": "The campaign {} has started.",
    "pause": "The campaign {} is paused.",
    "resume": "The campaign {} goes on.",
    "abort": "The campaign {} is aborted; what installs is let finish.",
    "retry": "Devices of {} that failed are tried once more.",
    "approve": "Installing is approved.",
}
_ONE: Final = "/campaigns/{name}"


class CampaignPages:
    """``/console/campaigns``."""

    def routes(self) -> list[Route]:
        return [
            Route("/campaigns", self.list_all, methods=["GET"]),
            Route("/campaigns", self.save, methods=["POST"]),
            Route("/new-campaign", self.show_form, methods=["GET"]),
            Route("/new-campaign/preview", self.preview, methods=["POST"]),
            Route(_ONE, self.show, methods=["GET"]),
            Route(f"{_ONE}/progress", self.progress, methods=["GET"]),
            Route(f"{_ONE}/edit", self.edit, methods=["GET"]),
            Route(f"{_ONE}/delete", self.delete, methods=["POST"]),
            Route(f"{_ONE}/{{action}}", self.act, methods=["POST"]),
        ]

    async def list_all(self, request: Request) -> Response:
        found = await viewer_of(request).api.get("/campaigns")
        rows = sorted(found["campaigns"], key=lambda one: (one["state"] in QUIET, -(one["startedAt"] or 0)))
        return await page(request, "campaigns/list.html", campaigns=rows, kinds=KINDS)

    # --- one -----------------------------------------------------------------------------------------

    async def show(self, request: Request) -> Response:
        return await page(request, "campaigns/show.html", **await _progress(request))

    async def progress(self, request: Request) -> Response:
        return await part(request, "campaigns/progress.html", **await _progress(request))

    async def act(self, request: Request) -> Response:
        form = await form_of(request)
        name, action = request.path_params["name"], request.path_params["action"]
        if action not in _ACTIONS:
            return see_other(request, CAMPAIGNS)
        document: dict[str, Any] | None = None
        if action == "approve":
            document = {"wave": int(form.text("wave"))} if form.text("wave").isdecimal() else {}
        await viewer_of(request).api.send("POST", f"/campaigns/{segment(name)}/{action}", document)
        return see_other(request, f"{CAMPAIGNS}/{segment(name)}", _ACTIONS[action].format(name))

    async def delete(self, request: Request) -> Response:
        await form_of(request)
        name = request.path_params["name"]
        await viewer_of(request).api.send("DELETE", f"/campaigns/{segment(name)}")
        return see_other(request, CAMPAIGNS, f"The campaign {name} is deleted.")

    # --- defining --------------------------------------------------------------------------------------

    async def show_form(self, request: Request) -> Response:
        query = request.query_params
        known = {name: query[name] for name in ("package", "group", "profile") if query.get(name)}
        return await _form(request, known)

    async def edit(self, request: Request) -> Response:
        """Only a draft can be changed."""
        name = request.path_params["name"]
        found = await viewer_of(request).api.get(f"/campaigns/{segment(name)}")
        return await _form(request, values_of(found["definition"]), name=name)

    async def save(self, request: Request) -> Response:
        """As a draft; ``former`` is the one that is changed."""
        form, api = await form_of(request), viewer_of(request).api
        values = {name: form.raw(name) or "" for name in form.names()} | {"days": form.all("days")}
        former = form.text("former")
        try:
            definition = definition_of(form)
            if former:
                path = f"/campaigns/{segment(former)}"
                known = (await api.get(path))["definition"]
                kept = {name: known[name] for name in UNTOLD if known.get(name) is not None}
                await api.send("PUT", path, {**kept, **definition})
            else:
                await api.send("POST", "/campaigns", {"name": form.text("name"), **definition})
        except BadField as error:
            return await _form(request, values, name=former, error=str(error))
        except Refusal as refusal:
            return await _form(request, values, name=former, error=refusal.detail, status=refusal.status)
        name = former or form.text("name")
        return see_other(request, f"{CAMPAIGNS}/{segment(name)}", "Nothing is sent before it is started.")

    async def preview(self, request: Request) -> Response:
        """Which devices it would be for."""
        form, api = await form_of(request), viewer_of(request).api
        error, found = None, None
        try:
            found = await api.send("POST", "/campaigns/preview", definition_of(form), {"limit": NAMED})
        except BadField as fault:
            error = str(fault)
        except Refusal as refusal:
            error = refusal.detail
        if is_htmx(request):
            return await part(request, "campaigns/preview.html", preview=found, error=error)
        values = {name: form.raw(name) or "" for name in form.names()} | {"days": form.all("days")}
        return await _form(request, values, name=form.text("former"), error=error, preview=found)


async def _form(
    request: Request,
    values: dict[str, Any],
    *,
    name: str = "",
    error: str | None = None,
    preview: Any = None,
    status: int | None = None,
) -> Response:
    viewer = viewer_of(request)
    choices: dict[str, Any] = await _choices(viewer.api) if viewer.may(Role.READ) else {}
    return await page(
        request,
        "campaigns/form.html",
        status=status or (HTTPStatus.BAD_REQUEST if error else HTTPStatus.OK),
        values=values,
        former=name,
        error=error,
        preview=preview,
        **choices,
    )


async def _choices(api: Backend) -> dict[str, list[str]]:
    packages = (await api.get("/packages"))["packages"]
    return {
        "packages": [one["name"] for one in packages],
        "groups": [one["name"] for one in (await api.get("/groups"))["groups"]],
        "profiles": [one["name"] for one in (await api.get("/profiles"))["profiles"]],
    }


async def _progress(request: Request) -> dict[str, Any]:
    """How far it is, and some of its devices."""
    api, query = viewer_of(request).api, request.query_params
    path = f"/campaigns/{segment(request.path_params['name'])}"
    state = query.get("state") if query.get("state") in STATES else None
    campaign = await api.get(path)
    found = await api.get(f"{path}/devices", state=state, after=query.get("after"), limit=ROWS)
    own = f"{CAMPAIGNS}/{segment(campaign['name'])}"
    next = found.get("next")
    return {
        "campaign": campaign,
        "devices": found["devices"],
        "states": STATES,
        "kinds": KINDS,
        "state": state,
        "tabs_of": [(url(own, state=one), one.capitalize(), one == state) for one in STATES],
        "is_live": campaign["state"] not in QUIET,
        "own": own,
        "live": url(f"{own}/progress", state=state, after=query.get("after")),
        "first": url(own, state=state) if query.get("after") else None,
        "next": url(own, state=state, after=next) if next is not None else None,
    }
