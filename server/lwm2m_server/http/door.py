"""The door of the HTTP server: who makes a request is known before anything else looks at it.

Where no clients are configured everybody on this machine may administer; then requests must mean this
server by name (``hosts``), as a web page could make a browser send them.
"""

from __future__ import annotations

import ipaddress
import time
from collections.abc import Awaitable, Collection
from http import HTTPStatus
from math import ceil
from typing import Final
from urllib.parse import parse_qs

import orjson
import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lwm2m_server.access.audit import Audit
from lwm2m_server.access.authentication import Access, Proven
from lwm2m_server.access.callers import NOBODY, OPEN, Caller
from lwm2m_server.access.tokens import Unauthenticated
from lwm2m_server.http.hosts import only_for
from lwm2m_server.logs import Ration
from lwm2m_server.onem2m.addresses import parse_address
from lwm2m_server.onem2m.errors import BadRequest
from lwm2m_server.settings import Settings

API: Final = "/api/"
PUBLIC: Final = frozenset(("/auth/token", "/healthz", "/readyz", "/openapi.json"))
"""Paths for everybody: they tell nothing about anybody."""
DOWNLOADS: Final = "/p/"
"""Below it everything goes by tokens of its own, for devices."""
METRICS: Final = "/metrics"
"""For everybody on this machine, and for the system: it counts what all tenants do."""
_ACTIONS: Final = {"POST": "create", "PUT": "update", "PATCH": "update", "DELETE": "delete"}
_NO_PRIVILEGE: Final = b"4103"

_log = structlog.get_logger(__name__)


class _Over(Exception):
    """The caller may hear no more."""


class Door:
    """The ASGI application around all others. ``scope["caller"]`` is whom they serve."""

    def __init__(self, app: ASGIApp, access: Access, audit: Audit, settings: Settings) -> None:
        self._app = app
        self._guarded = only_for((settings.http.host, *settings.http_hosts), app)
        self._access, self._audit = access, audit
        self._prefix, self._default_tenant = settings.http_prefix, settings.tenant
        self._ration = Ration()

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        if scope["type"] != "http":
            return self._app(scope, receive, send)
        access = self._access
        if access.is_open:
            return self._enter(None, OPEN, self._guarded, scope, receive, send)
        path: str = scope["path"]
        if path in PUBLIC or path.startswith(DOWNLOADS) or (scope["path"] == METRICS and is_neighbour(scope)):
            scope["caller"] = NOBODY
            return self._app(scope, receive, send)
        header = _header(scope, b"authorization")
        if header is None:
            return _refuse(scope, send, None)
        now = time.monotonic()
        proven = access.remembered(header, now)
        if proven is None:
            return self._prove(header, scope, receive, send)
        return self._admit(header, proven, now, scope, receive, send)

    async def _prove(self, header: bytes, scope: Scope, receive: Receive, send: Send) -> None:
        """Of a header that nobody sent lately."""
        try:
            proven = await self._access.prove(header)
        except Unauthenticated as error:
            self._tell(scope, error)
            await _refuse(scope, send, str(error))
            return
        await self._admit(header, proven, time.monotonic(), scope, receive, send)

    def _admit(
        self, header: bytes, proven: Proven, now: float, scope: Scope, receive: Receive, send: Send
    ) -> Awaitable[None]:
        if scope["path"] == METRICS and not proven.caller.is_system:
            return _answer(scope, send, HTTPStatus.FORBIDDEN, "figures of all tenants: the role system", [])
        if proven.bucket is not None and (wait := proven.bucket.take(now)):
            return _too_many(scope, send, wait)
        return self._enter(header, proven.caller, self._app, scope, receive, send)

    def _enter(
        self,
        header: bytes | None,
        caller: Caller,
        app: ASGIApp,
        scope: Scope,
        receive: Receive,
        send: Send,
    ) -> Awaitable[None]:
        scope["caller"] = caller
        action = _ACTIONS.get(scope["method"])
        if action is not None and scope["path"] not in PUBLIC:
            send = self._noting(caller, action, scope, send)
        elif action is None and scope["path"].startswith(API):
            return self._while_good(header, app, scope, receive, send)
        return app(scope, receive, send)

    async def _while_good(
        self, header: bytes | None, app: ASGIApp, scope: Scope, receive: Receive, send: Send
    ) -> None:
        """Answers may be streams without end: they end when their caller's token does."""

        async def lasting(message: Message) -> None:
            if message.get("more_body") and not await self._is_good(header):
                await send({"type": "http.response.body", "body": b""})
                raise _Over
            await send(message)

        try:
            await app(scope, receive, lasting)
        except* _Over:
            pass

    async def _is_good(self, header: bytes | None) -> bool:
        if header is None:
            return self._access.is_open
        if self._access.is_open or self._access.remembered(header, time.monotonic()) is not None:
            return True
        try:
            await self._access.prove(header)
        except Unauthenticated:
            return False
        return True

    def _noting(self, caller: Caller, action: str, scope: Scope, send: Send) -> Send:
        """Every change goes into the audit log, with what came of it; before the caller hears of it."""
        path, method = scope["path"], scope["method"]

        async def noting(message: Message) -> None:
            if message["type"] == "http.response.start":
                facts = {"method": method}
                created = _value(message["headers"], b"content-location")
                if created is not None:
                    facts["created"] = created.decode("latin-1")
                origin = _header(scope, b"x-m2m-origin")
                self._audit.note(
                    caller,
                    action,
                    path,
                    message["status"],
                    tenant=self._whose(caller, scope),
                    origin=origin.decode("latin-1") if origin is not None else None,
                    **facts,
                )
            await send(message)

        return noting

    def _whose(self, caller: Caller, scope: Scope) -> str | None:
        """Of callers with several tenants the one that the request names."""
        if caller is not OPEN and not caller.more_tenants:
            return caller.tenant
        asked = self._named(scope)
        return asked if caller is OPEN or asked in caller.more_tenants else caller.tenant

    def _named(self, scope: Scope) -> str:
        """The tenant that a request names, or the server's own."""
        if scope["path"].startswith(API):
            return _query(scope, "tenant") or self._default_tenant
        try:
            address = parse_address(scope["path"], self._prefix, self._default_tenant)
        except BadRequest:
            return self._default_tenant
        return address.tenant or self._default_tenant

    def _tell(self, scope: Scope, error: Unauthenticated) -> None:
        left_out = self._ration.take(time.monotonic())
        if left_out is not None:
            _log.warning("token refused", peer=_address(scope), reason=str(error), left_out=left_out)


