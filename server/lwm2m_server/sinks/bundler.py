"""``Bundler``: the lane of a subscription that wants its notices together (``bn``), or only the newest.

With ``bn`` they go when there are enough of them, or when the first has waited long enough; with ``ln``, or
``pn`` 1 for a target that could not be reached, all but the newest are dropped, as the subscription wants.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Final

import attrs
import structlog

from lwm2m_server.sinks.backoff import delay
from lwm2m_server.sinks.office import Office
from lwm2m_server.sinks.protocols import Refused, Retry
from lwm2m_server.store.ids import SECOND
from lwm2m_server.store.records import Lane, Notice

PAGE_BYTES: Final = 4_000_000
MOST: Final = 1000
"""Notices that are dropped together for a newer one."""
HEAD: Final = '{"m2m:sgn":'
"""What each notice begins with; behind its content comes a brace."""

_log = structlog.get_logger(__name__)


@attrs.frozen(slots=True)
class Bundling:
    """How a subscription wants it."""

    together: bool = False
    number: int = 1
    """So many notices together, or all there are …"""
    seconds: float = 0.0
    """… when the first has waited for so long."""
    newest: bool = False
    """Only the newest of them counts."""
    forgets: bool = False
    """Only the newest of those counts that came while the target could not be reached."""


class Bundler:
    """A task for as long as there are notices. ``bundling`` tells how the subscription wants it now."""

    def __init__(self, lane: Lane, office: Office, bundling: Callable[[int], Bundling]) -> None:
        self._lane, self._office, self._bundling = lane, office, bundling
        self._statistics = office.statistics_of(lane)
        self._news = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._failures = 0

    def offer(self, notices: Sequence[Notice]) -> None:
        self._news.set()
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._work())

    def try_now(self) -> None:
        self._failures = 0
        self.offer(())

    @property
    def is_idle(self) -> bool:
        return self._task is None or self._task.done()

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _work(self) -> None:
        while True:
            bundling = self._bundling(self._lane.own)
            newest_of_all = bundling.forgets and self._failures > 0
            waiting = self._waiting(MOST if newest_of_all else bundling.number)
            if not waiting:
                return
            wait = waiting[0].id / SECOND + bundling.seconds - time.time()
            if len(waiting) < bundling.number and wait > 0:
                await self._sleep(wait)
                continue
            told = waiting[-1] if newest_of_all or bundling.newest else None
            await self._send(
                waiting, _bundle(waiting) if bundling.together and not told else told or waiting[0]
            )

    def _waiting(self, number: int) -> Sequence[Notice]:
        load = self._office.load(self._lane)
        if load is None:
            return ()
        found = self._office.reader.notices(
            self._lane, load.number, after=0, limit=number + self._office.leaving, size=PAGE_BYTES
        )
        return [notice for notice in found if not self._office.has_left(notice)][:number]

    async def _send(self, notices: Sequence[Notice], told: Notice) -> None:
        """``notices`` are over when the target was ``told``."""
        try:
            endpoint = self._office.endpoint(self._lane)
            sink = self._office.enter(endpoint)
            try:
                async with self._office.doors:
                    await sink.deliver([told])
            finally:
                self._office.leave(endpoint)
        except Refused as error:
            self._statistics.went_wrong(str(error))
            self._office.bury(notices, str(error))
        except Retry as error:
            await self._failed(notices, error)
        else:
            self._failures, self._statistics.retry_at = 0, None
            self._statistics.succeeded(len(notices), time.time() - notices[-1].id / SECOND)
            self._office.delivered(notices)

    async def _failed(self, notices: Sequence[Notice], error: Retry) -> None:
        self._statistics.went_wrong(str(error))
        over = [notice for notice in notices if self._office.is_over(notice)]
        if over:
            self._office.bury(over, str(error))
            return
        self._failures += 1
        wait = delay(self._office.settings, self._failures, error.after)
        self._statistics.retry_at = time.time() + wait
        await asyncio.sleep(wait)

    async def _sleep(self, seconds: float) -> None:
        """Until then, or until there are more."""
        self._news.clear()
        try:
            async with asyncio.timeout(seconds):
                await self._news.wait()
        except TimeoutError:
            return


def _bundle(notices: Sequence[Notice]) -> Notice:
    """One notice with the contents of all."""
    contents = ",".join(notice.body[len(HEAD) : -1] for notice in notices)
    return attrs.evolve(notices[-1], body=f'{{"m2m:agn":{{"m2m:sgn":[{contents}]}}}}')
