"""``Deliveries``: everything that is on its way to applications, and what an operator may do about it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Final, Protocol, TypeVar

from lwm2m_server.settings import DeliverySettings
from lwm2m_server.sinks.bundler import Bundler, Bundling
from lwm2m_server.sinks.carrier import Carrier
from lwm2m_server.sinks.office import Office
from lwm2m_server.sinks.protocols import Endpoint, Retry, SinkFactory
from lwm2m_server.sinks.statistics import Statistics, Totals
from lwm2m_server.sinks.targets import Targets
from lwm2m_server.store.ledger import SqliteLedger
from lwm2m_server.store.records import DeadLetter, Lane, Load, Notice
from lwm2m_server.store.transaction import Transaction

T = TypeVar("T")

SWEEP: Final = 60.0
"""Seconds between two looks at who has nothing to do."""


class _Worker(Protocol):
    def offer(self, notices: Sequence[Notice]) -> None: ...
    def try_now(self) -> None: ...
    @property
    def is_idle(self) -> bool: ...
    async def close(self) -> None: ...


class Deliveries:
    """Belongs to the event loop it is started on."""

    def __init__(
        self,
        ledger: SqliteLedger,
        targets: Targets,
        factories: Mapping[str, SinkFactory],
        settings: DeliverySettings,
        bundling: Callable[[int], Bundling],
    ) -> None:
        self._ledger, self._bundling = ledger, bundling
        self._office = Office(ledger, targets, factories, settings)
        self._workers: dict[Lane, _Worker] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = 0
        self._sweeping: asyncio.TimerHandle | None = None
        self._idle: set[Lane] = set()
        self._ending: set[asyncio.Task[None]] = set()
        self._on_dropped: Callable[[int], object] = lambda count: None

    def listen(
        self,
        listener: Callable[[Lane, str, int], object],
        dropped: Callable[[int], object] = lambda count: None,
    ) -> None:
        """``listener`` hears of targets that take nothing: why, and how many notices are dead letters now;
        ``dropped`` of dead letters there was no room for."""
        self._office.on_trouble, self._on_dropped = listener, dropped

    def start(self) -> None:
        """With what waited when the server stopped."""
        self._loop, self._thread = asyncio.get_running_loop(), threading.get_ident()
        outbox = self._ledger.outbox
        outbox.on_new = partial(self._hop, self._offer)
        outbox.on_full = partial(self._hop, self._office.refused)
        outbox.on_dropped = partial(self._hop, lambda count: self._on_dropped(count))
        for lane, load in outbox.lanes.items():
            if load.notices:
                self._worker(lane).offer(())
        self._sweeping = self._loop.call_later(SWEEP, self._sweep)

    async def close(self) -> None:
        outbox = self._ledger.outbox
        outbox.on_new = outbox.on_full = outbox.on_dropped = _ignore
        if self._sweeping is not None:
            self._sweeping.cancel()
        await asyncio.gather(*[worker.close() for worker in self._workers.values()])
        self._workers.clear()
        await asyncio.gather(*self._ending)
        await self._office.close()

    # --- what is new ---------------------------------------------------------------------------------

    def _hop(self, hear: Callable[[T], object], news: T) -> None:
        """From the ledger's writer to the loop."""
        if threading.get_ident() == self._thread:
            hear(news)
        elif self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(hear, news)

    def _offer(self, notices: Sequence[Notice]) -> None:
        if len(notices) == 1:
            self._worker(notices[0].lane).offer(notices)
            return
        by_lane: dict[Lane, list[Notice]] = {}
        for notice in notices:
            by_lane.setdefault(notice.lane, []).append(notice)
        for lane, some in by_lane.items():
            self._worker(lane).offer(some)

    def _worker(self, lane: Lane) -> _Worker:
        self._idle.discard(lane)
        worker = self._workers.get(lane)
        if worker is None:
            worker = Bundler(lane, self._office, self._bundling) if lane.own else Carrier(lane, self._office)
            self._workers[lane] = worker
        return worker

    def _sweep(self) -> None:
        """Who had nothing to do twice in a row goes, and what it is connected to with it."""
        assert self._loop is not None
        idle = {lane for lane, worker in self._workers.items() if worker.is_idle}
        for lane in idle & self._idle:
            task = self._loop.create_task(self._workers.pop(lane).close())
            self._ending.add(task)
            task.add_done_callback(self._ending.discard)
        self._idle = idle - self._idle
        self._sweeping = self._loop.call_later(SWEEP, self._sweep)

    # --- what an operator sees and does --------------------------------------------------------------

    def lanes(self, tenant: str) -> Iterator[tuple[Lane, Load, Statistics]]:
        """Those that have something, and those that had since the start."""
        for lane, load in self._ledger.outbox.lanes.items():
            if lane.tenant == tenant:
                yield lane, load, self._office.statistics.get(lane) or Statistics()

    def totals(self) -> Totals:
        """Of all lanes; what went well or wrong is since the start."""
        loads, known = self._ledger.outbox.lanes.values(), self._office.statistics.values()
        return Totals(
            sum(load.notices for load in loads),
            sum(load.bytes for load in loads),
            sum(one.delivered for one in known),
            sum(one.failed for one in known),
            sum(one.dead for one in known),
        )

    def oldest(self, lane: Lane, load: Load) -> Notice | None:
        """The one that waits longest."""
        found = self._ledger.reader.notices(lane, load.number, after=0, limit=1, size=1)
        return found[0] if found and not self._office.has_left(found[0]) else None

    def try_now(self, endpoint: Endpoint) -> None:
        """It can be reached again: what waits for it is not to wait longer."""
        for lane, load in list(self._ledger.outbox.lanes.items()):
            if lane.tenant == endpoint.tenant and load.notices and self._leads_to(lane, endpoint):
                self._worker(lane).try_now()

    def _leads_to(self, lane: Lane, endpoint: Endpoint) -> bool:
        try:
            return self._office.endpoint(lane) == endpoint
        except Retry:
            return False

    async def replay(self, letters: Sequence[DeadLetter]) -> None:
        """They are notices again, behind those that wait, and are tried at once."""

        def revive(write: Transaction) -> None:
            for letter in letters:
                notice = letter.notice
                write.add_notice(notice.lane, notice.subscription, notice.device, notice.body)
            write.remove_dead_letters(letter.notice.id for letter in letters)

        await self._ledger.commit(revive)
        for lane in {letter.notice.lane for letter in letters}:
            self._worker(lane).try_now()

    async def drop(self, letters: Sequence[DeadLetter]) -> None:
        ids = [letter.notice.id for letter in letters]
        await self._ledger.commit(lambda write: write.remove_dead_letters(ids))


def _ignore(news: object) -> None:
    """What nobody waits for."""
