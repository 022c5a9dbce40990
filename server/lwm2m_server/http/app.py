"""The ASGI application around everything that is served over HTTP."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Collection, Sequence
from http import HTTPStatus

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match, Mount, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from lwm2m_server.access.callers import OPEN
from lwm2m_server.http.problems import answer_fault, answer_problem
from lwm2m_server.http.rights import ByRole
from lwm2m_server.onem2m.binding import Binding


def everybody(app: ASGIApp) -> ASGIApp:
    """A door that is open: whoever can connect may administer."""

    def serve(scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        scope["caller"] = OPEN
        return app(scope, receive, send)

    return serve


def create_http(
    routes: Sequence[Route] = (),
    *,
    api: Sequence[Route] = (),
    tree: Binding | None = None,
    door: Callable[[ASGIApp], ASGIApp] = everybody,
) -> ASGIApp:
    """``api`` lies below ``/api/v1``; the oneM2M ``tree`` answers under every path that no route has. The
    ``door`` is around all of it."""
    api = [*_claims(api), *api]
    rest = [_Tree(tree, [route.path_regex for route in routes])] if tree is not None else []

    async def refuse(request: Request, error: Exception) -> Response:
        if isinstance(error, HTTPException) and error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
            siblings = api if request.scope["root_path"] else routes
            error.headers = {"allow": ", ".join(_methods(siblings, request.scope))}
        return await answer_problem(request, error)

    app = Starlette(
        routes=[Mount("/api/v1", routes=api, middleware=[Middleware(ByRole)]), *routes, *rest],
        exception_handlers={HTTPException: refuse, Exception: answer_fault},
    )
    # A path with a slash too many is the tree's to judge, not a redirect.
    app.router.redirect_slashes = False
    if tree is None or not tree.prefix:
        return door(app)
    return door(_shortcut(f"{tree.prefix}/", tree, app))


class _Tree(Route):
    """Under every path but those of other routes, whatever the method."""

    def __init__(self, tree: Binding, others: Collection[re.Pattern[str]]) -> None:
        super().__init__("/{path:path}", tree, name="oneM2M")
        self._others = others

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        is_other = any(other.match(scope["path"]) for other in self._others)
        return (Match.NONE, {}) if is_other else super().matches(scope)


class _Claim(Route):
    """A path without parameters, for methods that it has not: what is asked with those is refused, rather
    than taken for a path with parameters. It is how OpenAPI 3.1 reads paths (4.8.8.1)."""

    def __init__(self, path: str, served: Collection[str]) -> None:
        super().__init__(path, self)
        self._served = served

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        is_served = scope["type"] == "http" and scope["method"] in self._served
        return (Match.NONE, {}) if is_served else super().matches(scope)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        raise HTTPException(HTTPStatus.METHOD_NOT_ALLOWED)


def _claims(routes: Sequence[Route]) -> list[_Claim]:
    """Of paths that would be taken for others."""
    served: dict[str, set[str]] = {}
    for route in routes:
        served.setdefault(route.path, set()).update(route.methods or ())
    patterns = {route.path: route.path_regex for route in routes if route.param_convertors}
    plain = [path for path in served if path not in patterns]
    return [
        _Claim(path, served[path])
        for path in plain
        if any(pattern.match(path) for pattern in patterns.values())
    ]


def _methods(routes: Sequence[Route], scope: Scope) -> list[str]:
    """What may be done at a path, by all routes together that have it."""
    found = [route for route in routes if route.matches(scope)[0] is not Match.NONE]
    same = (route.methods or () for route in found if route.path == found[0].path)
    return sorted({method for methods in same for method in methods})


def _shortcut(prefix: str, inner: ASGIApp, outer: ASGIApp) -> ASGIApp:
    """Nothing but ``inner`` lies below the prefix: asking all routes first would cost more than it does."""

    def serve(scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        is_inner = scope["type"] == "http" and scope["path"].startswith(prefix)
        return (inner if is_inner else outer)(scope, receive, send)

    return serve
