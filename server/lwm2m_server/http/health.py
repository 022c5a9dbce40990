"""``/healthz``: the process lives. ``/readyz``: it can do its work, or what is missing."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from lwm2m_server.http.describing import STRING, any_of, described, enum, obj


def health_routes(checks: Callable[[], Mapping[str, str | None]]) -> list[Route]:
    """``checks`` names each thing that must work; its value is ``None``, or the reason it does not."""

    @described("The process lives", answers={200: obj("*", status=enum("ok"))}, is_public=True)
    async def healthz(request: Request) -> Response:
        return _json(200, {"status": "ok"})

    @described(
        "It can do its work, or what is missing",
        answers={
            200: obj("*", status=enum("ready")),
            503: obj("*", status=enum("not ready"), reasons=any_of(STRING)),
        },
        is_public=True,
    )
    async def readyz(request: Request) -> Response:
        failing = {name: reason for name, reason in checks().items() if reason is not None}
        if failing:
            return _json(503, {"status": "not ready", "reasons": failing})
        return _json(200, {"status": "ready"})

    return [Route("/healthz", healthz), Route("/readyz", readyz)]


def _json(status: int, document: object) -> Response:
    return Response(
        orjson.dumps(document), status, {"cache-control": "no-store"}, media_type="application/json"
    )
