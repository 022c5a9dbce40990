"""The oneM2M API in OpenAPI: few operations on resources at any depth, so paths stand for many."""

from __future__ import annotations

from collections.abc import Iterator
from http import HTTPStatus
from typing import Any, Final

from lwm2m_server.http.describing import COUNT, STRING, Parameter, Schema, obj, ref
from lwm2m_server.http.openapi import PROBLEM
from lwm2m_server.onem2m.errors import OneM2MError
from lwm2m_server.onem2m.names import CREATABLE

ACCESS: Final = (401, 421, 429)
"""Whoever knocks is refused in the words of the whole server."""

_PLACES: Final = (
    ("", "the CSEBase of a tenant"),
    ("/{resource}", "a child of the CSEBase: a node, an application, a group"),
    ("/{resource}/{child}", "a grandchild of the CSEBase: management objects, containers of a device"),
    ("/{resource}/{child}/{grandchild}", "what is below that, and further down: one segment a generation"),
)
_OUTGOING: Final = "/device-communication/{device}/outgoing-msg"
_RESOURCE: Final[Schema] = {
    "type": "object",
    "description": "one member, named as the type of the resource: m2m:nod or node, by the header fullName",
}
_REFUSAL: Final = obj("m2m:dbg", **{"m2m:dbg": STRING})
_HEADERS: Final = (
    Parameter("X-M2M-Origin", STRING, "AE-ID of who asks", "header"),
    Parameter("X-M2M-RI", STRING, "id of the request, given back", "header"),
    Parameter("X-M2M-RVI", STRING, "release of oneM2M, e.g. 3", "header"),
    Parameter("fullName", {"enum": ["true", "false"]}, "long names of attributes, or short ones", "header"),
)
_RESPONSE: Final = Parameter("rt", COUNT, "how it is answered (TS-0004, responseType); 3: when it is done")
_CONTENT: Final = Parameter("rcn", COUNT, "what the answer contains (TS-0004, resultContent)")
_FILTERS: Final = (
    _CONTENT,
    Parameter("fu", COUNT, "1: discovery, the answer is a list of addresses"),
    Parameter("ty", COUNT, "only resources of this type"),
    Parameter("lbl", STRING, "only resources with this label"),
    Parameter("lvl", COUNT, "so many generations"),
    Parameter("lim", COUNT, "at most so many resources"),
    Parameter("ofst", COUNT, "begin with this one, counted from 1"),
)
_PREFER: Final = Parameter("Prefer", STRING, "wait=N: within N seconds, what the device says", "header")
_OPERATIONS: Final = {
    "get": ("Read", 200, _FILTERS),
    "post": ("Create a resource below", 201, (_CONTENT,)),
    "put": ("Change", 200, (_CONTENT,)),
    "delete": ("Remove", 200, (_CONTENT,)),
}


def tree_paths(prefix: str) -> dict[str, Any]:
    """Below ``prefix``, the base path of the API."""
    base = f"{prefix}/{{tenant}}"
    path = base + _OUTGOING
    places = (*((base + place, what) for place, what in _PLACES), (path, "what waits for a device"))
    found: dict[str, Any] = {
        place: {
            method: _operation(place, method, f"{summary} {what}", status, parameters)
            for method, (summary, status, parameters) in _OPERATIONS.items()
        }
        for place, what in places
    }
    summary = "Send a message to a device: a contentInstance, ty=4"
    sending = _operation(path, "post", summary, 201, (_CONTENT, _PREFER))
    answered = {"description": "What the device answered, with Prefer: wait=N", "content": _json(_RESOURCE)}
    sending["responses"]["200"] = answered
    found[path]["post"] = sending
    return found


def _operation(
    path: str, method: str, summary: str, status: int, parameters: tuple[Parameter, ...]
) -> dict[str, Any]:
    segments = [one[1:-1] for one in path.split("/") if one.startswith("{")]
    in_path = [Parameter(name, STRING, "name or id of a resource", "path", True) for name in segments]
    found: dict[str, Any] = {
        "operationId": "_".join((method, "onem2m", *segments)) + ("_message" if "outgoing" in path else ""),
        "tags": ["oneM2M"],
        "summary": summary,
        "parameters": [
            {
                "name": one.name,
                "in": one.place,
                "required": one.required,
                "schema": one.schema,
                "description": one.meaning,
            }
            for one in (*in_path, *_HEADERS, _RESPONSE, *parameters)
        ],
        "responses": {str(one): _done(one) for one in (status, 202, 204)} | dict(_refusals()),
    }
    if method == "post":
        types = [f"application/json;ty={ty}" for ty in sorted(CREATABLE)]
        found["requestBody"] = {"required": True, "content": {one: {"schema": _RESOURCE} for one in types}}
    elif method == "put":
        found["requestBody"] = {"required": True, "content": _json(_RESOURCE)}
    return found


def _done(status: int) -> dict[str, Any]:
    if status == HTTPStatus.NO_CONTENT:
        return {"description": "As it was asked for, nothing"}
    what = "Where the result will be" if status == HTTPStatus.ACCEPTED else "X-M2M-RSC says what came of it"
    return {"description": what, "content": _json(_RESOURCE)}


def _refusals() -> Iterator[tuple[str, dict[str, Any]]]:
    """By the classes there are: which of them a request meets depends on the resource."""
    statuses = {HTTPStatus(one.status) for one in _classes(OneM2MError) if hasattr(one, "status")}
    for status in sorted(statuses):
        yield str(status.value), {"description": status.phrase, "content": _json(_REFUSAL)}
    for status in map(HTTPStatus, ACCESS):
        content = {PROBLEM: {"schema": ref("Problem")}, **_json(_REFUSAL)}
        yield str(status.value), {"description": status.phrase, "content": content}


def _classes(root: type[OneM2MError]) -> Iterator[type[OneM2MError]]:
    yield root
    for one in root.__subclasses__():
        yield from _classes(one)


def _json(schema: Schema) -> dict[str, Any]:
    return {"application/json": {"schema": schema}, "application/vnd.onem2m-res+json": {"schema": schema}}
