"""Problems: what could not be decoded, mapped or done; each with its details and where it can be mended."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from lwm2m_server.console.backend import segment
from lwm2m_server.console.forms import form_of
from lwm2m_server.console.pages import page, part, previous, see_other, url
from lwm2m_server.console.viewer import viewer_of

PROBLEMS: Final = "/console/problems"
ROWS: Final = 50
DAY: Final = 24 * 3600 * 1000
_SPANS: Final = {"hour": DAY // 24, "day": DAY, "week": 7 * DAY}
_FILTERS: Final = ("kind", "device", "q", "within")
_WIDTH: Final = 16
"""Bytes in a line."""
_SHY: Final = frozenset({"payload", "size", "endpoint", "error", "contentFormat"})
"""Facts that stand elsewhere."""
_WARNINGS: Final = frozenset({"warning", "profile", "mapping", "unknown-model"})
"""Kinds that take nothing from anybody."""
_LABELS: Final = {
    "code": "CoAP code",
    "peer": "From",
    "path": "Path",
    "paths": "Paths",
    "source": "Came as",
    "format": "Content-Format",
    "operation": "Operation",
    "diagnostic": "The device said",
    "plugin": "Plugin",
    "hook": "Hook",
    "module": "Part of the server",
    "container": "Container",
    "limit": "Limit",
    "hint": "Hint",
    "resource": "Resource",
    "rule": "Rule",
    "file": "File",
    "line": "Line",
    "used": "Is used",
    "object": "Object",
    "version": "Version",
    "example": "One such device",
    "target": "Target",
    "dead": "Dead letters",
    "dropped": "Dropped",
    "update": "Update",
    "package": "Package",
    "campaign": "Campaign",
    "state": "State",
    "value": "Wanted",
    "query": "Query",
    "identity": "Identity",
    "listener": "Listener",
    "session": "Session",
    "detail": "Detail",
    "reason": "Kind of failure",
}


class ProblemPages:
    """``/console/problems``."""

    def routes(self) -> list[Route]:
        return [
            Route("/problems", self.list_all, methods=["GET"]),
            Route("/problems/rows", self.list_news, methods=["GET"]),
            Route("/problems/count", self.count, methods=["GET"]),
            Route("/problems/{id}/dismiss", self.dismiss, methods=["POST"]),
        ]

    async def list_all(self, request: Request) -> Response:
        api = viewer_of(request).api
        every = await api.get("/problems/count")
        return await page(
            request, "problems/list.html", **await _rows(request), kinds=sorted(every["kinds"].items())
        )

    async def list_news(self, request: Request) -> Response:
        """Nothing if it is the same as was shown last."""
        found = await _rows(request)
        if found["mark"] == request.query_params.get("mark"):
            return Response(status_code=HTTPStatus.NO_CONTENT)
        return await part(request, "problems/rows.html", **found)

    async def count(self, request: Request) -> Response:
        """Of the last 24 hours, for the menu."""
        since = int(time.time() * 1000) - DAY
        found = await viewer_of(request).api.get("/problems/count", since=since)
        return await part(request, "problems/count.html", count=found["count"])

    async def dismiss(self, request: Request) -> Response:
        await form_of(request)
        await viewer_of(request).api.send("DELETE", f"/problems/{segment(request.path_params['id'])}")
        return see_other(request, previous(request), "The problem is dismissed.")


async def _rows(request: Request) -> dict[str, Any]:
    """What the list is made of."""
    query, api = request.query_params, viewer_of(request).api
    span = _SPANS.get(query.get("within", ""))
    wanted = {name: query.get(name) for name in ("kind", "device", "q", "after")}
    since = int(time.time() * 1000) - span if span is not None else None
    found = await api.get("/problems", **wanted, since=since, limit=ROWS)
    rows, next = found["problems"], found.get("next")
    filters = {name: query[name] for name in _FILTERS if query.get(name)}
    mark = f"{len(rows)}-{rows[0]['id']}-{rows[0]['count']}-{rows[0]['lastAt']}" if rows else "none"
    return {
        "problems": [{**one, **_shown(one)} for one in rows],
        "mark": mark,
        "news": url(f"{PROBLEMS}/rows", **filters, mark=mark) if not query.get("after") else None,
        "newer": url(PROBLEMS, **filters) if query.get("after") else None,
        "older": url(PROBLEMS, **filters, after=next) if next is not None else None,
        "filtered": bool(filters),
    }


def _shown(one: Mapping[str, Any]) -> dict[str, Any]:
    facts = one["facts"]
    payload = bytes.fromhex(facts.get("payload", ""))
    return {
        "bytes": list(_dump(payload)),
        "size": facts.get("size"),
        "cut": len(payload),
        "mark": "plain" if one["kind"] in _WARNINGS else "bad",
        "details": [(_LABELS.get(name, name), value) for name, value in _facts(facts) if name not in _SHY],
        "places": list(_places(one, facts)),
    }


def _facts(facts: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """A Content-Format by its name and its number."""
    number = facts.get("contentFormat")
    for name, value in facts.items():
        yield name, f"{value} ({number})" if name == "format" else value
    if number is not None and "format" not in facts:
        yield "format", number


def _dump(payload: bytes) -> Iterator[str]:
    """Offset, bytes, and what of them can be printed."""
    for start in range(0, len(payload), _WIDTH):
        row = payload[start : start + _WIDTH]
        text = "".join(chr(byte) if 0x20 <= byte < 0x7F else "." for byte in row)
        yield f"{start:04x}  {row.hex(' '):{3 * _WIDTH - 1}}  {text}"


def _places(one: Mapping[str, Any], facts: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Where it can be looked into, or mended: texts and addresses."""
    device = one["device"] or facts.get("example")
    if device:
        yield f"Device {device}", f"/console/devices/{segment(device)}"
    match one["kind"]:
        case "unknown-model" | "model":
            yield "Upload models", "/console/models/upload"
        case "undecodable":
            object_id = str(facts.get("path", "")).strip("/").partition("/")[0]
            yield f"Model of the Object {object_id}", url("/console/models", q=object_id)
        case "registration" if not device:
            yield "Add a device", "/console/new-device"
            yield "Enrolment", "/console/enrolment"
        case "plugin" | "hook" | "mapping":
            yield "Plugins", "/console/plugins"
        case "delivery":
            yield "Deliveries", "/console/webhooks"
    if facts.get("campaign"):
        yield f"Campaign {facts['campaign']}", f"/console/campaigns/{segment(facts['campaign'])}"
    if facts.get("package"):
        yield f"Package {facts['package']}", f"/console/packages/{segment(facts['package'])}"
