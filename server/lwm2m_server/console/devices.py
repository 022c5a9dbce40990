"""The list of devices: searched, filtered, sorted and in pages by the server, and kept up to date."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from lwm2m_server.console.backend import Backend
from lwm2m_server.console.pages import is_htmx, page, part, url
from lwm2m_server.console.paging import offset_of, page_of
from lwm2m_server.console.viewer import viewer_of

DEVICES: Final = "/console/devices"
STATES: Final[Mapping[str, str]] = {
    "": "any",
    "registered": "registered",
    "awake": "reachable now",
    "asleep": "asleep",
    "unregistered": "not registered",
}
SIZES: Final = ("25", "50", "100", "250")
USUAL: Final = "50"
SORTS: Final[Mapping[str, str]] = {
    "name": "Device",
    "registeredAt": "Registered",
    "lastSeen": "Last seen",
}
"""Columns one can sort by, and their headings."""
_FILTERS: Final = ("q", "state", "profile", "group")
_LATEST_FIRST: Final = ("registeredAt", "lastSeen")
CHOICES: Final = 1000
"""Profiles or groups to choose from."""


class FleetPages:
    """``/console/devices``."""

    def routes(self) -> list[Route]:
        return [Route("/devices", self.list_all, methods=["GET"])]

    async def list_all(self, request: Request) -> Response:
        """All that is asked for stands in the address: it can be kept, sent, and gone back to."""
        viewer, asked = viewer_of(request), _asked(request)
        limit = int(asked["limit"])
        query = {**asked, "limit": limit, "offset": offset_of(request)}
        found = await viewer.api.get("/devices", **query)
        rows = found["devices"]
        context: dict[str, Any] = {
            "devices": rows,
            "asked": asked,
            "is_filtered": any(asked[name] for name in _FILTERS),
            "columns": _columns(asked),
            "pages": page_of(request, rows, found["total"], limit),
            "address": url(DEVICES, **_said(asked), offset=offset_of(request) or None),
        }
        # Gone back to, the whole page is wanted.
        if is_htmx(request) and "hx-history-restore-request" not in request.headers:
            # Whoever looks for something gets an address for it; what is only looked at again has one.
            is_new = "list" in request.headers.get("hx-target", "")
            headers = {"hx-push-url": context["address"]} if is_new else {}
            return await part(request, "devices/rows.html", headers=headers, **context)
        return await page(
            request,
            "devices/list.html",
            states=list(STATES.items()),
            sizes=SIZES,
            profiles=await profile_names(viewer.api),
            groups=await group_names(viewer.api),
            **context,
        )


async def profile_names(api: Backend) -> list[str]:
    """Of the device profiles there are, in order."""
    found = await api.get("/profiles", limit=CHOICES)
    return sorted(one["name"] for one in found["profiles"])


async def group_names(api: Backend) -> list[str]:
    found = await api.get("/groups", limit=CHOICES)
    return [one["name"] for one in found["groups"]]


def _asked(request: Request) -> dict[str, str]:
    """What there is to ask; what means nothing is as if it was not said."""
    query = request.query_params
    asked = {name: query.get(name, "").strip() for name in (*_FILTERS, "sort", "order", "limit")}
    if query.get("registered") in ("true", "false") and not asked["state"]:
        asked["state"] = "registered" if query["registered"] == "true" else "unregistered"
    allowed: dict[str, Sequence[str]] = {
        "state": tuple(STATES),
        "sort": (*SORTS, "endpoint", "created"),
        "order": ("asc", "desc"),
        "limit": SIZES,
    }
    for name, values in allowed.items():
        if asked[name] not in values:
            asked[name] = USUAL if name == "limit" else ""
    asked["q"] = asked["q"][:200]
    return asked


def _said(asked: Mapping[str, str]) -> dict[str, str]:
    """What is not as usual."""
    return {name: value for name, value in asked.items() if value != (USUAL if name == "limit" else "")}


def _columns(asked: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """Of each that can be sorted by: what sorts by it, or the other way round, and the way it is sorted."""
    found = {}
    kept = {name: value for name, value in _said(asked).items() if name not in ("sort", "order")}
    for sort, label in SORTS.items():
        is_current = asked["sort"] == sort
        is_down = asked["order"] == "desc"
        turned = not is_down if is_current else sort in _LATEST_FIRST
        found[sort] = {
            "label": label,
            "href": url(DEVICES, **kept, sort=sort, order="desc" if turned else None),
            "way": ("descending" if is_down else "ascending") if is_current else "",
        }
    return found
