"""The Starlette application around all routes."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.routing import BaseRoute

from lwm2m_server.http.problems import answer_problem


def create_http(routes: Sequence[BaseRoute]) -> Starlette:
    """``routes`` in order; the oneM2M tree, which answers under any path, comes last."""
    app = Starlette(routes=routes, exception_handlers={HTTPException: answer_problem})
    # A path with a slash too many is the tree's to judge, not a redirect.
    app.router.redirect_slashes = False
    return app
