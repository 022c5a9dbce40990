"""The Starlette application around all routes."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.routing import BaseRoute, Mount

from lwm2m_server.http.problems import answer_problem


def create_http(routes: Sequence[BaseRoute], *, api: Sequence[BaseRoute] = ()) -> Starlette:
    """``api`` lies below ``/api/v1``. Of ``routes`` the oneM2M tree comes last: it answers under any path."""
    app = Starlette(
        routes=[Mount("/api/v1", routes=api), *routes],
        exception_handlers={HTTPException: answer_problem},
    )
    # A path with a slash too many is the tree's to judge, not a redirect.
    app.router.redirect_slashes = False
    return app
