"""The tab 'Bootstrap' of a profile: the servers that devices are told of, and what they would be written."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from lwm2m_server.console.backend import Backend, Refusal
from lwm2m_server.console.forms import Form, form_of
from lwm2m_server.console.pages import is_htmx, page, part, see_other
from lwm2m_server.console.profiles.draft import Draft
from lwm2m_server.console.profiles.opening import Opened, frame, opened
from lwm2m_server.console.profiles.values import SERVER, ServerField, number

MOST: Final = 16
"""Servers of a profile."""
SHORT_ID: Final = 123
UPDATES: Final = "bootstrapServerUpdateEnable"
FEW: Final = 20
"""Devices to choose from for a preview."""


class ServerPages:
    """All servers are one form; each is a part of the draft."""

    def routes(self) -> list[Route]:
        return [
            Route("/profiles/{name}/bootstrap", self.show, methods=["GET"]),
            Route("/profiles/{name}/draft/servers", self.set, methods=["POST"]),
            Route("/profiles/{name}/draft/servers/add", self.add, methods=["POST"]),
            Route("/profiles/{name}/draft/servers/remove", self.remove, methods=["POST"]),
        ]

    async def show(self, request: Request) -> Response:
        one = await opened(request)
        draft, api = one.draft(), one.viewer.api
        context = await frame(one, draft, "bootstrap")
        context |= await _preview(request, one, draft)
        devices = (await api.get(f"{one.api_path}/devices", limit=FEW))["devices"]
        context |= {
            "fields": SERVER,
            "servers": draft.configuration["bootstrap"],
            "updates": draft.configuration[UPDATES],
            "devices": [device["name"] for device in devices],
            "own": await _own(api) if one.editing else [],
        }
        return await page(request, "profiles/bootstrap.html", **context)

    async def set(self, request: Request) -> Response:
        form, one = await form_of(request), await opened(request, to_edit=True)
        draft = one.draft()
        servers = draft.configuration["bootstrap"]
        for index, server in enumerate(servers):
            if form.flag(f"has:{index}"):
                servers[index] = {**server, **_read(form, index, is_bootstrap=server["bootstrapServerIs"])}
        draft.configuration[UPDATES] = form.flag(UPDATES)
        one.keep(draft)
        if not is_htmx(request):
            return see_other(request, one.at("bootstrap"))
        context = await frame(one, draft, "bootstrap")
        context |= {"objects": (), "settings": (), "rows": (), "servers": servers, "fields": SERVER}
        return await part(request, "profiles/changed.html", **context)

    async def add(self, request: Request) -> Response:
        """``own`` is the place of an entry of this very server among those of its kind; without it all is to
        be typed."""
        form, one = await form_of(request), await opened(request, to_edit=True)
        draft, is_bootstrap = one.draft(), form.flag("bootstrap")
        own = await _own(one.viewer.api)
        text = form.text("own")
        chosen = int(text) if text.isascii() and text.isdigit() and int(text) < len(own) else None
        draft = one.draft()
        servers = draft.configuration["bootstrap"]
        if len(servers) >= MOST:
            raise Refusal(409, f"a profile has at most {MOST} servers", {})
        entry = _blank(is_bootstrap=is_bootstrap) if chosen is None else dict(own[chosen])
        if entry["bootstrapServerIs"]:
            draft.configuration[UPDATES] = True
        else:
            entry["shortServerId"] = _free(servers, entry["shortServerId"] or SHORT_ID)
        servers.append(entry)
        one.keep(draft)
        return see_other(request, one.at("bootstrap") + f"#server-{len(servers) - 1}")

    async def remove(self, request: Request) -> Response:
        form, one = await form_of(request), await opened(request, to_edit=True)
        draft, text = one.draft(), form.text("index")
        servers = draft.configuration["bootstrap"]
        if not (text.isascii() and text.isdigit() and int(text) < len(servers)):
            raise Refusal(404, "the draft has no such server", {})
        del servers[int(text)]
        one.keep(draft)
        return see_other(request, one.at("bootstrap"), "The server is removed from the draft.")


async def _own(api: Backend) -> list[dict[str, Any]]:
    """Entries of this very server."""
    found: list[dict[str, Any]] = (await api.get("/profiles/defaults"))["bootstrap"]
    return found


def _blank(*, is_bootstrap: bool) -> dict[str, Any]:
    return {
        "shortServerId": None,
        "bootstrapServerIs": is_bootstrap,
        "host": "",
        "port": 5683,
        "clientHoldOffTime": 1,
        "bootstrapServerAccountTimeout": 0,
        "serverPublicKey": "",
        "serverCertificate": "",
        "lifetime": 300,
        "defaultMinPeriod": 1,
        "notifIfDisabled": True,
        "binding": "U",
        "securityMode": "NO_SEC",
    }


def _free(servers: Iterable[Mapping[str, Any]], wanted: int) -> int:
    """A Short Server ID that no other server of the profile has."""
    taken = {server["shortServerId"] for server in servers}
    while wanted in taken:
        wanted += 1
    return wanted


def _read(form: Form, index: int, *, is_bootstrap: bool) -> dict[str, Any]:
    """What was typed of one server."""
    fields = (field for field in SERVER if field.of_bootstrap or not is_bootstrap)
    return {field.name: _value(form, f"{index}:{field.name}", field) for field in fields}


def _value(form: Form, name: str, field: ServerField) -> Any:
    if field.kind == "flag":
        return form.flag(name)
    return number(form.text(name)) if field.kind == "number" else form.text(name)


async def _preview(request: Request, one: Opened, draft: Draft) -> dict[str, Any]:
    """What a device would be written, as a tree; or why nothing."""
    device = request.query_params.get("device", "").strip()
    if not any(not server["bootstrapServerIs"] for server in draft.configuration["bootstrap"]):
        return {"device": device, "steps": [], "preview": None, "refused": None}
    query = {"device": device}
    try:
        found = await one.viewer.api.send(
            "POST", f"{one.api_path}/bootstrap-preview", draft.document(), query
        )
    except Refusal as error:
        return {"device": device, "steps": [], "preview": None, "refused": error.detail}
    steps = [_step(step) for step in found["steps"]]
    return {"device": device, "steps": steps, "preview": found, "refused": None}


def _step(step: Mapping[str, Any]) -> dict[str, Any]:
    """With the values of each Object Instance that is written."""
    instances: dict[str, list[Mapping[str, Any]]] = {}
    for value in step.get("values", ()):
        parts = value["path"].split("/")
        instances.setdefault("/".join(parts[:3]), []).append({**value, "id": "/".join(parts[3:])})
    names = {"/0": "Security", "/1": "Server", "/2": "Access Control", "/21": "OSCORE"}
    shown = [
        {"path": path, "name": names.get(path.rpartition("/")[0], ""), "values": values}
        for path, values in instances.items()
    ]
    return {"operation": step["operation"], "path": step["path"], "instances": shown}
