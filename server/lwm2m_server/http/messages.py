"""``/api/v1/devices/{name}/messages``: what was said with a device lately, whatever container it lies in."""

from __future__ import annotations

from itertools import islice
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from lwm2m_server.http.answers import json_answer
from lwm2m_server.http.briefs import brief
from lwm2m_server.http.describing import LIMIT, STRING, TENANT, TIME, array, described, enum, obj
from lwm2m_server.http.devices import DeviceFinder, newest, number_of
from lwm2m_server.onem2m.behaviours.nodes import ERRORS, RECEIVED, SENT
from lwm2m_server.onem2m.rendering import CONTENT_INSTANCE
from lwm2m_server.store.ids import SECOND, NodeIds, ResourceIds
from lwm2m_server.store.protocols import Ledger
from lwm2m_server.store.records import Message

USUAL: Final = 20
MOST: Final = 200
LONGEST: Final = 4096
"""Characters of each text."""

_MESSAGE: Final = obj(
    "*",
    id=STRING,
    container=enum(SENT, RECEIVED, ERRORS),
    at=TIME,
    creator=STRING,
    content={"type": ["object", "string"]},
)


class MessageApi:
    """The newest first: what was sent, what was received, and what went wrong."""

    def __init__(self, find: DeviceFinder, ledger: Ledger) -> None:
        self._find, self._reader = find, ledger.reader
        self._ids = ResourceIds(ledger.installation)

    def routes(self) -> list[Route]:
        """Below ``/api/v1``."""
        return [Route("/devices/{name}/messages", self.list_all, methods=["GET"])]

    @described(
        "What was said with a device lately, the newest first",
        query=(TENANT, LIMIT),
        answers={200: obj("*", device=STRING, messages=array(_MESSAGE))},
        problems=(400,),
    )
    async def list_all(self, request: Request) -> Response:
        """``content`` is a JSON object where the container holds one, else a text; of long texts there is the
        beginning. All of it has the container."""
        device = self._find(request)
        limit = max(1, min(number_of(request, "limit", USUAL), MOST))
        own = NodeIds(device.node)
        containers = {own.sent: SENT, own.received: RECEIVED, own.errors: ERRORS}
        found = [one for container in containers for one in newest(self._reader, container, limit)]
        found.sort(key=lambda one: one.id, reverse=True)
        rows = [self._row(one, containers[one.container]) for one in islice(found, limit)]
        return json_answer({"device": device.name, "messages": rows})

    def _row(self, one: Message, container: str) -> dict[str, Any]:
        return {
            "id": self._ids.ri(one.id, CONTENT_INSTANCE),
            "container": container,
            "at": one.id * 1000 // SECOND,
            "creator": one.creator,
            "content": brief(one.content, LONGEST),
        }
