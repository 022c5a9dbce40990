"""Bodies of requests below ``/api/v1``."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, Final

import orjson
from starlette.requests import Request

from lwm2m_server.http.problems import Problem

MAX_BODY: Final = 65_536


async def read_json(request: Request, most: int = MAX_BODY) -> Any:
    """The body as JSON; raises ``Problem`` for what is none, and for more than ``most`` bytes."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > most:
            raise Problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"the body is larger than {most} bytes")
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise Problem(HTTPStatus.BAD_REQUEST, f"the body is not JSON: {error}") from error
