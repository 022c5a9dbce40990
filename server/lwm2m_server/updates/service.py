"""``Updates``: packages on their way to devices. Each is a state machine whose course is durable before
anything is asked of the device, so that a restart goes on where the device is."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial

import attrs
import structlog

from lwm2m_engine.engine.events import Deregistered, Event, Expired, Received, Registered
from lwm2m_server.bus import Bus
from lwm2m_server.store.definitions import Package
from lwm2m_server.store.errors import CommitFailed
from lwm2m_server.store.protocols import Collection, Ledger
from lwm2m_server.store.records import Device
from lwm2m_server.store.transaction import Transaction
from lwm2m_server.updates.course import Action, Course, Patience, State
from lwm2m_server.updates.machine import (
    Again,
    Approve,
    Away,
    Begin,
    Came,
    Cancel,
    Input,
    Moved,
    NotDone,
    Seen,
    Tick,
    Went,
    advance,
)
from lwm2m_server.updates.offers import Offers
from lwm2m_server.updates.performing import Errand, Performer, offer_of
from lwm2m_server.updates.planning import new_update, refuse_second
from lwm2m_server.updates.records import Options, Update, UpdateRefused, from_row, to_row
from lwm2m_server.updates.runs import Run, Runs
from lwm2m_server.updates.surveying import by_instance

Listener = Callable[[Update], object]
Told = Callable[[Update], str | None]

PAGE = 500
STEPS = 200
"""A download is told of in at most so many."""
_FETCHING = frozenset({State.OFFERED, State.TRANSFERRING})
RETRY_AFTER = 1.0
"""Seconds after which the store is tried again."""

_log = structlog.get_logger(__name__)


class Updates:
    """Belongs to the event loop. Call ``start`` when devices can be heard."""

    def __init__(
        self,
        ledger: Ledger,
        packages: Collection[Package],
        performer: Performer,
        offers: Offers,
        bus: Bus,
        *,
        patience: Patience = Patience(),  # noqa: B008 - frozen
        told: Told = lambda update: None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """``told`` makes the line of the journal that tells a new state of an update."""
        self._ledger, self._reader, self._packages = ledger, ledger.reader, packages
        self._performer, self._offers, self._bus = performer, offers, bus
        offers.fetched = self._fetched
        self._patience, self._told, self._clock = patience, told, clock
        self._runs = Runs()
        self._listeners: list[Listener] = []
        self._closed = False

    # --- for others --------------------------------------------------------------------------------

    def listen(self, listener: Listener) -> None:
        """``listener`` hears of every change once it is durable, and of progress; it must return at once."""
        self._listeners.append(listener)

    async def begin(
        self,
        device: Device,
        package: Package,
        *,
        campaign: str | None = None,
        options: Options = Options(),  # noqa: B008 - frozen
        also: Callable[[Transaction, int], object] = lambda write, id: None,
    ) -> Update:
        """``also`` is stored together with it. Raises ``UpdateRefused``, ``Gone``, ``CommitFailed``."""
        update = new_update(device, package, campaign, options, self._patience, self._clock())

        def add(write: Transaction) -> int:
            refuse_second(update, write.updates_of(device.node))
            id = write.add_update(to_row(update))
            self._note(write, attrs.evolve(update, id=id))
            also(write, id)
            return id

        id = await self._ledger.commit(add)
        update = attrs.evolve(update, id=id)
        run = self._runs.enter(update, device)
        self._tell(update)
        self._put(run, Begin())
        return update

    async def approve(self, update: Update) -> Update:
        """Let it be installed. Raises ``NotPossible``, ``CommitFailed``."""
        return await self._wish(update, Approve())

    async def cancel(self, update: Update) -> Update:
        """Raises ``NotPossible`` once the device installs, ``CommitFailed``."""
        return await self._wish(update, Cancel())

    async def retry(self, update: Update) -> Update:
        """From the beginning, one that failed or was cancelled. Raises ``NotPossible``, ``UpdateRefused``,
        ``CommitFailed``."""
        course = advance(update.plan, update.course, Again(), self._clock())
        device, package = self._reader.device(update.node), self._packages.get(update.tenant, update.package)
        if device is None or package is None:
            raise UpdateRefused("the device was removed" if device is None else "the package was deleted")
        again = attrs.evolve(update.moved(course, self._clock()), instance=None)

        def put(write: Transaction) -> None:
            refuse_second(again, write.updates_of(device.node))
            write.put_update(to_row(again))
            self._note(write, again)

        await self._ledger.commit(put)
        run = self._runs.enter(again, device)
        self._tell(again)
        self._put(run, Begin())
        return run.update

    @property
    def open(self) -> Iterator[Update]:
        """Those that are not over."""
        return (run.update for run in self._runs)

    def get(self, id: int) -> Update | None:
        run = self._runs.get(id)
        if run is not None:
            return run.update
        row = self._reader.update(id)
        return from_row(row) if row is not None else None

    def of(self, device: Device) -> Sequence[Update]:
        """The newest first."""
        return [self._current(from_row(row)) for row in self._reader.updates_of(device.node)]

    def current(self, updates: Iterable[Update]) -> list[Update]:
        """The same as far as they are now: the store does not know each block."""
        return [self._current(update) for update in updates]

    def _current(self, update: Update) -> Update:
        run = self._runs.get(update.id)
        return run.update if run is not None else update

    # --- beginning and end ---------------------------------------------------------------------------

    async def start(self) -> None:
        """Go on with what is not over."""
        self._bus.subscribe(self._heard, Registered, Deregistered, Expired, Received)
        after = 0
        while rows := self._reader.open_updates(after=after, limit=PAGE):
            for row in rows:
                device = self._reader.device(row.node)
                if device is not None:
                    run = self._runs.enter(from_row(row), device)
                    self._offer_again(run.update, device)
                    self._put(run, Begin())
            after = rows[-1].id
            await asyncio.sleep(0)

    async def close(self) -> None:
        """Leave everything as it is."""
        self._closed = True
        tasks = [run.task for run in self._runs if run.task is not None]
        for run in self._runs:
            run.stop()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _offer_again(self, update: Update, device: Device) -> None:
        """A device may be in the middle of its download."""
        package = self._packages.get(update.tenant, update.package)
        if update.offer is not None and package is not None and update.state in _FETCHING:
            self._offers.restore(update.offer, offer_of(update, package, device, update.offer_expires_at))

    # --- what happens --------------------------------------------------------------------------------

    async def _wish(self, update: Update, input: Input) -> Update:
        run, now = self._runs.get(update.id), self._clock()
        if run is None:
            advance(update.plan, update.course, input, now)
            return update
        course = advance(run.update.plan, run.update.course, input, now)
        await self._kept(run, run.update.moved(course, now))
        return run.update

    async def _kept(self, run: Run, update: Update) -> None:
        """Wait until it is durable. Raises ``CommitFailed``."""
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._change(run, update, done)
        await done

    def _heard(self, tenant: str, event: Event) -> None:
        if not self._runs:
            return
        if isinstance(event, Registered):
            self._find_strangers(event.endpoint)
        for run in self._runs.of(event.endpoint):
            if isinstance(event, Registered):
                if run.action is Action.SURVEY:
                    # What was asked before the registration may never be answered.
                    run.stop_asking()
                self._put(run, Came())
            elif isinstance(event, (Deregistered, Expired)):
                self._put(run, Went())
            elif isinstance(event, Received) and event.kind != "response" and not event.prefix:
                self._notified(run, event)

    def _find_strangers(self, endpoint: str) -> None:
        """A device registers for the first time, or under another name."""
        if not self._runs.of(endpoint):
            device = self._reader.device_of_endpoint(endpoint)
            if device is not None:
                self._runs.rename(device)

    def _notified(self, run: Run, event: Received) -> None:
        update = run.update
        values = by_instance(entry for entry in event.entries if entry.path[:1] == (update.plan.object,))
        if update.instance in values:
            self._put(run, Seen(update.plan.at.facts(values[update.instance])))

    def _put(self, run: Run, input: Input) -> None:
        if self._closed or run not in self._runs:
            return
        course = advance(run.update.plan, run.update.course, input, self._clock())
        self._change(run, run.update.moved(course, self._clock()))

    def _change(self, run: Run, update: Update, done: asyncio.Future[None] | None = None) -> None:
        """Keep what is new, then follow it. Bytes are not kept: there are too many of them."""
        former, run.update = run.update, update
        if done is None and _durable(former) == _durable(update):
            if not run.pending:
                self._follow(run)
                self._tell(update)
            return

        def settled(_: object, error: BaseException | None) -> None:
            run.pending -= 1
            if error is None and not run.pending:
                self._take(run)
            elif error is not None:
                self._lost(run, error)
            if done is not None and not done.done():
                done.set_result(None) if error is None else done.set_exception(error)

        row = to_row(update)

        def put(write: Transaction) -> None:
            write.put_update(row)
            if update.state is not former.state:
                self._note(write, update)

        run.pending += 1
        try:
            self._ledger.submit(put, settled)
        except CommitFailed as error:
            settled(None, error)

    def _take(self, run: Run) -> None:
        """It is durable."""
        update = run.update
        if update.state not in _FETCHING:
            self._offers.end(update.id)
        if update.is_over:
            self._runs.leave(run)
            self._end(update)
        else:
            self._follow(run)
        self._tell(update)

    def _lost(self, run: Run, error: BaseException) -> None:
        """The store failed: back to what it has, which is looked at like after a restart."""
        _log.error("an update could not be stored", update=run.update.id, reason=str(error))
        run.stop()
        if not self._closed:
            loop = asyncio.get_running_loop()
            run.timer = loop.call_later(RETRY_AFTER, self._reload, run)

    def _reload(self, run: Run) -> None:
        row = self._reader.update(run.update.id)
        if row is None:
            self._runs.leave(run)
            return
        run.update = from_row(row)
        self._put(run, Begin())

    def _note(self, write: Transaction, update: Update) -> None:
        line = self._told(update)
        if line is not None:
            write.note_event(line)

    def _tell(self, update: Update) -> None:
        for listener in self._listeners:
            listener(update)

    # --- what is to be done --------------------------------------------------------------------------

    def _follow(self, run: Run) -> None:
        """One task for what is asked, one timer for what is waited for."""
        course, loop = run.update.course, asyncio.get_running_loop()
        run.stop_waiting()
        if course.due is not None:
            run.timer = loop.call_later(max(course.due - self._clock(), 0.0), self._put, run, Tick())
        if run.action is course.doing:
            return
        run.stop_asking()
        if course.doing is not None:
            run.action = course.doing
            run.task = loop.create_task(self._do(run, course.doing), name=f"update {run.update.id}")

    async def _do(self, run: Run, action: Action) -> None:
        device = self._reader.device(run.update.node)
        if device is None:
            self._runs.leave(run)
            return
        if device.registration is None:
            self._answer(run, Away())
            return
        package = self._packages.get(run.update.tenant, run.update.package)
        errand = Errand(run.update, device, package, partial(self._moved, run))
        try:
            input = await self._attempt(run, action, errand)
        except (CommitFailed, UpdateRefused) as error:
            input = NotDone(action, str(error), is_silent=isinstance(error, CommitFailed))
        self._learn(run, errand)
        self._answer(run, input)

    async def _attempt(self, run: Run, action: Action, errand: Errand) -> Input:
        if action in (Action.OFFER, Action.INSTALL):
            await self._watch(run, errand.device)
        if action is Action.OFFER:
            self._performer.prepare(errand)
            kept = attrs.evolve(
                run.update, offer=errand.update.offer, offer_expires_at=errand.update.offer_expires_at
            )
            await self._kept(run, kept)
        return await self._performer.perform(action, errand, self._patience.install)

    def _moved(self, run: Run, bytes: int, *, is_all: bool = False) -> None:
        """Not each block is worth a word."""
        known, size = run.update.course.transferred, run.update.size or 0
        if is_all or bytes >= size or bytes < known or bytes - known >= size // STEPS:
            self._put(run, Moved(bytes, is_all))

    def _fetched(self, update: int, bytes: int, is_last: bool) -> None:
        run = self._runs.get(update)
        if run is not None:
            self._moved(run, bytes, is_all=is_last)

    async def _watch(self, run: Run, device: Device) -> None:
        observed = [path for one in self._reader.observations(device.node) for path in one.paths]
        made = await self._performer.watch(run.update, device, tuple(observed))
        if made:
            self._change(run, attrs.evolve(run.update, observed=(*run.update.observed, *made)))

    def _learn(self, run: Run, errand: Errand) -> None:
        found = errand.update
        run.update = attrs.evolve(
            run.update, plan=found.plan, instance=found.instance, protocols=found.protocols
        )

    def _answer(self, run: Run, input: Input) -> None:
        run.task = run.action = None
        self._put(run, input)

    def _end(self, update: Update) -> None:
        device = self._reader.device(update.node)
        if update.observed and device is not None and not self._closed:
            asyncio.get_running_loop().create_task(self._performer.unwatch(update, device))


def _durable(update: Update) -> tuple[Course, object, object]:
    """Without what changes with each block, and is worked out again after a restart."""
    return attrs.evolve(update.course, transferred=0, alive=0.0), update.observed, update.instance
