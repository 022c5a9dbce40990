"""``Console``: the ASGI application around the API. Below ``/console`` are pages, all else is the API's."""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from contextlib import AsyncExitStack
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import quote

import structlog
from starlette.applications import Starlette
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lwm2m_server.access.callers import OPEN, Caller
from lwm2m_server.access.opening import AccessControl
from lwm2m_server.console.applications import ApplicationPages
from lwm2m_server.console.assets import send_asset
from lwm2m_server.console.audit import AuditPages
from lwm2m_server.console.backend import ADMIN, Backend, Refusal
from lwm2m_server.console.campaigns import CampaignPages
from lwm2m_server.console.choosing import ChoicePages
from lwm2m_server.console.clients import ClientPages
from lwm2m_server.console.creating import CreatingPages
from lwm2m_server.console.device.routes import device_routes
from lwm2m_server.console.devices import FleetPages
from lwm2m_server.console.enrolment import EnrolmentPages
from lwm2m_server.console.groups import GroupPages
from lwm2m_server.console.home import HomePages
from lwm2m_server.console.importing import ImportPages
from lwm2m_server.console.models import ModelPages
from lwm2m_server.console.packages import PackagePages
from lwm2m_server.console.pages import HOME, SECURITY, SIGN_IN, is_htmx, page, part
from lwm2m_server.console.plugins import PluginPages
from lwm2m_server.console.problems import ProblemPages
from lwm2m_server.console.profiles.listing import ProfilePages
from lwm2m_server.console.proofs import NoProof, SignedOut
from lwm2m_server.console.rules import RulePages
from lwm2m_server.console.sessions import COOKIE, Session, Sessions
from lwm2m_server.console.signing_in import SigningIn, set_cookie
from lwm2m_server.console.updates import UpdatePages
from lwm2m_server.console.viewer import THEME, THEMES, Viewer
from lwm2m_server.console.webhooks import WebhookPages
from lwm2m_server.http.hosts import only_for
from lwm2m_server.settings import Settings

_FREE: Final = ("/static/", "/sign-in")
"""What is below ``/console`` for those who are not signed in."""

BY_ITSELF: Final = "x-by-itself"
"""Header of what an open page asks now and then, whoever looks at it or not."""

_log = structlog.get_logger(__name__)


def _routes() -> list[Route]:
    """Of all pages, below ``/console``."""
    return [
        *HomePages().routes(),
        *FleetPages().routes(),
        *ChoicePages().routes(),
        *CreatingPages().routes(),
        *ImportPages().routes(),
        *EnrolmentPages().routes(),
        *RulePages().routes(),
        *device_routes(),
        *PluginPages().routes(),
        *ModelPages().routes(),
        *ApplicationPages().routes(),
        *GroupPages().routes(),
        *WebhookPages().routes(),
        *ClientPages().routes(),
        *AuditPages().routes(),
        *ProfilePages().routes(),
        *ProblemPages().routes(),
        *PackagePages().routes(),
        *CampaignPages().routes(),
        *UpdatePages().routes(),
    ]


class Console:
    """Says who looks before a page is asked."""

    def __init__(self, api: ASGIApp, control: AccessControl, settings: Settings) -> None:
        self._api, self._control, self._settings = api, control, settings
        self._sessions = Sessions(settings.console.idle)
        inner = _application([*SigningIn(self._sessions, control).routes(), *_routes()])
        self._pages = _Entrance(inner, self._enter)
        self._guarded = only_for((settings.http.host, *settings.http_hosts), self._pages)

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        if scope["type"] != "http" or not self._settings.console.enabled:
            return self._api(scope, receive, send)
        path: str = scope["path"]
        if path.startswith("/console/"):
            app = self._guarded if self._control.access.is_open else self._pages
            return app(scope, receive, send)
        if path == "/console" or (path == "/" and _is_browser(scope)):
            return RedirectResponse(HOME, HTTPStatus.FOUND)(scope, receive, send)
        return self._api(scope, receive, send)

    async def _enter(self, request: Request) -> str | None:
        """Find the viewer. The value of a cookie to be set, if any. Raises ``SignedOut``."""
        value = request.cookies.get(COOKIE)
        session = self._sessions.find(value, is_use=BY_ITSELF not in request.headers) if value else None
        begun = None
        if session is None:
            if not self._control.access.is_open:
                raise SignedOut("sign in first" if value is None else "the session is over; sign in again")
            begun, session = self._sessions.begin(NoProof(self._control.access))
        try:
            caller = await session.proof.caller()
        except SignedOut:
            self._sessions.end(value or "")
            raise
        request.scope["viewer"] = self._viewer(request, session, caller)
        return begun

    def _viewer(self, request: Request, session: Session, caller: Caller) -> Viewer:
        tenant = session.tenant or caller.tenant
        if caller is OPEN:
            tenant = tenant or self._settings.tenant
        own = {
            "client": request.scope.get("client"),
            "server": request.scope.get("server"),
            "scheme": request.scope["scheme"],
            "host": request.headers.get("host", "localhost").encode("latin-1"),
        }
        origin = min(caller.origins) if caller.origins else ADMIN
        api = Backend(self._api, session.proof, tenant, origin, self._settings.http_prefix, own)
        theme = request.cookies.get(THEME)
        return Viewer(caller, session, api, tenant, theme if theme in THEMES else THEMES[0])


