"""``/console/devices/{name}/desired``: what Resources of a device shall be, and how far that has come."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from lwm2m_server.console.backend import Refusal
from lwm2m_server.console.device.frame import device_of, device_page, path_of
from lwm2m_server.console.device.messages import specs_of
from lwm2m_server.console.device.tabs import address
from lwm2m_server.console.device.values import TYPES, shown
from lwm2m_server.console.forms import form_of
from lwm2m_server.console.pages import part, see_other
from lwm2m_server.console.viewer import viewer_of


class DesiredPages:
    """A value that is wanted is written when the device can hear it."""

    def routes(self) -> list[Route]:
        """Below ``/console``."""
        place = "/devices/{name}/desired"
        return [
            Route(place, self.show, methods=["GET"]),
            Route(place, self.want, methods=["POST"]),
            Route(f"{place}/now", self.now, methods=["GET"]),
            Route(f"{place}/retry", self.retry, methods=["POST"]),
            Route(f"{place}/forget", self.forget, methods=["POST"]),
        ]

    async def show(self, request: Request) -> Response:
        return await self._page(request, request.query_params.get("key", ""), "")

    async def now(self, request: Request) -> Response:
        """The part that changes."""
        base, device = address(request.path_params["name"]), await device_of(request)
        rows = await _rows(request, device)
        return await part(request, "device/desired_now.html", base=base, rows=rows)

    async def want(self, request: Request) -> Response:
        """One Resource, by key name or path."""
        form = await form_of(request)
        key, text = form.text("key"), form.raw("value") or ""
        try:
            await viewer_of(request).api.send("PATCH", path_of(request, "/desired"), {key: _value(text)})
        except Refusal as error:
            if error.status != HTTPStatus.BAD_REQUEST:
                raise
            return await self._page(request, key, text, error.detail)
        return self._back(request, f"It is desired of {key} now.")

    async def retry(self, request: Request) -> Response:
        await form_of(request)
        await viewer_of(request).api.send("POST", path_of(request, "/desired/retry"))
        return self._back(request, "What failed is asked for once more.")

    async def forget(self, request: Request) -> Response:
        form = await form_of(request)
        key = form.text("key")
        await viewer_of(request).api.send("PATCH", path_of(request, "/desired"), {key: None})
        return self._back(request, f"Nothing is desired of {key} any more.")

    def _back(self, request: Request, notice: str) -> Response:
        return see_other(request, address(request.path_params["name"], "/desired"), notice)

    async def _page(self, request: Request, key: str, text: str, fault: str | None = None) -> Response:
        device = await device_of(request)
        return await device_page(
            request,
            "device/desired.html",
            "Desired",
            status=HTTPStatus.BAD_REQUEST if fault else HTTPStatus.OK,
            device=device,
            rows=await _rows(request, device),
            writable=_writable(device),
            key=key,
            text=text,
            fault=fault,
        )


async def _rows(request: Request, device: dict[str, Any]) -> list[dict[str, Any]]:
    found = await viewer_of(request).api.get(path_of(request, "/desired"))
    specs = specs_of(device)
    return [_row(one, specs) for one in found["desired"]]


def _row(one: dict[str, Any], specs: Any) -> dict[str, Any]:
    ids = [int(id) for id in one["path"].split("/")[1:4]]
    kind = TYPES.get(specs.get((ids[0], ids[2]), {}).get("type", "")) if len(ids) == 3 else None
    reported = one["reported"]
    return {
        **one,
        "wanted": shown(one["value"], kind),
        "text": one["value"] if isinstance(one["value"], str) else json.dumps(one["value"]),
        "told": None if reported is None else shown(reported["value"], kind),
    }


def _writable(device: dict[str, Any]) -> list[tuple[str, str]]:
    """Paths and names of Resources of the device that can be written."""
    return [
        (f"/{one['id']}/{instance}/{resource['id']}", f"{one['name']}: {resource['name']}")
        for one in device["objects"]
        for instance in one["instances"]
        for resource in one["resources"]
        if "W" in resource["operations"]
    ]


def _value(text: str) -> Any:
    """JSON, or else a text."""
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text
