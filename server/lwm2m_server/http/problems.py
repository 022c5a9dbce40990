"""Errors of everything but oneM2M as problem details (RFC 9457)."""

from __future__ import annotations

from http import HTTPStatus

import orjson
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response


class Problem(HTTPException):
    """Raised by an endpoint: a status and a sentence."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(status, detail)


async def answer_problem(request: Request, error: Exception) -> Response:
    """Exception handler for ``HTTPException``."""
    assert isinstance(error, HTTPException)
    document = {
        "type": "about:blank",
        "title": HTTPStatus(error.status_code).phrase,
        "status": error.status_code,
        "detail": error.detail,
    }
    return Response(
        orjson.dumps(document), error.status_code, error.headers, media_type="application/problem+json"
    )
