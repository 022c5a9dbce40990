"""oneM2M over HTTP (TS-0009): headers, media types and status codes around ``Onem2m``.

An ASGI application rather than endpoints of a framework: it serves one tree under any path, and its
overhead is part of every request.
"""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from functools import lru_cache
from typing import Any, Final, TypeAlias

import attrs
import orjson
import structlog

from lwm2m_server.access.callers import Caller
from lwm2m_server.onem2m.addresses import parse_address
from lwm2m_server.onem2m.answers import Answers, preferred_wait, unless_gone
from lwm2m_server.onem2m.behaviours.context import now
from lwm2m_server.onem2m.bodies import MAX_BODY, MAX_ONBOARDING, read_body
from lwm2m_server.onem2m.errors import (
    BadRequest,
    Expired,
    InternalError,
    NotAcceptable,
    NotAllowed,
    OneM2MError,
    ReleaseNotSupported,
    UnsupportedMediaType,
)
from lwm2m_server.onem2m.moments import seconds_until
from lwm2m_server.onem2m.platform import Onem2m
from lwm2m_server.onem2m.primitives import ACCEPTED, ANSWERED_BY_NOTHING, CREATED, Answer, Primitive
from lwm2m_server.onem2m.queries import (
    CREATE_CONTENT,
    DELETE_CONTENT,
    RETRIEVE_CONTENT,
    UPDATE_CONTENT,
    Content,
    parse_query,
)
from lwm2m_server.onem2m.tree import RELEASES
from lwm2m_server.store.ids import timestamp

Scope: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send: TypeAlias = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Headers: TypeAlias = dict[str, str]

_OPERATIONS: Final[dict[str, tuple[Any, frozenset[Content]]]] = {
    "POST": ("create", CREATE_CONTENT),
    "GET": ("retrieve", RETRIEVE_CONTENT),
    "HEAD": ("retrieve", RETRIEVE_CONTENT),
    "PUT": ("update", UPDATE_CONTENT),
    "DELETE": ("delete", DELETE_CONTENT),
}
_ONBOARDING: Final = ("device-provisioning", "request")
_PLAIN_JSON, _ONEM2M_JSON = "application/json", "application/vnd.onem2m-res+json"
_ONEM2M_MEDIA: Final = "application/vnd.onem2m-"
_ACCEPTABLE: Final = frozenset({"*/*", "application/*", _PLAIN_JSON, _ONEM2M_JSON})
_ALWAYS: Final = (
    (b"cache-control", b"no-cache, no-store, max-age=0, must-revalidate"),
    (b"pragma", b"no-cache"),
    (b"expires", b"0"),
    (b"x-content-type-options", b"nosniff"),
    (b"x-m2m-rvi", RELEASES[-1].encode()),
)
_STATUS: Final = {CREATED: 201, ACCEPTED: 202, ANSWERED_BY_NOTHING: 204}
_log = structlog.get_logger(__name__)


