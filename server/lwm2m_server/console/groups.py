"""Device groups: whose messages go to which applications; members, profiles, labels."""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from lwm2m_server.console.backend import Backend, Refusal, segment
from lwm2m_server.console.forms import form_of
from lwm2m_server.console.pages import page, see_other
from lwm2m_server.console.paging import offset_of, page_of
from lwm2m_server.console.viewer import viewer_of

GROUPS: Final = "/console/groups"
ROWS: Final = 50
FOUND: Final = 20
"""Devices that a search for new members shows."""
MOST_APPLICATIONS: Final = 1000
MOST_PROFILES: Final = 1000
_ONE: Final = "/groups/{name}"
_BETWEEN: Final = re.compile(r"[\s,;]+")


class GroupPages:
    """``/console/groups``."""

    def routes(self) -> list[Route]:
        return [
            Route("/groups", self.list_all, methods=["GET"]),
            Route("/new-group", self.show_new, methods=["GET"]),
            Route("/new-group", self.create, methods=["POST"]),
            Route(_ONE, self.show, methods=["GET"]),
            Route(_ONE, self.change, methods=["POST"]),
            Route(f"{_ONE}/members", self.change_members, methods=["POST"]),
            Route(f"{_ONE}/profile", self.change_profile, methods=["POST"]),
            Route(f"{_ONE}/delete", self.delete, methods=["POST"]),
        ]

    async def list_all(self, request: Request) -> Response:
        found = await viewer_of(request).api.get(
            "/groups", q=request.query_params.get("q"), limit=ROWS, offset=offset_of(request)
        )
        rows = found["groups"]
        return await page(
            request, "groups/list.html", groups=rows, pages=page_of(request, rows, found["total"], ROWS)
        )

    async def show_new(self, request: Request) -> Response:
        given = {"name": "", "labels": "", "devices": ""}
        return await page(request, "groups/new.html", given=given, error=None)

    async def create(self, request: Request) -> Response:
        form = await form_of(request)
        given = {name: form.text(name) for name in ("name", "labels", "devices")}
        document = {
            "name": given["name"],
            "labels": _lines(given["labels"]),
            "devices": [name for name in _BETWEEN.split(given["devices"]) if name],
        }
        try:
            made = await viewer_of(request).api.send("POST", "/groups", document)
        except Refusal as refusal:
            return await page(
                request, "groups/new.html", status=refusal.status, given=given, error=refusal.detail
            )
        return see_other(request, _address(made["name"]), f"Group {made['name']} is there.")

    # --- one -----------------------------------------------------------------------------------------

    async def show(self, request: Request) -> Response:
        return await self._show(request)

    async def change(self, request: Request) -> Response:
        """Its labels."""
        form, name = await form_of(request), request.path_params["name"]
        return await self._send(
            request, {"labels": _lines(form.text("labels"))}, f"Labels of {name} are saved."
        )

    async def change_members(self, request: Request) -> Response:
        """Devices and applications that join or leave."""
        form, name = await form_of(request), request.path_params["name"]
        document = {
            "addDevices": [*form.all("addDevices"), *filter(None, _BETWEEN.split(form.text("names")))],
            "removeDevices": form.all("removeDevices"),
            "addApplications": form.all("addApplications"),
            "removeApplications": form.all("removeApplications"),
        }
        joined = len(document["addDevices"]) + len(document["addApplications"])
        left = len(document["removeDevices"]) + len(document["removeApplications"])
        if not joined and not left:
            return await self._show(request, HTTPStatus.BAD_REQUEST, "Choose who is to join or to leave.")
        told = [f"{count} {word}" for count, word in ((joined, "joined"), (left, "left")) if count]
        return await self._send(request, document, f"{name}: {', '.join(told)}.")

    async def change_profile(self, request: Request) -> Response:
        """A device profile is for the group from now on, or no more."""
        form, name = await form_of(request), request.path_params["name"]
        profile, api = form.text("profile"), viewer_of(request).api
        path, joins = f"/profiles/{segment(profile)}/assignment", form.flag("assign")
        assignment = await api.get(path)
        groups = [one for one in assignment["groups"] if one != name]
        await api.send("PUT", path, {**assignment, "groups": [*groups, name] if joins else groups})
        told = "is for the devices of" if joins else "is no more for the devices of"
        return see_other(request, _address(name), f"{profile} {told} {name}, unless another goes before it.")

    async def delete(self, request: Request) -> Response:
        await form_of(request)
        name = request.path_params["name"]
        await viewer_of(request).api.send("DELETE", f"/groups/{segment(name)}")
        return see_other(request, GROUPS, f"Group {name} is removed.")

    # --- inner ---------------------------------------------------------------------------------------

    async def _send(self, request: Request, document: dict[str, Any], notice: str) -> Response:
        name = request.path_params["name"]
        try:
            await viewer_of(request).api.send("PATCH", f"/groups/{segment(name)}", document)
        except Refusal as refusal:
            if refusal.status == HTTPStatus.NOT_FOUND:
                raise
            return await self._show(request, refusal.status, refusal.detail)
        return see_other(request, _address(name), notice)

    async def _show(
        self, request: Request, status: int = HTTPStatus.OK, error: str | None = None
    ) -> Response:
        api, name, query = viewer_of(request).api, request.path_params["name"], request.query_params
        group = await api.get(f"/groups/{segment(name)}")
        members = await api.get(
            f"/groups/{segment(name)}/devices", q=query.get("q"), limit=ROWS, offset=offset_of(request)
        )
        wanted = query.get("find", "")
        applications = (await api.get("/applications", limit=MOST_APPLICATIONS))["applications"]
        names = {one["id"]: one["name"] for one in applications}
        profiles = (await api.get("/profiles", limit=MOST_PROFILES))["profiles"]
        return await page(
            request,
            "groups/show.html",
            status=status,
            group=group,
            error=error,
            members=members["devices"],
            pages=page_of(request, members["devices"], members["total"], ROWS),
            wanted=wanted,
            profiles=[one["name"] for one in profiles if one["name"] not in group["profiles"]],
            found=await _found(api, name, wanted),
            applications=[(one, names.get(one, one)) for one in group["applications"]],
            others=[
                one["name"]
                for one in applications
                if not {one["name"], one["id"]} & set(group["applications"])
            ],
        )


async def _found(api: Backend, group: str, text: str) -> list[tuple[str, str | None, bool]]:
    """Devices to choose from: name, endpoint name, and whether they are members already."""
    if not text:
        return []
    devices = (await api.get("/devices", q=text, limit=FOUND))["devices"]
    members = (await api.get("/devices", q=text, group=group, limit=FOUND))["devices"]
    names = {one["name"] for one in members}
    return [(one["name"], one["endpoint"], one["name"] in names) for one in devices]


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip()]


def _address(name: str) -> str:
    return f"{GROUPS}/{segment(name)}"
