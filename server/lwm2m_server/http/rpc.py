"""``/api/v1/devices/{name}/rpc``: what a device is asked, and what came of it; ``/api/v1/rpc/{id}``."""

from __future__ import annotations

import time
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from lwm2m_engine.coap import Code
from lwm2m_engine.errors import RequestError
from lwm2m_server.http.bodies import read_json
from lwm2m_server.http.describing import (
    ANYTHING,
    BOOLEAN,
    COUNT,
    INTEGER,
    LIMIT,
    OFTEN_TIME,
    STRING,
    TENANT,
    TIME,
    Parameter,
    Schema,
    array,
    described,
    enum,
    nullable,
    obj,
)
from lwm2m_server.http.devices import DeviceFinder, milliseconds, number_of
from lwm2m_server.http.problems import Problem
from lwm2m_server.rpc.call import read_call
from lwm2m_server.rpc.calls import Calls, NotRegistered
from lwm2m_server.rpc.methods import METHODS
from lwm2m_server.settings import RpcSettings
from lwm2m_server.store.errors import CommitFailed, ContainerFull, Gone
from lwm2m_server.store.ids import SECOND, id_of_name
from lwm2m_server.store.records import Device
from lwm2m_server.store.rpc import STATES, Rpc, State
from lwm2m_server.store.transaction import Reader

MAX_ROWS: Final = 1000

RPC: Final = obj(
    "id rpcId device method params state persistent oneway createdAt expiresAt retries attempts notes",
    id=STRING,
    rpcId=STRING,
    device=STRING,
    method=STRING,
    params=ANYTHING,
    state=enum(*STATES),
    persistent=BOOLEAN,
    oneway=BOOLEAN,
    createdAt=TIME,
    sentAt=OFTEN_TIME,
    finishedAt=OFTEN_TIME,
    expiresAt=TIME,
    queuedUntil=TIME,
    retries=COUNT,
    attempts=COUNT,
    retryAt=OFTEN_TIME,
    additionalInfo=ANYTHING,
    notes=array(STRING),
    result=STRING,
    code=STRING,
    value=ANYTHING,
    path=STRING,
    paths=array(STRING),
    entries=array(obj("path", path=STRING, name=nullable(STRING), units=nullable(STRING), at=TIME)),
    observing=BOOLEAN,
    location=STRING,
    error=STRING,
    contentFormat=nullable(INTEGER),
    rawPayload=STRING,
)
_CALL: Final[Schema] = {
    **obj(
        "method",
        method=enum(*METHODS),
        params={"type": ["object", "string", "null"]},
        timeout=nullable({"type": "integer", "minimum": 1000, "description": "milliseconds"}),
        expirationTime=nullable(TIME),
        persistent=nullable(BOOLEAN),
        retries=nullable(COUNT),
        additionalInfo=ANYTHING,
        oneway=nullable(BOOLEAN),
    ),
    "additionalProperties": False,
}
_CHECKED: Final = obj(
    "*",
    device=STRING,
    method=enum(*METHODS),
    messages=array({"type": "object", "description": "a message to the device as applications write it"}),
    notes=array(STRING),
)
_ANSWERS: Final[Mapping[int, Schema | None]] = {200: RPC, 202: RPC}
_PROBLEMS: Final = (409, 415, 429, 502, 503, 504)
_STATUS: Final[Mapping[State, HTTPStatus]] = {
    "TIMEOUT": HTTPStatus.GATEWAY_TIMEOUT,
    "EXPIRED": HTTPStatus.GATEWAY_TIMEOUT,
    "CANCELLED": HTTPStatus.CONFLICT,
    "FAILED": HTTPStatus.BAD_GATEWAY,
}
"""Of an RPC that the device did not answer."""


