"""The ASGI application around everything that is served over HTTP."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.routing import BaseRoute, Mount, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from lwm2m_server.access.callers import OPEN
from lwm2m_server.http.problems import answer_problem
from lwm2m_server.http.rights import ByRole
from lwm2m_server.onem2m.binding import Binding


def everybody(app: ASGIApp) -> ASGIApp:
    """A door that is open: whoever can connect may administer."""

    def serve(scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        scope["caller"] = OPEN
        return app(scope, receive, send)

    return serve


def create_http(
    routes: Sequence[BaseRoute] = (),
    *,
    api: Sequence[BaseRoute] = (),
    tree: Binding | None = None,
    door: Callable[[ASGIApp], ASGIApp] = everybody,
) -> ASGIApp:
    """``api`` lies below ``/api/v1``; the oneM2M ``tree`` answers under every path that no route has. The
    ``door`` is around all of it."""
    rest = [Route("/{path:path}", tree, name="oneM2M")] if tree is not None else []
    app = Starlette(
        routes=[Mount("/api/v1", routes=api, middleware=[Middleware(ByRole)]), *routes, *rest],
        exception_handlers={HTTPException: answer_problem},
    )
    # A path with a slash too many is the tree's to judge, not a redirect.
    app.router.redirect_slashes = False
    if tree is None or not tree.prefix:
        return door(app)
    return door(_shortcut(f"{tree.prefix}/", tree, app))


def _shortcut(prefix: str, inner: ASGIApp, outer: ASGIApp) -> ASGIApp:
    """Nothing but ``inner`` lies below the prefix: asking all routes first would cost more than it does."""

    def serve(scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        is_inner = scope["type"] == "http" and scope["path"].startswith(prefix)
        return (inner if is_inner else outer)(scope, receive, send)

    return serve
