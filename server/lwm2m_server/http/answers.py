"""Answers below ``/api/v1``: JSON that nobody keeps, and what a store refuses as the problem it is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http import HTTPStatus

import orjson
from starlette.responses import Response

from lwm2m_server.http.problems import Problem
from lwm2m_server.store.errors import CommitFailed, Conflict, Gone


def json_answer(
    document: object, status: int = HTTPStatus.OK, headers: Mapping[str, str] | None = None
) -> Response:
    return Response(
        orjson.dumps(document),
        status,
        {"cache-control": "no-store", **(headers or {})},
        media_type="application/json",
    )


@contextmanager
def stored() -> Iterator[None]:
    """Raises ``Problem`` for what is not: 404 if it was removed meanwhile, 409 for a name or identity that
    another one has, 503 when the store cannot keep it."""
    try:
        yield
    except Gone as error:
        raise Problem(HTTPStatus.NOT_FOUND, str(error)) from error
    except Conflict as error:
        raise Problem(HTTPStatus.CONFLICT, str(error)) from error
    except CommitFailed as error:
        raise Problem(HTTPStatus.SERVICE_UNAVAILABLE, f"not stored: {error}") from error