class RpcApi:
    """Whoever may operate devices may call; whoever may look sees what came of it."""

    def __init__(self, calls: Calls, find: DeviceFinder, reader: Reader, settings: RpcSettings) -> None:
        self._calls, self._find, self._reader, self._settings = calls, find, reader, settings

    def routes(self) -> list[Route]:
        """Below ``/api/v1``."""
        return [
            Route("/devices/{name}/rpc", self.call, methods=["POST"]),
            Route("/devices/{name}/rpc", self.list_calls, methods=["GET"]),
            Route("/devices/{name}/rpc/oneway", self.call_one_way, methods=["POST"]),
            Route("/devices/{name}/rpc/twoway", self.call_two_way, methods=["POST"]),
            Route("/devices/{name}/rpc/check", self.check, methods=["POST"]),
            Route("/rpc/{id}", self.show, methods=["GET"]),
            Route("/rpc/{id}", self.remove, methods=["DELETE"]),
        ]

    @described(
        "Ask a device something: the answer, or that it waits",
        query=(TENANT,),
        body=_CALL,
        answers=_ANSWERS,
        problems=_PROBLEMS,
    )
    async def call(self, request: Request) -> Response:
        return await self._call(request, None)

    @described(
        "The same, without waiting for the answer",
        query=(TENANT,),
        body=_CALL,
        answers=_ANSWERS,
        problems=_PROBLEMS,
    )
    async def call_one_way(self, request: Request) -> Response:
        return await self._call(request, True)

    @described(
        "The same, waiting for the answer",
        query=(TENANT,),
        body=_CALL,
        answers=_ANSWERS,
        problems=_PROBLEMS,
    )
    async def call_two_way(self, request: Request) -> Response:
        return await self._call(request, False)

    @described(
        "Whether a device can be asked this: types, ranges and operations are looked at, nothing is sent",
        query=(TENANT,),
        body=_CALL,
        answers={200: _CHECKED},
        problems=(415,),
    )
    async def check(self, request: Request) -> Response:
        device = self._find(request)
        document = await read_json(request)
        try:
            call = read_call(document, self._settings, time.time())
            plan, notes = self._calls.check(device, call)
        except RequestError as error:
            raise Problem(_status(error.code), error.reason) from error
        found = {"device": device.name, "method": call.method, "messages": plan.messages, "notes": notes}
        return _json(found)

    @described(
        "What a device was asked, the newest first",
        query=(
            TENANT,
            LIMIT,
            Parameter("state", enum(*STATES), "only those in this state"),
            Parameter("after", STRING, "`next` of the page before"),
        ),
        answers={200: obj("device rpcs", device=STRING, rpcs=array(RPC), next=STRING)},
        problems=(400,),
    )
    async def list_calls(self, request: Request) -> Response:
        device = self._find(request)
        limit = max(1, min(number_of(request, "limit", 100), MAX_ROWS))
        state, after = _state(request), request.query_params.get("after")
        before = None if after is None else _id(after)
        found = self._reader.rpcs(device.node, state=state, before=before, limit=limit + 1)
        rows = [shown(rpc, device) for rpc in found[:limit]]
        more = {"next": found[limit - 1].name} if len(found) > limit else {}
        return _json({"device": device.name, "rpcs": rows, **more})

    @described("An RPC, and what came of it", query=(TENANT,), answers={200: RPC})
    async def show(self, request: Request) -> Response:
        return _json(shown(*self._rpc(request)))

    @described(
        "Take it back if it waits, else forget it",
        query=(TENANT,),
        answers={200: RPC, 204: None},
        problems=(503,),
    )
    async def remove(self, request: Request) -> Response:
        rpc, device = self._rpc(request)
        try:
            if not rpc.waits:
                await self._calls.forget(rpc)
                return Response(status_code=HTTPStatus.NO_CONTENT)
            ended = await self._calls.cancel(rpc)
        except CommitFailed as error:
            raise _not_stored(error) from error
        return _json(shown(ended or rpc, device))

    async def _call(self, request: Request, one_way: bool | None) -> Response:
        device = self._find(request)
        document = await read_json(request)
        try:
            call = read_call(document, self._settings, time.time(), one_way=one_way)
            rpc = await self._calls.call(device, call)
        except RequestError as error:
            raise Problem(_status(error.code), error.reason) from error
        except NotRegistered as error:
            raise Problem(HTTPStatus.GATEWAY_TIMEOUT, str(error)) from error
        except ContainerFull as error:
            raise Problem(
                HTTPStatus.TOO_MANY_REQUESTS, f"too much waits for {device.name}: {error}"
            ) from error
        except Gone as error:
            raise Problem(HTTPStatus.NOT_FOUND, str(error)) from error
        except CommitFailed as error:
            raise _not_stored(error) from error
        return _answer(rpc, device)

    def _rpc(self, request: Request) -> tuple[Rpc, Device]:
        """Raises ``Problem``, also for one of another tenant."""
        tenant, name = self._find.tenant(request), request.path_params["id"]
        id = id_of_name(name)
        rpc = None if id is None else self._reader.rpc(id)
        device = None if rpc is None else self._reader.device(rpc.node)
        if rpc is None or device is None or device.tenant != tenant:
            raise Problem(HTTPStatus.NOT_FOUND, f"tenant {tenant} has no RPC {name[:80]!r}")
        return rpc, device


