"""Requests that do not wait for their result (TS-0001, 8.2.2; TS-0004, 7.3.2.2 and 7.4.13).

With ``rt=1`` the answer is the address of a ``<request>`` resource, where the result is to be found later;
with ``rt=5`` there is no result.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Final

import attrs
import structlog

from lwm2m_server.onem2m.behaviours.context import now
from lwm2m_server.onem2m.errors import InternalError, NotAcceptable, OneM2MError
from lwm2m_server.onem2m.fanout import to_group
from lwm2m_server.onem2m.names import REQUEST
from lwm2m_server.onem2m.origins import ADMIN, PLATFORM
from lwm2m_server.onem2m.primitives import ACCEPTED, ANSWERED_BY_NOTHING, Answer, Primitive
from lwm2m_server.onem2m.privileges import Privileges
from lwm2m_server.onem2m.queries import Response
from lwm2m_server.onem2m.rendering import AE
from lwm2m_server.onem2m.tree import Target
from lwm2m_server.store.errors import CommitFailed
from lwm2m_server.store.ids import SECOND, Ids, timestamp
from lwm2m_server.store.protocols import Inventory, Ledger
from lwm2m_server.store.records import Resource
from lwm2m_server.store.transaction import Transaction

MOST: Final = 1_000
"""Requests under way at once."""
PERSISTENCE: Final = 60.0
LONGEST: Final = 86_400.0
"""Seconds a result is kept if the request does not say, and at most."""
COMPLETED, FAILED, PENDING = 1, 2, 3
"""``rs``, requestStatus."""
_OPERATIONS: Final = {"create": 1, "retrieve": 2, "update": 3, "delete": 4}

_log = structlog.get_logger(__name__)


class NonBlocking:
    """Performs requests after they were answered."""

    def __init__(
        self,
        answer: Callable[[Primitive], Awaitable[Answer]],
        privileges: Privileges,
        inventory: Inventory,
        ledger: Ledger,
        ids: Ids,
    ) -> None:
        """``answer`` is what answers a blocking request."""
        self._answer, self._privileges = answer, privileges
        self._inventory, self._ledger, self._ids = inventory, ledger, ids
        self._under_way: set[asyncio.Task[None]] = set()

    async def answer(self, request: Primitive) -> Answer:
        """Raises ``OneM2MError`` for what is known to be wrong already, ``CommitFailed``."""
        target = self._privileges.target(attrs.evolve(request, address=to_group(request.address)))
        if request.ty == AE:
            self._privileges.newcomer(request)
        else:
            self._privileges.originator(request, target)
        if len(self._under_way) >= MOST:
            raise NotAcceptable(f"{MOST} requests are under way; ask again later, or with rt=3")
        query = attrs.evolve(request.query, response=Response.BLOCKING)
        blocking = attrs.evolve(request, query=query, kept=True)
        if request.query.response is Response.NONE:
            self._start(self._perform(blocking))
            return Answer(ANSWERED_BY_NOTHING)
        resource = _resource(self._ids.next(), request, target)
        await self._ledger.commit(lambda transaction: transaction.put(resource))
        self._start(self._perform(blocking, resource))
        return Answer(ACCEPTED, {"m2m:uri": f"{target.tenant.name}/{resource.name}"})

    async def resume(self) -> None:
        """After a restart nobody knows what became of requests that were under way."""
        for tenant in self._inventory.tenants():
            for one in self._ledger.reader.children(tenant.id, types={REQUEST}):
                if one.attributes["rs"] == PENDING:
                    await self._finish(one, InternalError.rsc, {"m2m:dbg": "the server stopped meanwhile"})

    async def close(self) -> None:
        """Wait for what is under way."""
        await asyncio.gather(*self._under_way)

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    async def _perform(self, request: Primitive, resource: Resource | None = None) -> None:
        body: dict[str, Any] | None
        try:
            answer = await self._answer(request)
            rsc, body = answer.rsc, answer.body
        except OneM2MError as error:
            rsc, body = error.rsc, {"m2m:dbg": str(error)}
        except Exception:  # noqa: BLE001 - nobody else would hear of it
            _log.exception("a oneM2M request failed", operation=request.operation)
            rsc, body = InternalError.rsc, {"m2m:dbg": "internal error"}
        if resource is None:
            return
        try:
            await self._finish(resource, rsc, body)
        except CommitFailed as error:
            _log.error("the result of a request cannot be stored", request=resource.name, reason=str(error))

    async def _finish(self, resource: Resource, rsc: int, body: dict[str, Any] | None) -> None:
        moment = now()
        result = {
            "rsc": rsc,
            "rqi": resource.attributes["rid"],
            "to": resource.attributes["org"],
            "fr": f"/{resource.tenant}",
            "ot": timestamp(moment),
        }
        if body is not None:
            result["pc"] = body
        status = COMPLETED if rsc // 1000 == 2 else FAILED
        attributes = {**resource.attributes, "rs": status, "ors": result}

        def store(transaction: Transaction) -> None:
            transaction.change(resource.id, attributes, moment)

        await self._ledger.commit(store)


def _resource(id: int, request: Primitive, target: Target) -> Resource:
    wanted = request.query.persistence
    seconds = min(PERSISTENCE if wanted is None else wanted, LONGEST)
    tenant = target.tenant
    attributes = {
        "cr": PLATFORM,
        "et": timestamp(id + round(seconds * SECOND)),
        "op": _OPERATIONS[request.operation],
        "tg": str(request.address),
        "org": request.originator or ADMIN,
        "rid": request.id,
        "mi": {},
        "rs": PENDING,
    }
    return Resource(id, tenant.name, tenant.id, f"req-{id:x}", REQUEST, "m2m:req", attributes, id)
