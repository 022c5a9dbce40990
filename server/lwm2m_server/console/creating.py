"""A device is added with its credentials, changed, and removed."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from lwm2m_server.console.backend import Refusal, segment
from lwm2m_server.console.device.tabs import address
from lwm2m_server.console.devices import DEVICES, group_names, profile_names
from lwm2m_server.console.forms import Form, form_of
from lwm2m_server.console.new_device import CLIENT, MODES, SECTIONS, SERVER, device_of, fields_of, placed
from lwm2m_server.console.pages import page, part, see_other
from lwm2m_server.console.viewer import operator_of, viewer_of

_WRONG: Final = (HTTPStatus.BAD_REQUEST, HTTPStatus.CONFLICT)
"""What is told beside the form; all else is an error of its own."""


class CreatingPages:
    """``/console/new-device``, and what changes a device that is there."""

    def routes(self) -> list[Route]:
        one = "/devices/{name}"
        return [
            Route("/new-device", self.show, methods=["GET"]),
            Route("/new-device", self.create, methods=["POST"]),
            Route("/new-device/check", self.check, methods=["POST"]),
            Route(f"{one}/edit", self.show_edit, methods=["GET"]),
            Route(f"{one}/edit", self.edit, methods=["POST"]),
            Route(f"{one}/delete", self.delete, methods=["POST"]),
        ]

    # --- adding ------------------------------------------------------------------------------------

    async def show(self, request: Request) -> Response:
        operator_of(request)
        return await self._form(request, {})

    async def create(self, request: Request) -> Response:
        """Keys that were made are shown by this answer, and never again."""
        form = await form_of(request)
        try:
            made = await viewer_of(request).api.send("POST", "/devices", device_of(form))
        except Refusal as refusal:
            return await self._refused(request, form, refusal)
        if made.get("generatedKeys"):
            return await page(request, "creating/created.html", made=made)
        return see_other(request, address(made["name"]), f"{made['name']} was added.")

    async def check(self, request: Request) -> Response:
        """Whether it could be added now; nothing is kept."""
        form = await form_of(request)
        try:
            await viewer_of(request).api.send("POST", "/devices", device_of(form), {"dryRun": "true"})
        except Refusal as refusal:
            return await self._refused(request, form, refusal, is_check=True)
        if "hx-request" in request.headers:
            return await part(request, "creating/checked.html", refusal=None)
        return await self._form(request, fields_of(form), is_good=True)

    async def _refused(
        self, request: Request, form: Form, refusal: Refusal, *, is_check: bool = False
    ) -> Response:
        if refusal.status not in _WRONG:
            raise refusal
        wrong, others = placed(refusal.members.get("faults", {}), form)
        if is_check and "hx-request" in request.headers:
            return await part(request, "creating/checked.html", refusal=refusal, wrong=wrong, others=others)
        told = others or ([] if wrong else [refusal.detail])
        return await self._form(request, fields_of(form), wrong, told, refusal.status)

    async def _form(
        self,
        request: Request,
        fields: Mapping[str, str],
        wrong: Mapping[str, str] | None = None,
        told: list[str] | None = None,
        status: int = HTTPStatus.OK,
        *,
        is_good: bool = False,
    ) -> Response:
        api, wrong = viewer_of(request).api, wrong or {}
        return await page(
            request,
            "creating/new.html",
            status=status,
            fields=fields,
            wrong=wrong,
            told=told or [],
            is_good=is_good,
            is_first=not fields,
            opened=_opened(fields, wrong),
            modes=list(MODES.items()),
            sections=list(SECTIONS.items()),
            client=CLIENT,
            server=SERVER,
            profiles=await profile_names(api),
            groups=await group_names(api),
        )

    # --- changing ----------------------------------------------------------------------------------

    async def show_edit(self, request: Request) -> Response:
        name, api = request.path_params["name"], operator_of(request).api
        device = await api.get(f"/devices/{segment(name)}")
        own = await api.get(f"/devices/{segment(name)}/profile")
        chosen = own["profile"] if own and own["by"] == "device" else ""
        return await self._edit_form(request, device, "\n".join(device["labels"]), chosen)

    async def edit(self, request: Request) -> Response:
        form, name = await form_of(request), request.path_params["name"]
        api, path = viewer_of(request).api, f"/devices/{segment(name)}"
        changes: dict[str, Any] = {
            "labels": _lines(form.raw("labels") or ""),
            "profile": form.text("profile") or None,
            "groups": [one for one in form.all("groups") if one],
        }
        try:
            await api.send("PATCH", path, changes)
        except Refusal as refusal:
            if refusal.status not in _WRONG:
                raise
            device = await api.get(path)
            labels, chosen = form.raw("labels") or "", form.text("profile")
            return await self._edit_form(request, device, labels, chosen, refusal)
        return see_other(request, address(name), "The changes were saved.")

    async def _edit_form(
        self, request: Request, device: Any, labels: str, chosen: str, refusal: Refusal | None = None
    ) -> Response:
        api = viewer_of(request).api
        return await page(
            request,
            "creating/edit.html",
            status=refusal.status if refusal else HTTPStatus.OK,
            device=device,
            base=address(device["name"]),
            labels=labels,
            chosen=chosen,
            wrong=refusal.members.get("faults", {"": refusal.detail}) if refusal else {},
            profiles=await profile_names(api),
            groups=await group_names(api),
        )

    async def delete(self, request: Request) -> Response:
        await form_of(request)
        name = request.path_params["name"]
        await viewer_of(request).api.send("DELETE", f"/devices/{segment(name)}")
        return see_other(request, DEVICES, f"{name} was removed.")


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip()]


def _opened(fields: Mapping[str, str], wrong: Mapping[str, str]) -> dict[str, str]:
    """The tabs that are open: those with the first thing that is wrong, or as they were."""
    part, server = fields.get("part", "client"), fields.get("server", "bootstrapServer")
    in_credentials = [name for name in wrong if "." in name]
    if in_credentials:
        section = in_credentials[0].partition(".")[0]
        part = "bootstrap" if section in SECTIONS else "client"
        server = section if section in SECTIONS else server
    return {"part": part, "server": server}
