"""``Carrier``: takes the notices of one lane to their target.

Notices of one subscription go one after the other, those of several side by side. How many go at a time
grows with each delivery; when the target does not take them the lane is left alone for a while, and then
one is tried. Nothing waits in memory meanwhile: notices are read when their time has come.

A subscription whose notice is refused while others are taken is *stuck*: the rest of the lane passes it by,
and it is tried by itself, from where it stopped.
"""

from __future__ import annotations

import asyncio
import heapq
import time
from collections import deque
from collections.abc import Sequence
from typing import Final

import attrs
import structlog

from lwm2m_server.sinks.backoff import delay
from lwm2m_server.sinks.office import GATHER, Office
from lwm2m_server.sinks.protocols import Endpoint, Refused, Retry, Sink
from lwm2m_server.sinks.targets import masked
from lwm2m_server.sinks.trail import tell
from lwm2m_server.store.ids import SECOND
from lwm2m_server.store.records import Lane, Notice

WINDOW: Final = 256
"""Notices of a lane in memory."""
PAGE: Final = 64
"""Notices read at once."""
PAGE_BYTES: Final = 1_000_000
PATIENCE: Final = 3
"""Failures in a row after which the lane is left alone."""

_log = structlog.get_logger(__name__)


@attrs.define(slots=True)
class Stuck:
    """A subscription that is tried by itself."""

    head: int
    """The id of its first notice that is left."""
    failures: int = 0


