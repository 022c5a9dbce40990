"""Who may do what below ``/api/v1``: read to look, operate to change, more where an endpoint asks for it."""

from __future__ import annotations

from collections.abc import Awaitable
from http import HTTPStatus
from typing import Final

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from lwm2m_server.access.callers import OPEN, Caller, Role
from lwm2m_server.http.problems import Problem, answer_problem

_LOOKING: Final = frozenset(("GET", "HEAD", "OPTIONS"))
_OF_THE_SYSTEM: Final = ("tenants", "clients", "audit", "signing-key", "models", "plugins", "problems")
"""First segments of paths below ``/api/v1`` that the role ``system`` is for."""


def caller_of(request: Request) -> Caller:
    """Who makes a request."""
    caller: Caller = request.scope["caller"]
    return caller


def tenant_of(request: Request, default: str, role: Role | None = None) -> str:
    """The query argument ``tenant``, or the caller's own. Raises ``Problem`` if it is not the caller's, or
    they have not this role there: by default what the method asks for."""
    caller = caller_of(request)
    asked = request.query_params.get("tenant") or caller.tenant or default
    needed = role or needed_for(request.method)
    if not caller.may(needed, asked):
        raise refusal(caller, needed, asked)
    return asked


def need_system(request: Request) -> None:
    """Raises ``Problem``."""
    if not caller_of(request).is_system:
        raise Problem(HTTPStatus.FORBIDDEN, "this takes the role system")


def needed_for(method: str) -> Role:
    return Role.READ if method in _LOOKING else Role.OPERATE


def refusal(caller: Caller, role: Role, tenant: str) -> Problem:
    """Says nothing about tenants that are not the caller's."""
    if caller.may(Role.READ, tenant):
        return Problem(HTTPStatus.FORBIDDEN, f"this takes the role {role.name.lower()}")
    return Problem(HTTPStatus.FORBIDDEN, f"{caller.client} does not belong to the tenant {tenant[:80]!r}")


class ByRole:
    """Around the API: no endpoint is reached without the role its method takes, in some tenant."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        if scope["type"] == "http":
            caller: Caller = scope["caller"]
            if caller.role is Role.SYSTEM and not _is_of_the_system(scope):
                return _refuse(
                    "the role system is for tenants, clients, models, plugins and problems of all tenants",
                    scope,
                    receive,
                    send,
                )
            if caller is not OPEN and caller.role < needed_for(scope["method"]):
                return _refuse("this takes the role operate", scope, receive, send)
        return self._app(scope, receive, send)


def _is_of_the_system(scope: Scope) -> bool:
    below = scope["path"].removeprefix(scope.get("root_path", "")).strip("/")
    return below.split("/")[0] in _OF_THE_SYSTEM


async def _refuse(detail: str, scope: Scope, receive: Receive, send: Send) -> None:
    answer = await answer_problem(Request(scope), Problem(HTTPStatus.FORBIDDEN, detail))
    await answer(scope, receive, send)
