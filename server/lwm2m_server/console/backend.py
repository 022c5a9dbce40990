"""``Backend``: the server's own HTTP API, asked in process with the proof of one session.

No socket is between, everything else is: rights, tenants, limits, the audit log.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import quote, unquote, urlencode

import attrs
import orjson
from starlette.types import ASGIApp, Message

from lwm2m_server.console.proofs import Proof, SignedOut

API: Final = "/api/v1"
ADMIN: Final = "CAdmin"
JSON: Final = "application/json"
_CHUNKS: Final = 16
"""Pieces of an answer that wait to be read."""

Query = Mapping[str, object]


class Refusal(Exception):
    """The API has refused; ``members`` are those of its problem details (RFC 9457)."""

    def __init__(self, status: int, detail: str, members: Mapping[str, Any]) -> None:
        super().__init__(detail)
        self.status, self.detail, self.members = status, detail, members


@attrs.frozen
class Answer:
    """A whole answer."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        return orjson.loads(self.body) if self.body else None


@attrs.frozen
class Open:
    """An answer whose body is still to come."""

    status: int
    headers: Mapping[str, str]
    chunks: AsyncIterator[bytes]


@attrs.frozen
class ServerEvent:
    """One event of a stream (HTML Standard, server-sent events)."""

    event: str
    data: str
    id: str | None

    def json(self) -> Any:
        return orjson.loads(self.data)


class Backend:
    """What a page asks. Every method raises ``Refusal`` for a status of 400 or more, ``SignedOut`` when the
    session's proof is not good any more."""

    def __init__(
        self, app: ASGIApp, proof: Proof, tenant: str | None, origin: str, prefix: str, own: Mapping[str, Any]
    ) -> None:
        """``tenant`` is added to each query; ``origin`` and ``prefix`` are for oneM2M; ``own`` are members of
        the scope of the browser's request that go on (``client``, ``server``, ``scheme``, and ``host``)."""
        self._app, self._proof, self._tenant = app, proof, tenant
        self._origin, self._prefix, self._own = origin, prefix, own

    async def get(self, path: str, **query: object) -> Any:
        """The document below ``/api/v1``. Arguments that are ``None`` or empty are left out."""
        return (await self.call("GET", path, query=query)).json()

    async def send(self, method: str, path: str, document: object = None, query: Query | None = None) -> Any:
        """What the API answers to a JSON document, or to none."""
        headers, body = (
            ({"content-type": JSON}, orjson.dumps(document)) if document is not None else ({}, b"")
        )
        return (await self.call(method, path, query=query or {}, headers=headers, body=body)).json()

    async def call(
        self,
        method: str,
        path: str,
        *,
        query: Query | None = None,
        headers: Mapping[str, str] | None = None,
        body: bytes | AsyncIterator[bytes] = b"",
    ) -> Answer:
        """For what is not JSON, or not small."""
        return await self._ask(method, API + path, self._asked(query or {}), headers or {}, body)

    async def tree(
        self,
        method: str,
        path: str,
        document: object = None,
        *,
        ty: int | None = None,
        query: Query | None = None,
    ) -> Any:
        """A oneM2M request for ``path`` below the tenant; ``ty`` is the resource type to create."""
        body = orjson.dumps(document) if document is not None else b""
        headers = {
            "accept": JSON,
            "x-m2m-origin": self._origin,
            "x-m2m-ri": uuid.uuid4().hex,
            "fullname": "true",
        }
        if body:
            headers["content-type"] = JSON if ty is None else f"{JSON};ty={ty}"
        tenant = quote(self._tenant, safe="") if self._tenant is not None else ""
        place = f"{self._prefix}/{tenant}{path}" if tenant else f"{self._prefix}{path}"
        return (await self._ask(method, place, query or {}, headers, body)).json()

    @asynccontextmanager
    async def open(
        self, path: str, *, headers: Mapping[str, str] | None = None, **query: object
    ) -> AsyncIterator[Open]:
        """The answer to a GET while it comes."""
        pieces: asyncio.Queue[Message] = asyncio.Queue(_CHUNKS)
        scope = await self._scope("GET", API + path, self._asked(query), headers or {})
        over = asyncio.Event()

        async def receive() -> Message:
            await over.wait()
            return {"type": "http.disconnect"}

        async def run() -> None:
            try:
                await self._app(scope, receive, pieces.put)
            finally:
                # An answer that breaks off is at its end.
                await pieces.put({"type": "http.response.body", "body": b""})

        task = asyncio.create_task(run(), name=f"console {path}")
        try:
            start = await pieces.get()
            if start["type"] != "http.response.start":
                await task
                raise Refusal(HTTPStatus.INTERNAL_SERVER_ERROR, "the API gave no answer", {})
            yield await _opened(start, pieces)
        finally:
            over.set()
            task.cancel()
            await asyncio.wait([task])

    async def stream(self, path: str, **query: object) -> AsyncIterator[ServerEvent]:
        """Server-sent events, until the API ends them. It does when the token of the request does: whoever
        wants more asks again."""
        async with self.open(path, headers={"accept": "text/event-stream"}, **query) as answer:
            async for event in _events(answer.chunks):
                yield event

    def _asked(self, query: Query) -> Query:
        return {"tenant": self._tenant, **query} if self._tenant is not None else query

    async def _ask(
        self,
        method: str,
        path: str,
        query: Query,
        headers: Mapping[str, str],
        body: bytes | AsyncIterator[bytes],
    ) -> Answer:
        scope = await self._scope(method, path, query, headers, body)
        pieces: list[Message] = []

        async def send(message: Message) -> None:
            pieces.append(message)

        await self._app(scope, _receiving(body), send)
        start, *rest = pieces
        payload = b"".join(piece.get("body", b"") for piece in rest)
        answer = Answer(start["status"], _read_headers(start), payload)
        _check(answer)
        return answer

    async def _scope(
        self,
        method: str,
        path: str,
        query: Query,
        headers: Mapping[str, str],
        body: bytes | AsyncIterator[bytes] = b"",
    ) -> dict[str, Any]:
        proof = await self._proof.header()
        fields = [
            (b"host", self._own["host"]),
            *((k.encode(), v.encode("latin-1")) for k, v in headers.items()),
        ]
        if proof is not None:
            fields.append((b"authorization", proof))
        if isinstance(body, bytes):
            fields.append((b"content-length", str(len(body)).encode("ascii")))
        return {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": method,
            "scheme": self._own["scheme"],
            "path": unquote(path),
            "raw_path": path.encode("ascii"),
            "query_string": _query_string(query),
            "root_path": "",
            "headers": fields,
            "client": self._own["client"],
            "server": self._own["server"],
            "state": {},
        }