def is_neighbour(scope: Scope) -> bool:
    """Whether it comes from this machine, and not by way of a proxy on it."""
    if _header(scope, b"x-forwarded-for") is not None or _header(scope, b"forwarded") is not None:
        return False
    try:
        return ipaddress.ip_address(_address(scope)).is_loopback
    except ValueError:
        return False


def _header(scope: Scope, name: bytes) -> bytes | None:
    return _value(scope["headers"], name)


def _value(headers: Collection[tuple[bytes, bytes]], name: bytes) -> bytes | None:
    for key, value in headers:
        if key == name:
            return value
    return None


def _query(scope: Scope, name: str) -> str:
    query: bytes = scope["query_string"]
    return parse_qs(query.decode("latin-1")).get(name, [""])[0]


def _address(scope: Scope) -> str:
    client = scope.get("client")
    return str(client[0]) if client else ""


def _refuse(scope: Scope, send: Send, reason: str | None) -> Awaitable[None]:
    """RFC 6750, 3: no error is named to who sent no token."""
    challenge = 'Bearer realm="lwm2m"'
    if reason is not None:
        quotable = "".join(one for one in reason if " " <= one <= "~" and one not in '"\\')
        challenge += f', error="invalid_token", error_description="{quotable[:200]}"'
    headers = [(b"www-authenticate", challenge.encode("ascii"))]
    return _answer(
        scope, send, HTTPStatus.UNAUTHORIZED, reason or "a token is due: POST /auth/token", headers
    )


def _too_many(scope: Scope, send: Send, wait: float) -> Awaitable[None]:
    seconds = max(1, ceil(wait))
    headers = [(b"retry-after", str(seconds).encode("ascii"))]
    return _answer(scope, send, HTTPStatus.TOO_MANY_REQUESTS, "more requests than allowed", headers)


async def _answer(
    scope: Scope, send: Send, status: HTTPStatus, detail: str, headers: list[tuple[bytes, bytes]]
) -> None:
    """As problem details below ``/api``, else as oneM2M has it."""
    if scope["path"].startswith(API):
        media_type = b"application/problem+json"
        body = {"type": "about:blank", "title": status.phrase, "status": int(status), "detail": detail}
    else:
        media_type, body = b"application/json", {"m2m:dbg": detail}
        headers.append((b"x-m2m-rsc", _NO_PRIVILEGE))
        if (request_id := _header(scope, b"x-m2m-ri")) is not None:
            headers.append((b"x-m2m-ri", request_id))
    payload = b"" if scope["method"] == "HEAD" else orjson.dumps(body)
    headers += [
        (b"content-type", media_type),
        (b"content-length", str(len(payload)).encode("ascii")),
        (b"cache-control", b"no-store"),
    ]
    await send({"type": "http.response.start", "status": int(status), "headers": headers})
    await send({"type": "http.response.body", "body": payload})
