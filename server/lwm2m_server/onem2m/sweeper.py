"""``Sweeper``: removes what is over, and what lies below resources that are gone, a bounded share a turn.

Nobody sees any of that any more; this is about room, and about who must hear of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

import structlog

from lwm2m_server.alarm import Alarm
from lwm2m_server.onem2m.behaviours.context import Context
from lwm2m_server.onem2m.behaviours.table import behaviour_of
from lwm2m_server.onem2m.errors import OneM2MError
from lwm2m_server.onem2m.tree import Target, as_resource
from lwm2m_server.store.errors import CommitFailed
from lwm2m_server.store.ids import SECOND
from lwm2m_server.store.records import Message, Resource
from lwm2m_server.store.transaction import Transaction

SHARE: Final = 400
"""Messages below removed resources that go in one turn, or as much else."""
MESSAGES: Final = 50
"""Messages that are over and go in one turn; each changes the counters of its container."""
RESOURCES: Final = 10
REST: Final = 60.0
"""Seconds after which it looks again, whatever it was told."""
RETRY_AFTER: Final = 1.0
"""Seconds between two attempts when the ledger takes nothing."""

_log = structlog.get_logger(__name__)


class Sweeper:
    """Belongs to the event loop. Say ``soon`` when something was removed, or is new and will be over."""

    def __init__(self, context: Context, clock: Callable[[], float]) -> None:
        self._context, self._clock = context, clock
        self._alarm = Alarm(clock, self._next, self._ring)
        self._task: asyncio.Task[None] | None = None
        self._not_before = 0.0
        self.soon = self._alarm.soon

    async def close(self) -> None:
        """Finish the share that is under way."""
        self._alarm.close()
        if self._task is not None:
            await self._task

    def _next(self) -> float:
        now = self._clock()
        if self._task is not None:
            return now + REST
        ends = (self._context.reader.next_expiry(), self._context.inventory.next_expiry())
        due = min((end / SECOND for end in ends if end is not None), default=now + REST)
        if self._doomed():
            due = now
        return max(min(due, now + REST), self._not_before)

    def _ring(self) -> None:
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._sweep(), name="sweeper")

    async def _sweep(self) -> None:
        try:
            await self._share()
        except CommitFailed as error:
            self._not_before = self._clock() + RETRY_AFTER
            _log.warning("what is over cannot be removed yet", reason=str(error))
        finally:
            self._task = None
            self.soon()

    async def _share(self) -> None:
        reader, inventory = self._context.reader, self._context.inventory
        messages = reader.expired_messages(MESSAGES)
        if messages:
            await self._context.devices.change(lambda transaction: self._expire(transaction, messages))
        over = [self._target(one) for one in reader.expired(RESOURCES)]
        for application in inventory.expired_applications():
            tenant = inventory.tenant(application.tenant)
            resource = as_resource(application, tenant) if tenant is not None else None
            over += [self._target(resource)] if resource is not None else []
        for target in over:
            await self._end(target)
        doomed = self._doomed()
        if doomed:
            await self._context.devices.change(lambda transaction: transaction.clear(doomed, SHARE))

    def _expire(self, transaction: Transaction, messages: Sequence[Message]) -> None:
        for message in messages:
            if transaction.expire_message(message):
                self._context.notices.deleted(transaction, message)

    async def _end(self, target: Target) -> None:
        """As if a client had deleted it."""
        resource = target.resource
        delete = behaviour_of(resource.type, resource.key).delete
        if delete is not None and target.way:
            try:
                await delete(self._context, target)
            except OneM2MError as error:
                _log.warning(
                    "a resource that is over did not go by itself", name=resource.name, reason=str(error)
                )
        # What the behaviour did not find, because it is over, goes all the same.
        await self._context.devices.change(lambda transaction: transaction.remove(resource.id))

    def _target(self, resource: Resource) -> Target:
        """Without a way if what lay above is gone before."""
        tenant = self._context.inventory.tenant(resource.tenant)
        assert tenant is not None
        return Target(tenant, resource, "", tuple(self._context.tree.way(tenant, resource) or ()))

    def _doomed(self) -> Sequence[int]:
        """But for those of applications that are about to be removed."""
        found = self._context.reader.doomed(RESOURCES)
        return [id for id in found if self._context.inventory.application_by_id(id) is None]
