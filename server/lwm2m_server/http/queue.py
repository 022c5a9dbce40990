"""``/api/v1/devices/{name}/queue``: what waits for a device, on whose behalf, and taking it back."""

from __future__ import annotations

from functools import partial
from http import HTTPStatus
from typing import Any, Final

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from lwm2m_server.http.answers import stored
from lwm2m_server.http.briefs import brief_text
from lwm2m_server.http.describing import (
    BOOLEAN,
    COUNT,
    OFTEN_TIME,
    PLACE,
    STRING,
    TENANT,
    TIME,
    Parameter,
    array,
    described,
    enum,
    nullable,
    obj,
)
from lwm2m_server.http.devices import DeviceFinder, milliseconds, number_of
from lwm2m_server.http.problems import Problem
from lwm2m_server.onem2m.behaviours.messages import is_deferred
from lwm2m_server.onem2m.devices import Devices
from lwm2m_server.onem2m.origins import PLATFORM
from lwm2m_server.onem2m.rendering import CONTENT_INSTANCE
from lwm2m_server.rpc.calls import Calls, Remove
from lwm2m_server.store.ids import SECOND, NodeIds, ResourceIds
from lwm2m_server.store.records import Device, Message, Unanswered
from lwm2m_server.store.transaction import Reader, Transaction

EVERYTHING: Final = 1 << 40

_BEHALF: Final = obj(
    "kind",
    kind=enum("rpc", "application", "platform"),
    id=STRING,
    method=STRING,
    origin=STRING,
)
_WAITING: Final = obj(
    "id content since until state by",
    id=STRING,
    content=STRING,
    since=TIME,
    until=OFTEN_TIME,
    state=enum("waiting", "deferred", "in flight", "acknowledged"),
    by=_BEHALF,
    transferred=nullable(obj("*", bytes=COUNT, of=COUNT)),
)


class QueueApi:
    """The messages in ``outgoing-msg``, in the order in which they are sent, behind what the device has
    acknowledged and not answered."""

    def __init__(
        self,
        find: DeviceFinder,
        reader: Reader,
        devices: Devices,
        calls: Calls,
        ids: ResourceIds,
        remove: Remove,
    ) -> None:
        self._find, self._reader, self._devices = find, reader, devices
        self._calls, self._ids, self._remove = calls, ids, remove

    def routes(self) -> list[Route]:
        """Below ``/api/v1``."""
        return [
            Route("/devices/{name}/queue", self.show, methods=["GET"]),
            Route("/devices/{name}/queue/{id}", self.take_back, methods=["DELETE"]),
        ]

    @described(
        "What waits for a device, in the order it is sent",
        query=(TENANT, Parameter("length", PLACE, "at most so many characters of each text in it")),
        problems=(400,),
        answers={
            200: obj(
                "*",
                device=STRING,
                registered=BOOLEAN,
                awake=nullable(BOOLEAN),
                awakeUntil=OFTEN_TIME,
                listensAt=OFTEN_TIME,
                queue=array(_WAITING),
            )
        },
    )
    async def show(self, request: Request) -> Response:
        device, length = self._find(request), number_of(request, "length", EVERYTHING)
        presence = self._devices.state(device)
        waiting: list[Message | Unanswered] = [*self._reader.unanswered(device.node)]
        waiting += self._reader.messages(NodeIds(device.node).outgoing)
        document = {
            "device": device.name,
            "registered": presence.registered,
            "awake": presence.awake if presence.registered else None,
            "awakeUntil": milliseconds(presence.awake_until),
            "listensAt": milliseconds(presence.listens_at),
            "queue": [self._row(one, presence.transferred, length) for one in waiting],
        }
        headers = {"cache-control": "no-store"}
        return Response(orjson.dumps(document), HTTPStatus.OK, headers, media_type="application/json")

    @described("Take it back", query=(TENANT,), answers={204: None}, problems=(503,))
    async def take_back(self, request: Request) -> Response:
        device = self._find(request)
        message = self._message(device, request.path_params["id"])
        with stored():
            await self._devices.cancel(device, message, partial(self._drop, device.node, message))
        return Response(status_code=HTTPStatus.NO_CONTENT)

    def _drop(self, node: int, message: int, write: Transaction) -> None:
        """Whether the device was asked it already or not."""
        self._remove(write, NodeIds(node).outgoing, message)
        write.end_awaiting(message)

    def _message(self, device: Device, text: str) -> int:
        """Raises ``Problem``."""
        found = self._ids.parse(text)
        waiting: list[Message | Unanswered] = [*self._reader.unanswered(device.node)]
        waiting += self._reader.messages(NodeIds(device.node).outgoing)
        if found is None or found[0] not in [one.id for one in waiting]:
            raise Problem(HTTPStatus.NOT_FOUND, f"no message {text[:40]!r} waits for {device.name}")
        return found[0]

    def _row(
        self, one: Message | Unanswered, transferred: tuple[int, int] | None, length: int
    ) -> dict[str, Any]:
        under_way = isinstance(one, Unanswered) or one.in_flight
        progress = {"bytes": transferred[0], "of": transferred[1]} if under_way and transferred else None
        return {
            "id": self._ids.ri(one.id, CONTENT_INSTANCE),
            "content": brief_text(one.content, length),
            "since": one.id * 1000 // SECOND,
            "until": milliseconds(one.deadline),
            "state": _state(one),
            "by": self._behalf(one),
            "transferred": progress,
        }

    def _behalf(self, one: Message | Unanswered) -> dict[str, Any]:
        rpc = self._calls.errand_of(one.id)
        if rpc is not None:
            return {"kind": "rpc", "id": rpc.name, "method": rpc.method}
        creator = one.creator if isinstance(one, Message) else None
        if creator is None or creator == PLATFORM:
            return {"kind": "platform"}
        return {"kind": "application", "origin": creator}


def _state(one: Message | Unanswered) -> str:
    if isinstance(one, Unanswered):
        return "acknowledged"
    if one.in_flight:
        return "in flight"
    return "deferred" if is_deferred(one) else "waiting"
