"""``Updates``: packages on their way to devices. Each is a state machine whose course is durable before
anything is asked of the device, so that a restart goes on where the device is."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence

import attrs
import structlog

from lwm2m_engine.engine.events import Deregistered, Event, Expired, Received, Registered
from lwm2m_server.bus import Bus
from lwm2m_server.directory import key_of
from lwm2m_server.store.definitions import Package
from lwm2m_server.store.errors import CommitFailed
from lwm2m_server.store.protocols import Collection, Ledger
from lwm2m_server.store.records import Device
from lwm2m_server.updates.course import Action, Course, Patience, Plan, State
from lwm2m_server.updates.machine import (
    Again,
    Approve,
    Away,
    Begin,
    Came,
    Cancel,
    Input,
    Moved,
    Seen,
    Tick,
    Went,
    advance,
)
from lwm2m_server.updates.objects import ADVANCED, FIRMWARE, SOFTWARE
from lwm2m_server.updates.performing import Errand, Performer
from lwm2m_server.updates.records import Moment, Options, Update, UpdateRefused, from_row, to_row
from lwm2m_server.updates.surveying import by_instance
from lwm2m_server.updates.ways import ways_of

Listener = Callable[[Update], object]

PAGE = 500
RETRY_AFTER = 1.0
"""Seconds after which the store is tried again."""

_log = structlog.get_logger(__name__)


@attrs.define(eq=False)
class _Run:
    """An update that is not over."""

    update: Update
    key: str
    """Of the device, in its engine."""
    task: asyncio.Task[None] | None = None
    action: Action | None = None
    timer: asyncio.TimerHandle | None = None
    pending: int = 0
    """Commits under way."""

    def stop(self) -> None:
        if self.task is not None:
            self.task.cancel()
        if self.timer is not None:
            self.timer.cancel()
        self.task = self.action = self.timer = None


class Updates:
    """Belongs to the event loop. Call ``start`` when devices can be heard."""

    def __init__(
        self,
        ledger: Ledger,
        packages: Collection[Package],
        performer: Performer,
        bus: Bus,
        *,
        patience: Patience = Patience(),  # noqa: B008 - frozen
        at_once: int = 50,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Of packages that are pushed, ``at_once`` are on their way."""
        self._ledger, self._reader, self._packages = ledger, ledger.reader, packages
        self._performer, self._bus = performer, bus
        self._patience, self._clock = patience, clock
        self._pushes = asyncio.Semaphore(at_once)
        self._runs: dict[int, _Run] = {}
        self._by_key: dict[str, set[int]] = {}
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
    ) -> Update:
        """Raises ``UpdateRefused``, ``Gone``, ``CommitFailed``."""
        self._check(device, package)
        now = self._clock()
        plan = self._plan(package, options)
        update = Update(
            0,
            device.tenant,
            device.node,
            device.name,
            package.type,
            package.name,
            campaign,
            plan,
            options,
            Course(),
            now,
            now,
            size=package.size or None,
            timeline=(Moment(now, State.QUEUED),),
        )
        id = await self._ledger.commit(lambda write: write.add_update(to_row(update)))
        update = attrs.evolve(update, id=id)
        run = self._enter(update, device)
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
        self._check(device, package)
        again = attrs.evolve(update.moved(course, self._clock()), instance=None)
        await self._store(again)
        run = self._enter(again, device)
        self._tell(again)
        self._put(run, Begin())
        return run.update

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
                    self._put(self._enter(from_row(row), device), Begin())
            after = rows[-1].id
            await asyncio.sleep(0)

    async def close(self) -> None:
        """Leave everything as it is."""
        self._closed = True
        tasks = [run.task for run in self._runs.values() if run.task is not None]
        for run in self._runs.values():
            run.stop()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _enter(self, update: Update, device: Device) -> _Run:
        run = self._runs[update.id] = _Run(update, key_of(device))
        self._by_key.setdefault(run.key, set()).add(update.id)
        return run

    def _leave(self, run: _Run) -> None:
        run.stop()
        self._runs.pop(run.update.id, None)
        others = self._by_key.get(run.key, set())
        others.discard(run.update.id)
        if not others:
            self._by_key.pop(run.key, None)

    # --- a new update --------------------------------------------------------------------------------

    def _check(self, device: Device, package: Package) -> None:
        """Two at a time would take each other's place on the device."""
        for row in self._reader.updates_of(device.node):
            if not row.is_open:
                continue
            other = from_row(row)
            if other.kind == package.type and (package.type == "firmware" or row.package == package.name):
                raise UpdateRefused(f"update {row.id} ({row.package}) of {device.name} is not over")

    def _plan(self, package: Package, options: Options) -> Plan:
        object = SOFTWARE if package.type == "software" else FIRMWARE
        if package.type == "firmware" and (options.component is not None or options.instance is not None):
            object = ADVANCED
        return Plan(
            object,
            package.title or package.name,
            package.version,
            ways=ways_of(package, options.method),
            comparison=options.comparison,
            source=options.source,
            needs_approval=options.needs_approval,
            install_after=options.install_after,
            is_forced=options.is_forced,
            activates=options.activates,
            attempts=options.attempts,
            patience=self._patience,
        )

    # --- what happens --------------------------------------------------------------------------------

    async def _wish(self, update: Update, input: Input) -> Update:
        run, now = self._runs.get(update.id), self._clock()
        if run is None:
            advance(update.plan, update.course, input, now)
            return update
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._change(
            run, run.update.moved(advance(run.update.plan, run.update.course, input, now), now), done
        )
        await done
        return run.update

    def _heard(self, tenant: str, event: Event) -> None:
        if not self._runs:
            return
        if isinstance(event, Registered):
            self._find_strangers(event.endpoint)
        for id in tuple(self._by_key.get(event.endpoint, ())):
            run = self._runs[id]
            if isinstance(event, Registered):
                self._stop_looking(run)
                self._put(run, Came())
            elif isinstance(event, (Deregistered, Expired)):
                self._put(run, Went())
            elif isinstance(event, Received) and event.kind != "response":
                self._notified(run, event)

    def _find_strangers(self, endpoint: str) -> None:
        """A device registers for the first time, or under another name: it goes by that from now on."""
        if endpoint in self._by_key:
            return
        device = self._reader.device_of_endpoint(endpoint)
        if device is None:
            return
        for run in [one for one in self._runs.values() if one.update.node == device.node]:
            self._leave(run)
            self._enter(run.update, device)

    def _stop_looking(self, run: _Run) -> None:
        """What was asked before the registration may never be answered."""
        if run.action is Action.SURVEY and run.task is not None:
            run.task.cancel()
            run.task = run.action = None

    def _notified(self, run: _Run, event: Received) -> None:
        update = run.update
        values = by_instance(entry for entry in event.entries if entry.path[:1] == (update.plan.object,))
        if update.instance in values:
            self._put(run, Seen(update.plan.at.facts(values[update.instance])))

    def _put(self, run: _Run, input: Input) -> None:
        if self._closed or self._runs.get(run.update.id) is not run:
            return
        course = advance(run.update.plan, run.update.course, input, self._clock())
        self._change(run, run.update.moved(course, self._clock()))

    def _change(self, run: _Run, update: Update, done: asyncio.Future[None] | None = None) -> None:
        """Keep what is new, then follow it. Bytes are not kept: there are too many of them."""
        former, run.update = run.update, update
        if done is None and _kept(former) == _kept(update):
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
        run.pending += 1
        try:
            self._ledger.submit(lambda write: write.put_update(row), settled)
        except CommitFailed as error:
            settled(None, error)

    def _take(self, run: _Run) -> None:
        """It is durable."""
        update = run.update
        if update.is_over:
            self._leave(run)
            self._end(update)
        else:
            self._follow(run)
        self._tell(update)

    def _lost(self, run: _Run, error: BaseException) -> None:
        """The store failed: back to what it has, which is looked at like after a restart."""
        _log.error("an update could not be stored", update=run.update.id, reason=str(error))
        run.stop()
        if not self._closed:
            loop = asyncio.get_running_loop()
            run.timer = loop.call_later(RETRY_AFTER, self._reload, run)

    def _reload(self, run: _Run) -> None:
        row = self._reader.update(run.update.id)
        if row is None:
            self._leave(run)
            return
        run.update = from_row(row)
        self._put(run, Begin())

    async def _store(self, update: Update) -> None:
        row = to_row(update)
        await self._ledger.commit(lambda write: write.put_update(row))

    def _tell(self, update: Update) -> None:
        for listener in self._listeners:
            listener(update)

    # --- what is to be done --------------------------------------------------------------------------

    def _follow(self, run: _Run) -> None:
        """One task for what is asked, one timer for what is waited for."""
        course, loop = run.update.course, asyncio.get_running_loop()
        if run.timer is not None:
            run.timer.cancel()
            run.timer = None
        if course.due is not None:
            run.timer = loop.call_later(max(course.due - self._clock(), 0.0), self._put, run, Tick())
        if run.action is course.doing:
            return
        if run.task is not None:
            run.task.cancel()
        run.action, run.task = course.doing, None
        if course.doing is not None:
            run.task = loop.create_task(self._do(run, course.doing), name=f"update {run.update.id}")

    async def _do(self, run: _Run, action: Action) -> None:
        device = self._reader.device(run.update.node)
        if device is None:
            self._leave(run)
            return
        if device.registration is None:
            self._answer(run, Away())
            return
        package = self._packages.get(run.update.tenant, run.update.package)
        errand = Errand(run.update, device, package, lambda bytes: self._put(run, Moved(bytes)))
        if action is Action.PUSH:
            async with self._pushes:
                input = await self._performer.perform(action, errand, None)
        else:
            if action in (Action.OFFER, Action.INSTALL):
                await self._watch(run, device)
            input = await self._performer.perform(action, errand, self._patience.install)
        self._learn(run, errand)
        self._answer(run, input)

    async def _watch(self, run: _Run, device: Device) -> None:
        observed = [path for one in self._reader.observations(device.node) for path in one.paths]
        made = await self._performer.watch(run.update, device, tuple(observed))
        if made:
            self._change(run, attrs.evolve(run.update, observed=(*run.update.observed, *made)))

    def _learn(self, run: _Run, errand: Errand) -> None:
        found = errand.update
        if found.instance == run.update.instance and found.plan.object == run.update.plan.object:
            return
        plan = attrs.evolve(run.update.plan, object=found.plan.object)
        run.update = attrs.evolve(run.update, plan=plan, instance=found.instance)

    def _answer(self, run: _Run, input: Input) -> None:
        run.task = run.action = None
        self._put(run, input)

    def _end(self, update: Update) -> None:
        device = self._reader.device(update.node)
        if update.observed and device is not None and not self._closed:
            asyncio.get_running_loop().create_task(self._performer.unwatch(update, device))


def _kept(update: Update) -> tuple[Course, object, object]:
    """Without what changes with each block, and is worked out again after a restart."""
    return attrs.evolve(update.course, transferred=0, alive=0.0), update.observed, update.instance
