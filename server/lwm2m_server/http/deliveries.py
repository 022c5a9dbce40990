"""``/api/v1/deliveries``: how notifications get to applications, and those that did not."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from http import HTTPStatus
from typing import Any, Final, TypeAlias

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from lwm2m_server.http.answers import json_answer, stored
from lwm2m_server.http.describing import COUNT, LIMIT, STRING, TENANT, Parameter, array, described, obj, ref
from lwm2m_server.http.devices import milliseconds, number_of
from lwm2m_server.http.problems import Problem
from lwm2m_server.http.rights import tenant_of
from lwm2m_server.sinks.runner import Deliveries
from lwm2m_server.sinks.statistics import Statistics
from lwm2m_server.sinks.targets import Targets, is_paused, masked
from lwm2m_server.store.ids import ResourceIds
from lwm2m_server.store.ledger import SqliteLedger
from lwm2m_server.store.records import DeadLetter, Lane, Load
from lwm2m_server.store.transaction import Reader

Act: TypeAlias = Callable[[Sequence[DeadLetter]], Awaitable[None]]

MAX_ROWS: Final = 1000
PAGE: Final = 500
"""Dead letters read, and dealt with, at once."""
_SUBSCRIPTION: Final = 23
_TARGET: Final = Parameter(
    "target", STRING, "only of this target, as subscriptions name it or as it is shown"
)
_LETTERS: Final = "/deliveries/dead-letters"


class DeliveryApi:
    """Of one tenant at a time. Counts are since the server was started, but for what waits."""

    def __init__(self, deliveries: Deliveries, targets: Targets, ledger: SqliteLedger, default: str) -> None:
        self._deliveries, self._targets, self._ledger = deliveries, targets, ledger
        self._ids, self._default = ResourceIds(ledger.installation), default

    def routes(self) -> list[Route]:
        """Below ``/api/v1``."""
        return [
            Route("/deliveries", self.show, methods=["GET"]),
            Route("/deliveries/replay", self.replay_all, methods=["POST"]),
            Route(_LETTERS, self.list_letters, methods=["GET"]),
            Route(_LETTERS, self.drop_all, methods=["DELETE"]),
            Route(f"{_LETTERS}/{{id}}", self.show_letter, methods=["GET"]),
            Route(f"{_LETTERS}/{{id}}", self.drop, methods=["DELETE"]),
            Route(f"{_LETTERS}/{{id}}/replay", self.replay, methods=["POST"]),
        ]

    @described(
        "How notifications get to each target of subscriptions",
        query=(TENANT,),
        answers={200: obj("*", tenant=STRING, deliveries=array(ref("Delivery")), dropped=COUNT)},
    )
    async def show(self, request: Request) -> Response:
        """``dropped`` are dead letters, of any tenant, that there was no room for."""
        tenant = tenant_of(request, self._default)
        rows = [self._row(*lane) for lane in self._deliveries.lanes(tenant)]
        return json_answer({"tenant": tenant, "deliveries": rows, "dropped": self._ledger.outbox.dropped})

    @described(
        "Notifications that could not be delivered, the oldest first",
        query=(TENANT, LIMIT, _TARGET, Parameter("after", STRING, "`next` of the page before")),
        answers={
            200: obj("tenant deadLetters", tenant=STRING, deadLetters=array(ref("DeadLetter")), next=STRING)
        },
        problems=(400,),
    )
    async def list_letters(self, request: Request) -> Response:
        tenant = tenant_of(request, self._default)
        limit = max(1, min(number_of(request, "limit", 100), MAX_ROWS))
        after, target = _id(request.query_params.get("after", "0")), request.query_params.get("target")
        found = await self._ledger.apart(
            partial(_some, tenant=tenant, target=target, after=after, limit=limit + 1)
        )
        document: dict[str, Any] = {
            "tenant": tenant,
            "deadLetters": [self._letter(letter) for letter in found[:limit]],
        }
        if len(found) > limit:
            document["next"] = f"{found[limit - 1].notice.id:x}"
        return json_answer(document)

    @described(
        "One of them, with its content",
        query=(TENANT,),
        answers={200: ref("DeadLetterDetails")},
        problems=(400,),
    )
    async def show_letter(self, request: Request) -> Response:
        letter = self._find(request)
        return json_answer(self._letter(letter) | {"notification": orjson.Fragment(letter.notice.body)})

    @described(
        "Deliver it after all, behind what waits", query=(TENANT,), answers={204: None}, problems=(400, 503)
    )
    async def replay(self, request: Request) -> Response:
        return await self._on_one(request, self._deliveries.replay)

    @described("Forget it", query=(TENANT,), answers={204: None}, problems=(400, 503))
    async def drop(self, request: Request) -> Response:
        return await self._on_one(request, self._deliveries.drop)

    @described(
        "Deliver all of them after all",
        query=(TENANT, _TARGET),
        answers={200: obj("*", replayed=COUNT)},
        problems=(503,),
    )
    async def replay_all(self, request: Request) -> Response:
        return json_answer({"replayed": await self._on_all(request, self._deliveries.replay)})

    @described(
        "Forget all of them",
        query=(TENANT, _TARGET),
        answers={200: obj("*", dropped=COUNT)},
        problems=(503,),
    )
    async def drop_all(self, request: Request) -> Response:
        return json_answer({"dropped": await self._on_all(request, self._deliveries.drop)})

    async def _on_one(self, request: Request, act: Act) -> Response:
        await _stored(act([self._find(request)]))
        return Response(status_code=HTTPStatus.NO_CONTENT)

    async def _on_all(self, request: Request, act: Act) -> int:
        """Those that there are now; what dies meanwhile is left."""
        tenant, target = tenant_of(request, self._default), request.query_params.get("target")
        count, after, began = 0, 0, time.time()
        while True:
            found = await self._ledger.apart(
                partial(_some, tenant=tenant, target=target, after=after, limit=PAGE)
            )
            if not found:
                return count
            dead = [letter for letter in found if letter.died_at <= began]
            await _stored(act(dead))
            count, after = count + len(dead), found[-1].notice.id

    def _find(self, request: Request) -> DeadLetter:
        tenant = tenant_of(request, self._default)
        id = _id(request.path_params["id"])
        letter = self._ledger.reader.dead_letter(id)
        if letter is None or letter.notice.lane.tenant != tenant:
            raise Problem(HTTPStatus.NOT_FOUND, f"tenant {tenant} has no dead letter {id:x}")
        return letter

    def _row(self, lane: Lane, load: Load, seen: Statistics) -> dict[str, Any]:
        application = self._targets.application(lane.tenant, lane.target)
        oldest = self._deliveries.oldest(lane, load) if load.notices else None
        return {
            "target": masked(lane.target),
            "application": application.name if application is not None else None,
            "subscription": self._ids.ri(lane.own, _SUBSCRIPTION) if lane.own else None,
            "waiting": load.notices,
            "waitingBytes": load.bytes,
            "oldestWaiting": oldest.id // 1000 if oldest is not None else None,
            "delivered": seen.delivered,
            "failed": seen.failed,
            "dead": seen.dead,
            "latency": milliseconds(seen.latency),
            "paused": application is not None and is_paused(application),
            "failingSince": milliseconds(seen.failing_since),
            "lastError": seen.last_error,
            "lastErrorAt": milliseconds(seen.last_error_at),
            "retryAt": milliseconds(seen.retry_at),
        }

    def _letter(self, letter: DeadLetter) -> dict[str, Any]:
        notice = letter.notice
        return {
            "id": f"{notice.id:x}",
            "target": masked(notice.lane.target),
            "subscription": self._ids.ri(notice.subscription, _SUBSCRIPTION),
            "device": notice.device,
            "at": notice.id // 1000,
            "diedAt": milliseconds(letter.died_at),
            "reason": letter.reason,
            "size": notice.size,
        }


def _some(reader: Reader, tenant: str, target: str | None, after: int, limit: int) -> list[DeadLetter]:
    """On the thread for long reads: the first so many of a target, or of all."""
    found: list[DeadLetter] = []
    while len(found) < limit:
        page = reader.dead_letters(tenant, after=after, limit=PAGE)
        if not page:
            break
        after = page[-1].notice.id
        found += [letter for letter in page if _is_to(target, letter.notice.lane.target)]
    return found[:limit]


def _is_to(wanted: str | None, target: str) -> bool:
    """Whether it is wanted, in full or as it is shown."""
    return wanted is None or wanted in (target, masked(target))


def _id(text: str) -> int:
    """Raises ``Problem``."""
    try:
        id = int(text, 16)
    except ValueError:
        id = -1
    if not 0 <= id < 1 << 63:
        raise Problem(HTTPStatus.BAD_REQUEST, f"{text[:40]!r} is no id of a dead letter")
    return id


async def _stored(act: Awaitable[None]) -> None:
    with stored():
        await act