def shown(rpc: Rpc, device: Device) -> dict[str, Any]:
    """As clients see it."""
    found: dict[str, Any] = {
        "id": rpc.name,
        "rpcId": rpc.name,
        "device": device.name,
        "method": rpc.method,
        "params": rpc.params,
        "state": rpc.state,
        "persistent": rpc.persistent,
        "oneway": rpc.one_way,
        "createdAt": rpc.id * 1000 // SECOND,
        "sentAt": milliseconds(rpc.sent_at),
        "finishedAt": milliseconds(rpc.finished_at),
        "expiresAt": milliseconds(rpc.expires_at),
        "retries": rpc.retries,
        "attempts": rpc.attempts,
        "retryAt": milliseconds(rpc.retry_at),
        "additionalInfo": rpc.info,
        "notes": list(rpc.notes),
        **rpc.result,
    }
    return found | ({"queuedUntil": found["expiresAt"]} if rpc.state == "QUEUED" else {})


def _answer(rpc: Rpc, device: Device) -> Response:
    """200 if the device answered, whatever it said; 202 if there is nothing to tell yet."""
    document = shown(rpc, device)
    if rpc.waits:
        return _json(document, HTTPStatus.ACCEPTED)
    if "code" in rpc.result:
        return _json(document)
    status = _STATUS.get(rpc.state, HTTPStatus.OK)
    told = str(rpc.result.get("error", "there is no answer"))
    if rpc.state == "TIMEOUT":
        told = "the device did not answer in time"
    problem = {"type": "about:blank", "title": status.phrase, "status": int(status), "detail": told}
    return _json(document | problem, status, "application/problem+json")


def _status(code: int) -> HTTPStatus:
    if code == Code.UNSUPPORTED_CONTENT_FORMAT:
        return HTTPStatus.UNSUPPORTED_MEDIA_TYPE
    return HTTPStatus.BAD_REQUEST


def _state(request: Request) -> State | None:
    asked = request.query_params.get("state")
    if asked is None:
        return None
    for state in STATES:
        if state == asked:
            return state
    raise Problem(HTTPStatus.BAD_REQUEST, f"state={asked[:40]}: one of {', '.join(STATES)} is expected")


def _id(text: str) -> int:
    id = id_of_name(text)
    if id is None:
        raise Problem(HTTPStatus.BAD_REQUEST, f"after={text[:40]} is no id of an RPC")
    return id


def _not_stored(error: CommitFailed) -> Problem:
    return Problem(HTTPStatus.SERVICE_UNAVAILABLE, f"not stored: {error}")


def _json(
    document: object, status: HTTPStatus = HTTPStatus.OK, media_type: str = "application/json"
) -> Response:
    return Response(orjson.dumps(document), status, {"cache-control": "no-store"}, media_type=media_type)