class _Entrance:
    """Around all pages: nobody gets in without a session, nothing gets out without its headers."""

    def __init__(self, app: ASGIApp, enter: Any) -> None:
        self._app, self._enter = app, enter

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        begun = None
        if not scope["path"].removeprefix("/console").startswith(_FREE):
            try:
                begun = await self._enter(request)
            except SignedOut as error:
                await _sign_in(request, error)(scope, receive, send)
                return

        async def dressed(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in SECURITY.items():
                    headers.setdefault(name, value)
                headers.setdefault("cache-control", "no-store")
                if begun is not None:
                    cookie = Response()
                    set_cookie(cookie, request, begun)
                    headers.append("set-cookie", cookie.headers["set-cookie"])
            await send(message)

        async with AsyncExitStack() as closing:
            scope["closing"] = closing
            await self._app(scope, receive, dressed)


def _application(routes: Sequence[BaseRoute]) -> ASGIApp:
    static = Route("/static/{name:path}", send_asset, methods=["GET"])
    app = Starlette(
        routes=[Mount("/console", routes=[static, *routes])],
        exception_handlers={
            Refusal: _show_refusal,
            SignedOut: _show_signed_out,
            HTTPException: _show_problem,
            Exception: _show_fault,
        },
    )
    app.router.redirect_slashes = False
    return app


async def _show_refusal(request: Request, error: Exception) -> Response:
    assert isinstance(error, Refusal)
    return await _error(request, error.status, error.detail)


async def _show_problem(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    known = {HTTPStatus.NOT_FOUND: "There is no such page."}
    detail = error.detail if error.detail != HTTPStatus(error.status_code).phrase else ""
    return await _error(request, error.status_code, detail or known.get(HTTPStatus(error.status_code), ""))


async def _show_fault(request: Request, error: Exception) -> Response:
    _log.error("a page failed", method=request.method, path=request.scope["path"], exc_info=error)
    return await _error(request, HTTPStatus.INTERNAL_SERVER_ERROR, "This is our fault; the log says more.")


async def _show_signed_out(request: Request, error: Exception) -> Response:
    assert isinstance(error, SignedOut)
    return _sign_in(request, error)


async def _error(request: Request, status: int, detail: str) -> Response:
    facts: dict[str, Any] = {"code": int(status), "title": HTTPStatus(status).phrase, "detail": detail}
    if is_htmx(request):
        # Told where all pages tell such things, whatever the fragment was for.
        headers = {"hx-retarget": "#notices", "hx-reswap": "beforeend"}
        return await part(request, "error_notice.html", status=status, headers=headers, **facts)
    return await page(request, "error.html", status=status, **facts)


def _sign_in(request: Request, error: SignedOut) -> Response:
    """To sign in, and back to where one was."""
    wanted = request.headers.get("hx-current-url") if is_htmx(request) else str(request.url)
    path = (wanted or "").partition("//")[2].partition("/")[2] if request.method == "GET" else ""
    target = f"{SIGN_IN}?next={quote('/' + path)}" if path else SIGN_IN
    if is_htmx(request):
        return Response(headers={"hx-redirect": target, **SECURITY})
    return RedirectResponse(target, HTTPStatus.SEE_OTHER, {"cache-control": "no-store", **SECURITY})


def _is_browser(scope: Scope) -> bool:
    """A person, not a program that asks for the root of the oneM2M tree."""
    accept = next((value for name, value in scope["headers"] if name == b"accept"), b"")
    return scope["method"] in ("GET", "HEAD") and b"text/html" in accept
