"""Errors of everything but oneM2M as problem details (RFC 9457)."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from types import MappingProxyType
from typing import Any

import orjson
import structlog
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

_log = structlog.get_logger(__name__)


class Problem(HTTPException):
    """Raised by an endpoint: a status and a sentence, and perhaps more members of problem details."""

    def __init__(self, status: int, detail: str, members: Mapping[str, Any] = MappingProxyType({})) -> None:
        super().__init__(status, detail)
        self.members = members


async def answer_problem(request: Request, error: Exception) -> Response:
    """Exception handler for ``HTTPException``."""
    assert isinstance(error, HTTPException)
    members = error.members if isinstance(error, Problem) else {}
    return _answer(error.status_code, error.detail, error.headers, members)


async def answer_fault(request: Request, error: Exception) -> Response:
    """Exception handler for what nobody foresaw: the client gets an answer, the log the traceback."""
    _log.error("a request failed", method=request.method, path=request.scope["path"], exc_info=error)
    return _answer(HTTPStatus.INTERNAL_SERVER_ERROR, "internal error", None, {})


def _answer(
    status: int, detail: str, headers: Mapping[str, str] | None, members: Mapping[str, Any]
) -> Response:
    title = HTTPStatus(status).phrase
    document = {"type": "about:blank", "title": title, "status": status, "detail": detail, **members}
    return Response(orjson.dumps(document), status, headers, media_type="application/problem+json")
