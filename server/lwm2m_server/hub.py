"""``Hub``: where devices and applications meet. One rule: commit -> reply -> perform -> publish.

Everything that happens becomes a ``Step`` of a tenant's engine. Its facts are committed in one
transaction; only then is the device answered, are requests sent, and do others hear of it. If the
commit fails, the devices it is about are put back to what the ledger holds, and nobody was told.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Sequence
from typing import TypeVar

import structlog

from lwm2m_engine.engine import Abort, Engine, Perform, Step
from lwm2m_server import collector
from lwm2m_server.alarm import Alarm
from lwm2m_server.bus import Bus
from lwm2m_server.commits import Commits, Settled
from lwm2m_server.directory import Directory, key_of
from lwm2m_server.outcomes import kept
from lwm2m_server.ports import Projection, Transport, Write
from lwm2m_server.store.protocols import Ledger
from lwm2m_server.store.records import Device, DeviceRef
from lwm2m_server.store.transaction import Transaction
from lwm2m_server.tracing import Traces
from lwm2m_server.trail import Trail

T = TypeVar("T")

_log = structlog.get_logger(__name__)


class Hub:
    """Settles what comes of what devices say and of what applications wish.

    ``Uplink`` speaks for the ones, ``Wishes`` for the others.
    """

    def __init__(
        self,
        ledger: Ledger,
        projection: Projection,
        bus: Bus,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._reader, self._projection, self._bus = ledger.reader, projection, bus
        self.now = clock
        """Seconds since 1970-01-01 UTC."""
        self.commits = Commits(ledger, self._heal, self._after)
        self.engines: dict[str, Engine] = {}
        """By tenant."""
        self._transports: dict[str, Transport] = {}
        self.directory = Directory()
        self.exchanges: dict[int, tuple[str, Transport]] = {}
        """Requests to devices under way: whose they are."""
        self._alarm = Alarm(clock, self._next_deadline, self._tick)
        self._closed = False
        self.traces = Traces(clock)
        self.trail: Trail | None = None
        """What the log says at level debug."""
        self.on_restored: Callable[[str], object] = lambda key: None
        """Hears which device its engine knows nothing else of than what the ledger has."""

    # --- assembly ----------------------------------------------------------------------------------

    def add_tenant(self, name: str, engine: Engine) -> None:
        self.engines[name] = engine

    def engine(self, tenant: str) -> Engine:
        return self.engines[tenant]

    def remove_tenant(self, name: str) -> None:
        """One without devices."""
        self.engines.pop(name, None)

    def add_transport(self, listener: str, transport: Transport) -> None:
        """``listener`` is the name in the ``Peer`` of whoever is heard through it."""
        self._transports[listener] = transport

    @property
    def problem(self) -> str | None:
        """Why the ledger cannot keep facts at present."""
        return self.commits.problem

    @property
    def registered(self) -> int:
        """Devices that are registered."""
        return self.directory.registered

    @property
    def under_way(self) -> int:
        """Requests to devices that no answer came to yet."""
        return len(self.exchanges)

    def restore(self) -> list[tuple[str, Step]]:
        """Bring every device back from the ledger; ``resume`` takes the result once transports are there."""
        steps, now = [], self.now()
        with collector.paused():
            for device, record, ended in self._projection.everything(self.engines, now):
                self.directory.enter(device, record.endpoint)
                step = self.engines[device.tenant].restore((record,), now, resume=True)
                if ended or step.events or step.effects:
                    steps.append((device.tenant, Step(events=(*ended, *step.events), effects=step.effects)))
        return steps

    def resume(self, steps: Sequence[tuple[str, Step]]) -> None:
        """Send what waited when the server stopped, and start the clock."""
        for tenant, step in steps:
            if step.events or step.effects:
                self.settle(tenant, step)
        self._alarm.soon()

    async def close(self) -> None:
        """Stop the clock and wait for what is being committed."""
        self._closed = True
        self._alarm.close()
        await self.commits.drain()

    # --- for wishes ----------------------------------------------------------------------------------

    def knows_device(self, key: str) -> bool:
        """Whether an engine has to do with the device of this name (``key_of``) at present."""
        return key in self.directory

    def ref(self, key: str) -> DeviceRef | None:
        """What an engine's name of a device stands for."""
        return self.directory.get(key)

    def forgotten(self, ref: DeviceRef, done: asyncio.Future[T]) -> None:
        """A device is removed, if ``done`` says so."""
        if not done.cancelled() and done.exception() is None and self.directory.get(ref.endpoint) is ref:
            self.directory.remove(ref.endpoint)
            self.traces.stop(ref.node)

    # --- the rule ------------------------------------------------------------------------------------

    def settle(
        self,
        tenant: str,
        step: Step,
        settled: Settled | None = None,
        *,
        first: Callable[[Transaction], T] | None = None,
        last: Callable[[Transaction], T] | None = None,
        about: str | None = None,
        awaited: bool = False,
    ) -> None:
        """Commit the facts of a step, tell ``settled`` (or nobody); then perform and publish
        (``Commits.add``)."""
        events = step.events
        keys: Collection[str]
        if len(events) == 1 and not step.effects and about is None:
            keys = (events[0].endpoint,)
        else:
            keys = {event.endpoint for event in events} | {effect.endpoint for effect in step.effects}
            if about is not None:
                keys.add(about)
        writes = self._plan(tenant, step)
        tell = settled if settled is not None else kept()
        self.commits.add(tenant, step, keys, writes, tell, first=first, last=last, awaited=awaited)
        self._alarm.soon()

    def settled(
        self,
        tenant: str,
        step: Step,
        *,
        first: Callable[[Transaction], T] | None = None,
        last: Callable[[Transaction], T] | None = None,
        about: str | None = None,
    ) -> asyncio.Future[T]:
        """The same for a caller who awaits the result of ``first`` or ``last``."""
        done: asyncio.Future[T] = asyncio.get_running_loop().create_future()

        def settled(result: T, error: BaseException | None) -> None:
            if done.done():
                return
            if error is None:
                done.set_result(result)
            else:
                done.set_exception(error)

        self.settle(tenant, step, settled, first=first, last=last, about=about, awaited=True)
        return done

    def _plan(self, tenant: str, step: Step) -> list[Write]:
        writes = []
        plan, models = self._projection.plan, self.engines[tenant].models
        known = self.directory.get
        for event in step.events:
            endpoint = event.endpoint
            ref = known(endpoint)
            if ref is None:
                ref, write = self._projection.admit(tenant, endpoint)
                self.directory.add(ref)
                writes.append(write)
            planned = plan(event, ref, models)
            if planned is not None:
                writes.append(planned)
        return writes

    def _after(self, tenant: str, step: Step) -> None:
        if self.trail is not None:
            self.trail.follow(tenant, step)
        for effect in step.effects:
            if isinstance(effect, Abort):
                self.traces.failure(effect.exchange, "given up")
                _, transport = self.exchanges.pop(effect.exchange, (None, None))
                if transport is not None:
                    transport.abort(effect.exchange)
            elif not self._closed:
                self._perform(tenant, effect)
        for event in step.events:
            self.directory.note(event)
            self._bus.publish(tenant, event)

    def _perform(self, tenant: str, effect: Perform) -> None:
        transport = self._transports.get(effect.peer.listener)
        if transport is None:
            # The device registered through a listener that was taken out of the settings.
            step = self.engines[tenant].failed(effect.exchange, "unreachable", self.now())
            self.settle(tenant, step)
            return
        self.exchanges[effect.exchange] = (tenant, transport)
        if self.traces.active:
            self.traces.downlink(effect)
        transport.perform(effect)

    def _heal(self, key: str) -> None:
        """A commit about this device failed: back to what the ledger holds."""
        ref = self.directory.get(key)
        if ref is None:
            return
        engine = self.engines[ref.tenant]
        device = self._reader.device(ref.node)
        if device is None:
            self.directory.remove(key)
            step = engine.forget(key, self.now())
            self._after(ref.tenant, Step(effects=step.effects))
            self.on_restored(key)
        else:
            self.settle(ref.tenant, self._load(engine, device, key=key, resume=False))

    # --- who is who ----------------------------------------------------------------------------------

    def rename(self, device: Device, endpoint: str) -> None:
        """A device goes by another name from now on: its own, or one more that fits its node."""
        engine, former = self.engines[device.tenant], key_of(device)
        if self.directory.remove(former) is not None:
            step = engine.forget(former, self.now())
            self._after(device.tenant, Step(effects=step.effects))
            self.on_restored(former)
        self._load(engine, device, key=endpoint, resume=False)

    def introduce(self, device: Device) -> DeviceRef:
        """The device under the name its engine knows; an engine that does not know it yet learns it.

        Raises ``CommitFailed`` while the engine does not have what the ledger says.
        """
        self.commits.refuse_broken(key_of(device))
        ref = self.directory.get(key_of(device))
        if ref is None:
            self._load(self.engines[device.tenant], device, resume=False)
            ref = self.directory.enter(device, key_of(device))
        return ref

    def _load(self, engine: Engine, device: Device, *, key: str | None = None, resume: bool) -> Step:
        endpoint = key if key is not None else key_of(device)
        self.directory.enter(device, endpoint)
        record = self._projection.record(device, endpoint, engine)
        step = engine.restore((record,), self.now(), resume=resume)
        self.on_restored(endpoint)
        return step

    # --- time ----------------------------------------------------------------------------------------

    def _next_deadline(self) -> float | None:
        deadlines = (engine.next_deadline() for engine in self.engines.values())
        return min((when for when in deadlines if when is not None), default=None)

    def _tick(self) -> None:
        for tenant, engine in self.engines.items():
            step = engine.tick(self.now())
            if step.events or step.effects:
                self.settle(tenant, step)
