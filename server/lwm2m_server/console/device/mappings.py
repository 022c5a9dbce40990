"""``/console/devices/{name}/mappings``: LwM2M left, oneM2M right, rule and plugin between."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from lwm2m_server.console.device.frame import device_page, path_of
from lwm2m_server.console.device.tabs import address
from lwm2m_server.console.device.values import TYPES, shown
from lwm2m_server.console.pages import part
from lwm2m_server.console.viewer import viewer_of

Row = Mapping[str, Any]


class MappingPages:
    """It refreshes by itself."""

    def routes(self) -> list[Route]:
        """Below ``/console``."""
        place = "/devices/{name}/mappings"
        return [
            Route(place, self.show, methods=["GET"]),
            Route(f"{place}/now", self.now, methods=["GET"]),
        ]

    async def show(self, request: Request) -> Response:
        return await device_page(request, "device/mappings.html", "Mapping", **await _mappings(request))

    async def now(self, request: Request) -> Response:
        """The part that changes."""
        base = address(request.path_params["name"])
        return await part(request, "device/mappings_now.html", base=base, **await _mappings(request))


async def _mappings(request: Request) -> dict[str, Any]:
    found = await viewer_of(request).api.get(path_of(request, "/mappings"))
    managed = [
        {**one, "attributes": [_attribute(row) for row in one["attributes"]]} for one in found["managed"]
    ]
    return {"managed": managed, "unmapped": found["unmapped"], "registered": found["registered"]}


def _attribute(row: Row) -> dict[str, Any]:
    executes = row["executes"]
    return {
        **row,
        "text": _text(row["value"]),
        "sources": [_source(one) for one in row["sources"]],
        "executes": None if executes is None else _source(executes),
    }


def _source(row: Row) -> dict[str, Any]:
    value, kind = row["value"], TYPES.get(row["type"] or "")
    values = value if isinstance(value, Mapping) else {"": value}
    told = row["state"] == "told"
    return {**row, "values": [(id, shown(one, kind)) for id, one in values.items()] if told else []}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