class Binding:
    """The ASGI application: the tree answers under any path, with 404 if need be."""

    def __init__(self, platform: Onem2m, answers: Answers | None = None) -> None:
        """With ``answers`` clients may wait for what devices say."""
        self._platform, self._settings = platform, platform.settings
        self._answers = answers
        self.prefix = platform.settings.http_prefix
        """Base path of the D2C API."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = _headers(scope["headers"])
        request_id = headers.get("x-m2m-ri") or ""
        try:
            request = await self._request(scope, headers, receive)
            answer = await self._platform.answer(request)
            if answer.message is not None and "prefer" in headers:
                answer = await self._awaited(request, answer, scope, receive)
        except OneM2MError as error:
            more = _allowed(scope["method"]) if error.status == NotAllowed.status else ()
            body = {"m2m:dbg": str(error)}
            await _send(send, scope, headers, request_id, error.status, error.rsc, body, more=more)
            return
        except Exception:
            # The last line of defence: the client gets an answer, the log the traceback.
            _log.exception(
                "a oneM2M request failed", method=scope["method"], path=scope["path"], ri=request_id[:100]
            )
            rsc, status = InternalError.rsc, InternalError.status
            await _send(send, scope, headers, request_id, status, rsc, {"m2m:dbg": "internal error"})
            raise
        status = _STATUS.get(answer.rsc, 200)
        await _send(
            send, scope, headers, request_id, status, answer.rsc, answer.body, more=_answer_headers(answer)
        )

    async def _awaited(self, request: Primitive, created: Answer, scope: Scope, receive: Receive) -> Answer:
        """What the device says, if the client prefers to wait and that comes in time."""
        seconds = preferred_wait(_joined(scope["headers"], b"prefer"))
        if not seconds or created.message is None or self._answers is None:
            return created
        seconds = min(seconds, self._settings.messages.longest_wait)
        with self._answers.expected(created.message) as expected:
            row = await unless_gone(expected, receive, seconds)
        answer = self._platform.said(request, row) if row is not None else None
        return created if answer is None else attrs.evolve(answer, waited=seconds)

    async def _request(self, scope: Scope, headers: Headers, receive: Receive) -> Primitive:
        """In the order of checks of TS-0004, 7.3.2, relaxed where the D2C documents are."""
        try:
            operation, contents = _OPERATIONS[scope["method"]]
        except KeyError:
            raise NotAllowed(f"{scope['method'][:20]} is no oneM2M operation") from None
        self._check_envelope(headers)
        expires_in = _expiry(headers)
        caller: Caller = scope["caller"]
        address = parse_address(scope["path"], self.prefix, caller.tenant or self._settings.tenant)
        media_type, ty = _content_type(headers.get("content-type", ""))
        if ty is not None and operation != "create":
            raise BadRequest(f"ty={ty} in the Content-Type belongs to a CREATE (POST) only")
        _check_accept(headers.get("accept", ""))
        query = parse_query(scope["query_string"].decode("latin-1"), contents)
        body: object = None
        if operation in ("create", "update"):
            if media_type not in (_PLAIN_JSON, _ONEM2M_JSON, ""):
                raise UnsupportedMediaType(
                    f"the body is {media_type[:60]}; {_PLAIN_JSON} or {_ONEM2M_JSON} is understood"
                )
            limit = MAX_ONBOARDING if address.names[:2] == _ONBOARDING else MAX_BODY
            body = await read_body(await _read(receive, headers, limit))
        return Primitive(
            operation,
            address,
            headers.get("x-m2m-origin"),
            query,
            caller,
            _wants_long_names(headers),
            ty,
            body,
            headers.get("x-m2m-ri", ""),
            expires_in,
        )

    def _check_envelope(self, headers: Headers) -> None:
        release = headers.get("x-m2m-rvi")
        if release is not None and release not in RELEASES:
            raise ReleaseNotSupported(f"X-M2M-RVI {release[:20]!r} is not one of {', '.join(RELEASES)}")
        if not self._settings.strict:
            return
        for name in ("X-M2M-RI", "X-M2M-Origin"):
            if not headers.get(name.lower()):
                raise BadRequest(f"the header {name} is missing")
        if release is None:
            raise ReleaseNotSupported("the header X-M2M-RVI is missing")


def _expiry(headers: Headers) -> float | None:
    """Seconds from now. Raises ``Expired``, ``BadRequest``."""
    text = headers.get("x-m2m-ret")
    if text is None:
        return None
    seconds = seconds_until("X-M2M-RET", text)
    if seconds <= 0:
        raise Expired(f"X-M2M-RET {text[:40]} is over")
    return seconds


def _wants_long_names(headers: Headers) -> bool | None:
    """``fullName`` decides; else a client of the standard gets short names; else it says nothing."""
    wish = headers.get("fullname", "").strip().lower()
    if wish in ("true", "false"):
        return wish == "true"
    standard = (
        "x-m2m-rvi" in headers
        or _ONEM2M_MEDIA in headers.get("accept", "")
        or _ONEM2M_MEDIA in headers.get("content-type", "")
    )
    return False if standard else None


def _joined(pairs: Iterable[tuple[bytes, bytes]], name: bytes) -> str:
    """A field that may be there several times."""
    return ", ".join(value.decode("latin-1") for key, value in pairs if key == name)


def _headers(pairs: Iterable[tuple[bytes, bytes]]) -> Headers:
    """ASGI promises names in lower case."""
    return {name.decode("latin-1"): value.decode("latin-1") for name, value in pairs}


@lru_cache(maxsize=256)
def _content_type(text: str) -> tuple[str, int | None]:
    """Media type and ``ty``; blanks around ``;`` and ``=`` are tolerated."""
    media_type, *parameters = (part.strip() for part in text.split(";"))
    for parameter in parameters:
        name, _, value = (part.strip() for part in parameter.partition("="))
        if name.lower() == "ty":
            if not (value.isascii() and value.isdigit() and len(value) <= 6):
                raise BadRequest(f"ty={value[:20]} in the Content-Type is not a number")
            return media_type.lower(), int(value)
    return media_type.lower(), None


@lru_cache(maxsize=256)
def _check_accept(text: str) -> None:
    wanted = {part.partition(";")[0].strip().lower() for part in text.split(",")} - {""}
    if wanted and wanted.isdisjoint(_ACCEPTABLE):
        raise NotAcceptable(f"Accept: {text[:60]}; this server answers in {_PLAIN_JSON}")


async def _read(receive: Receive, headers: Headers, limit: int) -> bytes:
    """The whole body. Raises ``BadRequest`` as soon as it is known to be too large."""
    announced = headers.get("content-length", "0")
    too_large = BadRequest(f"the body is larger than {limit} bytes")
    if not announced.isdigit() or int(announced) > limit:
        raise too_large
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise BadRequest("the client went away")
        body += message.get("body", b"")
        if len(body) > limit:
            raise too_large
        if not message.get("more_body", False):
            return bytes(body)


def _allowed(refused: str) -> list[tuple[bytes, bytes]]:
    """What is left of the operations."""
    return [(b"allow", ", ".join(method for method in _OPERATIONS if method != refused).encode())]


def _answer_headers(answer: Answer) -> list[tuple[bytes, bytes]]:
    more = []
    if answer.location is not None:
        more.append((b"content-location", answer.location.encode()))
    if answer.next_offset is not None:
        # Content status "partial", and where to go on, counted from 1 (TS-0009, 6.4.3).
        more += [(b"x-m2m-cts", b"1"), (b"x-m2m-cto", str(answer.next_offset + 1).encode())]
    if answer.waited is not None:
        more.append((b"preference-applied", f"wait={answer.waited}".encode()))
    return more


async def _send(
    send: Send,
    scope: Scope,
    headers: Headers,
    request_id: str,
    status: int,
    rsc: int,
    body: dict[str, Any] | None,
    *,
    more: Iterable[tuple[bytes, bytes]] = (),
) -> None:
    payload = orjson.dumps(body) if body is not None else b""
    media_type = _ONEM2M_JSON if _ONEM2M_JSON in headers.get("accept", "") else _PLAIN_JSON
    fields = [
        *_ALWAYS,
        (b"x-m2m-ri", (request_id or str(uuid.uuid4())).encode("latin-1")),
        (b"x-m2m-rsc", str(rsc).encode()),
        (b"x-m2m-ot", timestamp(now()).encode()),
        (b"content-length", str(len(payload)).encode()),
        *more,
    ]
    if payload:
        fields.append((b"content-type", media_type.encode()))
    await send({"type": "http.response.start", "status": status, "headers": fields})
    await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else payload})
