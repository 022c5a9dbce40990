"""Profiles as documents: the JSON of one, import, export."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

import orjson
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from lwm2m_server.access.callers import Role
from lwm2m_server.console.backend import Refusal, segment
from lwm2m_server.console.forms import Form, form_of
from lwm2m_server.console.pages import page, see_other
from lwm2m_server.console.profiles.draft import Draft
from lwm2m_server.console.profiles.opening import MOST, frame, opened
from lwm2m_server.console.profiles.saving import difference, pretty
from lwm2m_server.console.viewer import viewer_of

_ODD: Final = re.compile(r"[^A-Za-z0-9._-]")
"""In names of files."""
TOLD: Final = 8
"""Notes on an import that are told on the next page."""


class DocumentPages:
    """What is imported may be from another platform, and of an older form: the API reads them all."""

    def routes(self) -> list[Route]:
        return [
            Route("/import-profile", self.ask, methods=["GET"]),
            Route("/import-profile", self.take_in, methods=["POST"]),
            Route("/profiles/{name}/json", self.show, methods=["GET"]),
            Route("/profiles/{name}/draft/json", self.set, methods=["POST"]),
            Route("/profiles/{name}/export", self.export, methods=["GET"]),
        ]

    # --- of one --------------------------------------------------------------------------------------

    async def show(self, request: Request) -> Response:
        one = await opened(request)
        draft = one.draft()
        return await self._shown(request, draft, pretty(draft.document()), [])

    async def set(self, request: Request) -> Response:
        """The draft is what was typed, in the form that the API gives it; or the page says what is wrong."""
        form, one = await form_of(request), await opened(request, to_edit=True)
        text = form.raw("document") or ""
        found, faults = await _checked(request, text)
        draft = one.draft()
        if found is None:
            return await self._shown(request, draft, text, faults)
        draft.take(found)
        one.keep(draft)
        return see_other(request, one.at("json"), "The draft is what was typed.")

    async def _shown(
        self, request: Request, draft: Draft, text: str, wrong: list[dict[str, str]]
    ) -> Response:
        one = await opened(request, to_edit=bool(wrong))
        context = await frame(one, draft, "json")
        lines = await difference(one.document, draft.document()) if context["is_changed"] else ()
        context |= {"text": text, "wrong": wrong, "lines": lines}
        return await page(request, "profiles/json.html", status=422 if wrong else 200, **context)

    async def export(self, request: Request) -> Response:
        """As it is saved, for a file."""
        one = await opened(request)
        plain = _ODD.sub("_", one.name)
        headers = {"content-disposition": f'attachment; filename="{plain}.json"'}
        return Response(pretty(one.document) + "\n", headers=headers, media_type="application/json")

    # --- new ones ------------------------------------------------------------------------------------

    async def ask(self, request: Request) -> Response:
        _need_admin(request)
        return await page(request, "profiles/import.html", text="", name="", wrong=[], refused=None)

    async def take_in(self, request: Request) -> Response:
        """From a file, or from what was typed."""
        _need_admin(request)
        form = await form_of(request)
        text, name = await _text(form), form.text("name")
        found, faults = await _checked(request, text)
        refused = None
        if found is not None:
            document = {**found, "name": name or found["name"]}
            if document["name"]:
                del document["notes"]
                try:
                    made = await viewer_of(request).api.send("POST", "/profiles", document)
                except Refusal as error:
                    refused = error.detail
                else:
                    return _imported(request, made["name"], found["notes"])
            else:
                refused = "the document has no name; give it one"
        context: dict[str, Any] = {"text": text, "name": name, "wrong": faults, "refused": refused}
        return await page(request, "profiles/import.html", status=422, **context)


def _imported(request: Request, name: str, notes: list[dict[str, str]]) -> Response:
    notices = viewer_of(request).session.notices
    told = [
        f"{note['place']}: {note['reason']}" if note["place"] else note["reason"] for note in notes[:TOLD]
    ]
    more = [f"and {len(notes) - TOLD} notes more"] if len(notes) > TOLD else []
    notices.extend([f"{name} is imported.", *told, *more])
    return see_other(request, f"/console/profiles/{segment(name)}/transport")


async def _checked(request: Request, text: str) -> tuple[dict[str, Any] | None, list[dict[str, str]]]:
    """The document in the form that the API gives it, or its faults."""
    try:
        document = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        return None, [{"place": f"line {error.lineno}, column {error.colno}", "reason": error.msg}]
    if not isinstance(document, Mapping):
        return None, [{"place": "", "reason": "a JSON object is due"}]
    try:
        found: dict[str, Any] = await viewer_of(request).api.send("POST", "/profiles/check", document)
    except Refusal as error:
        if error.status not in (400, 413):
            raise
        return None, error.members.get("faults") or [{"place": "", "reason": error.detail}]
    return found, []


async def _text(form: Form) -> str:
    """Of the file that was chosen, else what was typed. Raises ``HTTPException``."""
    file = form.file("file")
    if file is None:
        return form.raw("document") or ""
    data = await file.read(MOST + 1)
    if len(data) > MOST:
        raise HTTPException(413, f"a profile has at most {MOST} bytes")
    return data.decode("utf-8", "replace")


def _need_admin(request: Request) -> None:
    if not viewer_of(request).may(Role.ADMIN):
        raise Refusal(403, "to import profiles takes the role admin", {})
