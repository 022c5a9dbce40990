"""Polling channels: notices for applications that nothing can be posted to, but that come and ask
(TS-0004, 7.4.20; TS-0001, 10.2.5.15)."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import ClassVar, Final

import attrs

from lwm2m_server.sinks.kinds import POLLING_CHANNEL
from lwm2m_server.sinks.protocols import Endpoint, Retry
from lwm2m_server.store.records import Notice

CONFIRMED_WITHIN: Final = 10.0
"""Seconds in which an application says that it has what it fetched; then it can fetch it again."""
MOST: Final = 16
"""Polls of one application at a time."""


class TooManyPolls(Exception):
    """More than ``MOST``."""


@attrs.define(slots=True, eq=False)
class Channels:
    """Makes the sinks; applications ask here. Belongs to the event loop."""

    on_poll: Callable[[Endpoint], None] = lambda endpoint: None
    """Somebody asks: what waits can be delivered now."""
    _polls: dict[Endpoint, deque[asyncio.Future[Notice]]] = attrs.field(factory=dict)
    _unconfirmed: dict[tuple[Endpoint, int], asyncio.Future[None]] = attrs.field(factory=dict)

    def __call__(self, endpoint: Endpoint) -> Channel:
        return Channel(self, endpoint)

    async def poll(self, tenant: str, aei: str, seconds: float) -> Notice:
        """The next notice; it has to be confirmed. Raises ``TimeoutError``, ``TooManyPolls``."""
        endpoint = Endpoint(tenant, POLLING_CHANNEL, (aei,))
        polls = self._polls.setdefault(endpoint, deque())
        if len(polls) >= MOST:
            raise TooManyPolls
        poll: asyncio.Future[Notice] = asyncio.get_running_loop().create_future()
        polls.append(poll)
        self.on_poll(endpoint)
        try:
            async with asyncio.timeout(seconds):
                return await poll
        finally:
            if poll in polls:
                polls.remove(poll)
            if not polls:
                self._polls.pop(endpoint, None)

    def confirm(self, tenant: str, aei: str, notice: int, refusal: str | None = None) -> bool:
        """The application has it, or does not want it yet; false if none of that id was fetched lately."""
        found = self._unconfirmed.get((Endpoint(tenant, POLLING_CHANNEL, (aei,)), notice))
        if found is None or found.done():
            return False
        if refusal is None:
            found.set_result(None)
        else:
            found.set_exception(Retry(refusal))
        return True

    async def hand_over(self, endpoint: Endpoint, notice: Notice) -> None:
        """Raises ``Retry`` if nobody asks, or nobody confirms."""
        polls = self._polls.get(endpoint, deque())
        while polls and polls[0].done():
            polls.popleft()
        if not polls:
            raise Retry("nobody asks at its polling channel")
        key = endpoint, notice.id
        confirmed = self._unconfirmed[key] = asyncio.get_running_loop().create_future()
        polls.popleft().set_result(notice)
        try:
            async with asyncio.timeout(CONFIRMED_WITHIN):
                await confirmed
        except TimeoutError:
            raise Retry("what was fetched at its polling channel was not confirmed") from None
        finally:
            del self._unconfirmed[key]


@attrs.frozen
class Channel:
    """That of one application."""

    limit: ClassVar[int] = 1

    channels: Channels
    endpoint: Endpoint

    async def deliver(self, batch: Sequence[Notice]) -> None:
        for notice in batch:
            await self.channels.hand_over(self.endpoint, notice)

    async def close(self) -> None:
        """Polls end by themselves."""