class Carrier:
    """Belongs to the event loop. ``offer`` is called for new notices, ``close`` at the end."""

    def __init__(self, lane: Lane, office: Office) -> None:
        self._lane, self._office = lane, office
        self._name = {"tenant": lane.tenant, "target": masked(lane.target)}
        self._statistics = office.statistics_of(lane)
        self._queues: dict[int, deque[Notice]] = {}
        """By subscription, what is in memory and not under way."""
        self._ready: deque[int] = deque()
        """Subscriptions with a queue and nothing under way."""
        self._under_way: dict[int, Sequence[Notice]] = {}
        self._in_memory = 0
        self._cursor = 0
        """Up to this id the lane was read."""
        self._more = True
        """Whether there may be notices behind the cursor."""
        self._allowed = 1
        self._couriers: set[asyncio.Task[None]] = set()
        self._failures = self._pauses = 0
        self._stuck: dict[int, Stuck] = {}
        self._suspects: set[int] = set()
        """Subscriptions that failed since the last delivery."""
        self._times: list[tuple[float, int]] = []
        """When which of the stuck ones is tried again; a heap."""
        self._alarm: asyncio.TimerHandle | None = None
        self._paused = False
        self._endpoint: Endpoint | None = None
        self._sink: Sink | None = None

    # --- from outside --------------------------------------------------------------------------------

    def offer(self, notices: Sequence[Notice]) -> None:
        """These are new in the lane, and durable."""
        if self._paused or self._more or self._in_memory + len(notices) > WINDOW:
            self._more = True
        else:
            for notice in notices:
                self._take(notice)
        self._go()

    def try_now(self) -> None:
        """Somebody says that the target is back."""
        if self._paused:
            self._resume()
        for subscription in list(self._stuck):
            self._retry(subscription)

    @property
    def is_idle(self) -> bool:
        load = self._office.load(self._lane)
        return not self._couriers and (load is None or load.notices == 0)

    async def close(self) -> None:
        for task in self._couriers:
            task.cancel()
        await asyncio.gather(*self._couriers, return_exceptions=True)
        self._stop_alarm()
        self._let_go()

    # --- what is in memory ---------------------------------------------------------------------------

    def _take(self, notice: Notice) -> None:
        if notice.id <= self._cursor:
            return
        self._cursor = notice.id
        if notice.subscription not in self._stuck:
            self._put(notice)

    def _put(self, notice: Notice) -> None:
        if self._office.has_left(notice):
            return
        subscription = notice.subscription
        flying = self._under_way.get(subscription)
        if flying is not None and notice.id <= flying[-1].id:
            return
        queue = self._queues.get(subscription)
        if queue is None:
            queue = self._queues[subscription] = deque()
            if flying is None:
                self._ready.append(subscription)
        queue.append(notice)
        self._in_memory += 1

    def _fill(self) -> None:
        """Read on where the lane was read to."""
        load = self._office.load(self._lane)
        while self._more and self._in_memory <= WINDOW - PAGE and load is not None:
            page = self._office.reader.notices(
                self._lane, load.number, after=self._cursor, limit=PAGE, size=PAGE_BYTES
            )
            for notice in page:
                self._take(notice)
            self._more = bool(page)

    def _drop(self, subscription: int) -> None:
        """Its notices leave the memory; they are read again."""
        queue = self._queues.pop(subscription, None)
        if queue is not None:
            self._in_memory -= len(queue)

    # --- couriers ------------------------------------------------------------------------------------

    def _go(self, free: int = 0) -> None:
        """Send out as many couriers as there is work for, and those who are ``free`` do not take."""
        if self._paused:
            return
        if self._more:
            self._fill()
        loop = asyncio.get_running_loop()
        for _ in range(min(self._allowed - len(self._couriers), len(self._ready) - free)):
            self._couriers.add(loop.create_task(self._courier()))

    async def _courier(self) -> None:
        try:
            await self._carry()
        finally:
            # At once: who looks for work next is to count only those that still look themselves.
            task = asyncio.current_task()
            assert task is not None
            self._couriers.discard(task)

    async def _carry(self) -> None:
        """One delivery after the other, as long as there are any."""
        while self._ready and not self._paused and len(self._couriers) <= self._allowed:
            async with self._office.doors:
                subscription = self._next()
                if subscription is None:
                    return
                await self._deliver(subscription, self._queues[subscription])
            if subscription in self._queues:
                self._ready.append(subscription)
            if self._more or len(self._ready) > 1:
                self._go(free=1)

    def _next(self) -> int | None:
        while self._ready:
            subscription = self._ready.popleft()
            # What was dropped from memory and read again is here twice.
            if subscription in self._queues and subscription not in self._under_way:
                return subscription
        return None

    async def _deliver(self, subscription: int, queue: deque[Notice]) -> None:
        try:
            sink = self._reach()
        except Retry as error:
            self._failed(subscription, (queue[0],), error)
            return
        except Refused as error:
            self._failed(subscription, tuple(queue), error)
            return
        batch = [queue.popleft() for _ in range(min(sink.limit, len(queue)))]
        self._in_memory -= len(batch)
        if not queue:
            del self._queues[subscription]
        self._under_way[subscription] = batch
        try:
            await sink.deliver(batch)
        except (Retry, Refused) as error:
            self._failed(subscription, batch, error)
        except Exception as error:  # noqa: BLE001 - a sink may be foreign code
            _log.exception("a sink failed", **self._name)
            self._office.on_trouble(self._lane, f"its sink raised {error!r}", 0)
            self._failed(subscription, batch, Retry(repr(error)))
        else:
            self._delivered(subscription, batch)
        finally:
            self._under_way.pop(subscription, None)

    def _reach(self) -> Sink:
        """The sink of where the lane leads now. Raises ``Retry``, ``Refused``."""
        endpoint = self._office.endpoint(self._lane)
        if self._sink is None or endpoint != self._endpoint:
            sink = self._office.enter(endpoint)
            self._let_go()
            self._endpoint, self._sink = endpoint, sink
        return self._sink

    def _let_go(self) -> None:
        if self._endpoint is not None:
            self._office.leave(self._endpoint)
        self._endpoint = self._sink = None

    # --- how it went ---------------------------------------------------------------------------------

    def _delivered(self, subscription: int, batch: Sequence[Notice]) -> None:
        self._office.delivered(batch)
        tell("delivered", batch)
        self._statistics.succeeded(len(batch), time.time() - batch[-1].id / SECOND)
        if self._pauses:
            _log.info("a target takes notifications again", **self._name)
        self._failures = self._pauses = 0
        self._suspects.clear()
        if self._allowed < self._office.settings.at_once:
            self._allowed += 1
        if self._paused:
            self._resume()
        stuck = self._stuck.get(subscription)
        if stuck is not None:
            stuck.head, stuck.failures = batch[-1].id + 1, 0
            if subscription not in self._queues:
                self._follow(subscription, stuck)

    def _failed(self, subscription: int, batch: Sequence[Notice], error: Retry | Refused) -> None:
        self._statistics.went_wrong(str(error))
        tell("not delivered", batch, reason=str(error))
        self._drop(subscription)
        stuck = self._stuck.setdefault(subscription, Stuck(batch[0].id))
        if isinstance(error, Refused):
            self._give_up(subscription, stuck, batch, str(error))
            return
        stuck.failures += 1
        self._suspects.add(subscription)
        self._failures += 1
        if self._paused:
            return
        if self._failures >= PATIENCE or self._pauses:
            self._pause(error)
        elif self._office.is_over(batch[0]):
            self._give_up(subscription, stuck, batch, str(error))
        else:
            wait = delay(self._office.settings, stuck.failures, error.after)
            heapq.heappush(self._times, (time.monotonic() + wait, subscription))
            self._set_alarm()

    def _give_up(self, subscription: int, stuck: Stuck, batch: Sequence[Notice], reason: str) -> None:
        self._office.bury(batch, reason)
        stuck.head, stuck.failures = batch[-1].id + 1, 0
        asyncio.get_running_loop().call_soon(self._retry, subscription)

    # --- those who are stuck -------------------------------------------------------------------------

    def _retry(self, subscription: int) -> None:
        stuck = self._stuck.get(subscription)
        if stuck is not None and not self._paused and subscription not in self._under_way:
            self._drop(subscription)
            self._follow(subscription, stuck)
            self._go()

    def _follow(self, subscription: int, stuck: Stuck) -> None:
        """The next of its notices, up to where the lane was read; with none left it is stuck no more."""
        load = self._office.load(self._lane)
        page: Sequence[Notice] = ()
        if load is not None:
            page = self._office.reader.notices_of(
                subscription,
                self._lane,
                load.number,
                after=stuck.head - 1,
                through=self._cursor,
                limit=PAGE,
                size=PAGE_BYTES,
            )
        for notice in page:
            self._put(notice)
        if subscription not in self._queues:
            del self._stuck[subscription]

    # --- pauses --------------------------------------------------------------------------------------

    def _pause(self, error: Retry) -> None:
        """Nothing is taken: leave the target alone, and keep nothing in memory."""
        for subscription in self._suspects:
            stuck = self._stuck.get(subscription)
            if stuck is not None and stuck.failures <= PATIENCE:
                # Not its own fault.
                del self._stuck[subscription]
        self._suspects.clear()
        self._queues.clear()
        self._ready.clear()
        self._in_memory = self._failures = 0
        self._paused, self._allowed = True, 1
        self._pauses += 1
        wait = delay(self._office.settings, self._pauses + PATIENCE - 1, error.after)
        if self._pauses == 1:
            _log.warning("a target takes no notifications", **self._name, reason=str(error))
            self._office.on_trouble(self._lane, str(error), 0)
        self._statistics.retry_at = time.time() + wait
        self._times = []
        self._set_alarm(wait)
        self._expire(str(error))

    def _expire(self, reason: str) -> None:
        """What was tried for long enough, and would fail as well now."""
        load = self._office.load(self._lane)
        if load is None or not self._paused:
            return
        oldest = self._office.reader.notices(
            self._lane, load.number, after=0, limit=WINDOW, size=WINDOW * PAGE_BYTES
        )
        flying = {notice.id for batch in self._under_way.values() for notice in batch}
        over = [
            notice
            for notice in oldest
            if self._office.is_over(notice) and notice.id not in flying and not self._office.has_left(notice)
        ]
        if over:
            self._office.bury(over, reason)
            asyncio.get_running_loop().call_later(GATHER, self._expire, reason)

    def _resume(self) -> None:
        self._paused, self._statistics.retry_at = False, None
        self._cursor, self._more = 0, True
        now = time.monotonic()
        self._times = [(now, subscription) for subscription in self._stuck]
        self._set_alarm()
        self._go()

    def _set_alarm(self, wait: float | None = None) -> None:
        self._stop_alarm()
        if wait is None:
            if not self._times:
                return
            wait = max(self._times[0][0] - time.monotonic(), 0.0)
        self._alarm = asyncio.get_running_loop().call_later(wait, self._ring)

    def _stop_alarm(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None

    def _ring(self) -> None:
        self._alarm = None
        if self._paused:
            self._resume()
            return
        now = time.monotonic()
        while self._times and self._times[0][0] <= now:
            _, subscription = heapq.heappop(self._times)
            self._retry(subscription)
        self._set_alarm()