def segment(name: object) -> str:
    """A name as one segment of a path."""
    return quote(str(name), safe=":")


def _query_string(query: Query) -> bytes:
    pairs = [(key, one) for key, value in query.items() for one in _values(value)]
    return urlencode(pairs).encode("ascii")


def _values(value: object) -> list[str]:
    if value is None or value == "":
        return []
    if isinstance(value, bool):
        return ["true" if value else "false"]
    if isinstance(value, (list, tuple)):
        return [str(one) for one in value]
    return [str(value)]


def _receiving(body: bytes | AsyncIterator[bytes]) -> Any:
    """The ASGI channel of a request's body."""
    chunks = _one(body) if isinstance(body, bytes) else body
    done = False

    async def receive() -> Message:
        nonlocal done
        if done:
            # Who asks waits for the answer; it does not go away.
            await asyncio.Event().wait()
        chunk = await anext(chunks, None)
        done = chunk is None
        return {"type": "http.request", "body": chunk or b"", "more_body": not done}

    return receive


async def _one(body: bytes) -> AsyncIterator[bytes]:
    if body:
        yield body


async def _opened(start: Message, pieces: asyncio.Queue[Message]) -> Open:
    """Raises ``Refusal``."""

    async def chunks() -> AsyncIterator[bytes]:
        while True:
            piece = await pieces.get()
            if piece.get("body"):
                yield piece["body"]
            if not piece.get("more_body"):
                return

    answer = Open(start["status"], _read_headers(start), chunks())
    if answer.status >= HTTPStatus.BAD_REQUEST:
        _check(Answer(answer.status, answer.headers, b"".join([one async for one in answer.chunks])))
    return answer


def _read_headers(start: Message) -> dict[str, str]:
    return {key.decode("latin-1").lower(): value.decode("latin-1") for key, value in start["headers"]}


def _check(answer: Answer) -> None:
    """Raises ``Refusal``, ``SignedOut``."""
    if answer.status < HTTPStatus.BAD_REQUEST:
        return
    try:
        document = answer.json()
    except orjson.JSONDecodeError:
        document = None
    members = document if isinstance(document, dict) else {}
    detail = str(members.get("detail") or members.get("m2m:dbg") or HTTPStatus(answer.status).phrase)
    if answer.status == HTTPStatus.UNAUTHORIZED:
        raise SignedOut(detail)
    raise Refusal(answer.status, detail, members)


async def _events(chunks: AsyncIterator[bytes]) -> AsyncIterator[ServerEvent]:
    rest, fields = b"", dict[str, list[str]]()
    async for chunk in chunks:
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            text = line.rstrip(b"\r").decode("utf-8", "replace")
            if text:
                name, _, value = text.partition(":")
                fields.setdefault(name, []).append(value.removeprefix(" "))
            elif fields:
                event, id = fields.get("event", ["message"])[-1], fields.get("id", [None])[-1]
                if "data" in fields:
                    yield ServerEvent(event, "\n".join(fields["data"]), id)
                fields = {}
