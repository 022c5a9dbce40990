"""``/console/devices/{name}``: one device, its frame with the tabs, and its overview."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from lwm2m_server.console.backend import Refusal, segment
from lwm2m_server.console.device.tabs import address, tabs_of
from lwm2m_server.console.device.tree import Tree, tree_of
from lwm2m_server.console.device.values import reading
from lwm2m_server.console.pages import page
from lwm2m_server.console.viewer import viewer_of

LATEST: Final = 24
"""Values shown at a glance."""


async def device_page(
    request: Request, template: str, tab: str, *, status: int = HTTPStatus.OK, **context: Any
) -> Response:
    """A page of a device: ``template`` extends ``device/frame.html``, ``tab`` is the label of its own.

    Its context has ``device``, as ``/api/v1/devices/{name}`` has it, and ``base``, its address.
    """
    viewer, name = viewer_of(request), request.path_params["name"]
    device = context.pop("device", None) or await device_of(request)
    return await page(
        request,
        template,
        status=status,
        device=device,
        base=address(name),
        tabs=tabs_of(viewer, name, tab),
        tab=tab,
        made=int(time.time() * 1000),
        **context,
    )


async def device_of(request: Request) -> dict[str, Any]:
    """The details of the device. Raises ``Refusal``."""
    found: dict[str, Any] = await viewer_of(request).api.get(path_of(request))
    return found


async def announced(request: Request) -> dict[str, Any] | None:
    """The objects of the device; ``None`` of one that is not registered. Raises ``Refusal``."""
    try:
        found: dict[str, Any] = await viewer_of(request).api.get(path_of(request, "/objects"))
    except Refusal as error:
        if error.status != HTTPStatus.CONFLICT:
            raise
        return None
    return found


async def tree_for(request: Request, device: Mapping[str, Any], only: int | None = None) -> Tree:
    """What the device has, its last values, and what is observed; of one Object alone, if it is named.

    Raises ``Refusal``.
    """
    objects = await announced(request)
    if objects is not None and only is not None:
        objects["objects"] = [one for one in objects["objects"] if one["id"] == only]
    paths = None if only is None else f"/{only}"
    found = await viewer_of(request).api.get(path_of(request, "/values"), paths=paths)
    # A device may have thousands of Resources.
    return await asyncio.to_thread(tree_of, objects, found["values"], device["observations"])


def path_of(request: Request, below: str = "") -> str:
    """Of the device in the API."""
    return f"/devices/{segment(request.path_params['name'])}{below}"


class DevicePages:
    """What a device is."""

    def routes(self) -> list[Route]:
        """Below ``/console``."""
        return [Route("/devices/{name}", self.overview, methods=["GET"])]

    async def overview(self, request: Request) -> Response:
        """Facts of the registration, and values: what the profile is about first, then the newest."""
        api = viewer_of(request).api
        device = await device_of(request)
        found = await api.get(path_of(request, "/values"))
        profile = await api.get(path_of(request, "/profile"))
        rows = sorted(found["values"], key=lambda row: (not row["kinds"], -row["received"]))
        return await device_page(
            request,
            "device/overview.html",
            "Overview",
            device=device,
            profile=profile,
            latest=[reading(row) for row in rows[:LATEST]],
            count=len(rows),
            undecoded=len(found["undecoded"]),
        )
