"""``/openapi.json``: the HTTP surface in OpenAPI 3.1, put together from what the routes say of themselves."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from http import HTTPStatus
from importlib.metadata import version
from typing import Any, Final

import orjson
import structlog
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from lwm2m_server.http.describing import (
    STRING,
    Operation,
    Parameter,
    Schema,
    described,
    obj,
    operation_of,
    ref,
)
from lwm2m_server.http.schemas import COMPONENTS

API: Final = "/api/v1"
PROBLEM: Final = "application/problem+json"
ALWAYS: Final = (401, 403, 404, 405, 421, 429)
"""What any request may be answered with that is not public: whoever asks for what is not theirs or not there,
in the name of another host, or too often."""
METHODS: Final = ("GET", "PUT", "POST", "DELETE", "PATCH")

_SEGMENT: Final = re.compile(r"\{(\w+)(?::\w+)?\}")
_SECURITY: Final = {
    "token": {
        "type": "oauth2",
        "description": "JWT of this server, or of a trusted issuer",
        "flows": {"clientCredentials": {"tokenUrl": "/auth/token", "scopes": {}}},
    },
    "key": {"type": "http", "scheme": "bearer", "description": "API key"},
}


_log = structlog.get_logger(__name__)


def openapi_route(routes: Sequence[Route], api: Sequence[Route], tree: Mapping[str, Any]) -> Route:
    """``api`` lies below ``/api/v1``; ``tree`` has the paths of the oneM2M API.

    A route that does not say what it does is left out, and the log tells.
    """

    @described("This document", answers={200: obj("openapi paths")}, is_public=True)
    async def show(request: Request) -> Response:
        headers = {"cache-control": "no-cache"}
        return Response(payload, headers=headers, media_type="application/json")

    route = Route("/openapi.json", show, methods=["GET"])
    payload = orjson.dumps(document([*routes, route], api, tree))
    return route


def document(routes: Sequence[Route], api: Sequence[Route], tree: Mapping[str, Any]) -> dict[str, Any]:
    """The whole."""
    paths: dict[str, dict[str, Any]] = {}
    for prefix, group in ((API, api), ("", routes)):
        for route in group:
            path = prefix + _SEGMENT.sub(r"{\1}", route.path)
            paths.setdefault(path, {}).update(_methods(path, route, prefix))
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "LwM2M server",
            "version": version("lwm2m-engine"),
            "description": "Devices by oneM2M (TS-0009), and what oneM2M has no word for below /api/v1.",
        },
        "security": [{}, *({name: []} for name in _SECURITY)],
        "paths": {**tree, **paths},
        "components": {"schemas": COMPONENTS, "securitySchemes": _SECURITY},
    }


def _methods(path: str, route: Route, prefix: str) -> Iterator[tuple[str, dict[str, Any]]]:
    for method in sorted((route.methods or set()) & set(METHODS)):
        operation = operation_of(route.endpoint, method)
        if operation is None:
            _log.error("route without description", method=method, path=path)
            continue
        yield method.lower(), _operation(path, route, method, operation, prefix)


def _operation(path: str, route: Route, method: str, operation: Operation, prefix: str) -> dict[str, Any]:
    in_path = [Parameter(name, STRING, "", "path", True) for name in _SEGMENT.findall(route.path)]
    found: dict[str, Any] = {
        "operationId": "_".join([method.lower(), *re.findall(r"\w+", path)]),
        "tags": [path.removeprefix(prefix).split("/")[1].partition(".")[0]],
        "summary": operation.summary,
        "parameters": [_parameter(one) for one in (*in_path, *operation.parameters)],
        "responses": dict(_answers(operation)),
    }
    if operation.body:
        found["requestBody"] = {"required": True, "content": _content(operation.body)}
    if operation.is_public:
        found["security"] = []
    return found


def _parameter(one: Parameter) -> dict[str, Any]:
    return {
        "name": one.name,
        "in": one.place,
        "required": one.required,
        "schema": one.schema,
        "description": one.meaning,
    }


def _answers(operation: Operation) -> Iterator[tuple[str, dict[str, Any]]]:
    more = dict(operation.more)
    for status, schema in operation.answers.items():
        bodies = {operation.media_type: schema} if schema is not None else {}
        yield str(status), _answer(status, {**bodies, **more})
        more = {}
    always = () if operation.is_public else ALWAYS
    for status in sorted({*operation.problems, *always} - operation.answers.keys()):
        own = operation.fault if status in operation.problems else None
        fault = {PROBLEM: ref("Problem")} if own is None else {operation.media_type: own}
        yield str(status), _answer(status, fault)


def _answer(status: int, bodies: Mapping[str, Schema]) -> dict[str, Any]:
    described = {"description": HTTPStatus(status).phrase}
    return {**described, "content": _content(bodies)} if bodies else described


def _content(bodies: Mapping[str, Schema]) -> dict[str, Any]:
    return {media_type: {"schema": schema} for media_type, schema in bodies.items()}
