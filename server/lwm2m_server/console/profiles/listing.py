"""Device profiles: the list, new ones, and what becomes of one as a whole."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from lwm2m_server.access.callers import Role
from lwm2m_server.console.backend import Refusal, segment
from lwm2m_server.console.forms import form_of
from lwm2m_server.console.pages import page, part, see_other, url
from lwm2m_server.console.profiles.documents import DocumentPages
from lwm2m_server.console.profiles.opening import TABS, frame, opened
from lwm2m_server.console.profiles.rows import names_of
from lwm2m_server.console.profiles.saving import SavingPages
from lwm2m_server.console.profiles.servers import ServerPages
from lwm2m_server.console.profiles.transport import TransportPages
from lwm2m_server.console.profiles.use import UsePages
from lwm2m_server.console.viewer import viewer_of

PAGE: Final = 50
"""Profiles a page."""
FEW: Final = 10
"""Devices that are named before a profile goes."""
LIST: Final = "/console/profiles"


class ProfilePages:
    """With all pages of one profile."""

    def routes(self) -> list[Route]:
        # Profiles may have any name: what is said of one has a path below it.
        return [
            Route("/profiles", self.list_all, methods=["GET"]),
            Route("/profile-counts", self.count, methods=["GET"]),
            Route("/new-profile", self.ask, methods=["GET"]),
            Route("/new-profile", self.create, methods=["POST"]),
            *DocumentPages().routes(),
            Route("/profiles/{name}", self.go, methods=["GET"]),
            Route("/profiles/{name}/details", self.show, methods=["GET"]),
            Route("/profiles/{name}/draft/details", self.rename, methods=["POST"]),
            Route("/profiles/{name}/duplicate", self.duplicate, methods=["POST"]),
            Route("/profiles/{name}/delete", self.ask_to_delete, methods=["GET"]),
            Route("/profiles/{name}/delete", self.delete, methods=["POST"]),
            *TransportPages().routes(),
            *ServerPages().routes(),
            *UsePages().routes(),
            *SavingPages().routes(),
        ]

    # --- all -----------------------------------------------------------------------------------------

    async def list_all(self, request: Request) -> Response:
        return await page(request, "profiles/list.html", **await self._listed(request))

    async def count(self, request: Request) -> Response:
        """The same rows with how many devices each is for, which takes a look at all devices."""
        return await part(request, "profiles/list_rows.html", **await self._listed(request, counted=True))

    async def _listed(self, request: Request, *, counted: bool = False) -> dict[str, Any]:
        viewer, query = viewer_of(request), request.query_params
        text, offset = query.get("q", "").strip(), query.get("offset", "")
        counted = counted or query.get("devices") == "true"
        begin = int(offset) if offset.isascii() and offset.isdigit() and len(offset) < 10 else 0
        found = await viewer.api.get(
            "/profiles", name=text, limit=PAGE, offset=begin, devices="true" if counted else None
        )
        models = (await viewer.api.get("/models", usage="false"))["models"] if found["profiles"] else ()
        more = {"q": text, "devices": query.get("devices")}
        edited = [one["name"] for one in found["profiles"] if _draft_of(request, one["name"])]
        return {
            "q": text,
            "found": found,
            "names": names_of(models),
            "edited": edited,
            "counted": counted,
            "counts": url("/console/profile-counts", q=text, offset=begin),
            "first": begin + 1,
            "last": begin + len(found["profiles"]),
            "previous": url(LIST, **more, offset=max(0, begin - PAGE)) if begin else None,
            "next": url(LIST, **more, offset=found["nextOffset"]) if "nextOffset" in found else None,
        }

    # --- a new one -----------------------------------------------------------------------------------

    async def ask(self, request: Request) -> Response:
        """Both steps are one form: its name, and its transport."""
        _need_admin(request)
        return await self._new(request, request.query_params, None)

    async def create(self, request: Request) -> Response:
        _need_admin(request)
        form = await form_of(request)
        fields = {"name": form.text("name"), "transportType": form.text("transportType"), "step": "transport"}
        document = {
            "name": fields["name"],
            "transportType": fields["transportType"],
            "profileData": {"transportConfiguration": {"type": fields["transportType"]}},
        }
        try:
            made = await viewer_of(request).api.send("POST", "/profiles", document)
        except Refusal as error:
            if error.status not in (400, 409):
                raise
            is_name = error.status == 409 or error.detail.startswith("name")
            return await self._new(
                request, {**fields, "step": "details" if is_name else "transport"}, error.detail
            )
        return see_other(request, f"{LIST}/{segment(made['name'])}/transport", f"{made['name']} is added.")

    async def _new(self, request: Request, fields: Mapping[str, str], refused: str | None) -> Response:
        step = "transport" if fields.get("step") == "transport" else "details"
        kind = fields.get("transportType", "LWM2M")
        name = fields.get("name", "")
        context: dict[str, Any] = {"step": step, "name": name, "kind": kind, "refused": refused}
        return await page(request, "profiles/new.html", status=422 if refused else 200, **context)

    # --- one -----------------------------------------------------------------------------------------

    async def go(self, request: Request) -> Response:
        """To where a profile opens."""
        return see_other(request, f"{LIST}/{segment(request.path_params['name'])}/{TABS[1][0]}")

    async def show(self, request: Request) -> Response:
        one = await opened(request)
        rows = (await one.viewer.api.get("/profiles", name=one.name))["profiles"]
        row = next((row for row in rows if row["name"] == one.name), None)
        context = await frame(one, one.draft(), "details")
        return await page(request, "profiles/details.html", row=row, **context)

    async def rename(self, request: Request) -> Response:
        form, one = await form_of(request), await opened(request, to_edit=True)
        draft = one.draft()
        draft.name = form.text("name")
        one.keep(draft)
        return see_other(request, one.at("details"))

    async def duplicate(self, request: Request) -> Response:
        """As it is saved, under another name."""
        form, one = await form_of(request), await opened(request, to_edit=True)
        name = form.text("name") or await _copy(request, one.name)
        made = await one.viewer.api.send("POST", "/profiles", {**one.document, "name": name})
        target = url(f"{LIST}/{segment(made['name'])}/details", edit="1")
        return see_other(request, target, f"{made['name']} is a copy of {one.name}; no device has it yet.")

    async def ask_to_delete(self, request: Request) -> Response:
        return await self._asked(request, None)

    async def delete(self, request: Request) -> Response:
        """One that is used goes only if that was said."""
        form, one = await form_of(request), await opened(request, to_edit=True)
        query = {"force": "true" if form.flag("force") else None}
        try:
            await one.viewer.api.send("DELETE", one.api_path, query=query)
        except Refusal as error:
            if error.status != 409:
                raise
            return await self._asked(request, error.detail.rpartition("; force=")[0])
        one.discard()
        return see_other(request, LIST, f"{one.name} is deleted.")

    async def _asked(self, request: Request, refused: str | None) -> Response:
        one = await opened(request, to_edit=True)
        assignment = await one.viewer.api.get(f"{one.api_path}/assignment")
        devices = await one.viewer.api.get(f"{one.api_path}/devices", limit=FEW)
        context = {"one": one, "assignment": assignment, "devices": devices, "refused": refused}
        return await page(request, "profiles/delete.html", status=409 if refused else 200, **context)


async def _copy(request: Request, name: str) -> str:
    """A name that no profile has."""
    known = (await viewer_of(request).api.get("/profiles", name=name[:200]))["profiles"]
    taken, number = {one["name"] for one in known}, 1
    while (found := f"{name[:200]} copy{'' if number == 1 else f' {number}'}") in taken:
        number += 1
    return found


def _draft_of(request: Request, name: str) -> bool:
    """Whether the session has one."""
    viewer = viewer_of(request)
    return f"profile {viewer.tenant}/{name}" in viewer.session.drafts


def _need_admin(request: Request) -> None:
    if not viewer_of(request).may(Role.ADMIN):
        raise Refusal(403, "to add profiles takes the role admin", {})
