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

from lwm2m_engine.coap import CoapReply, CoapRequest, Code, Peer
from lwm2m_engine.engine import Abort, Engine, Perform, Step
from lwm2m_engine.errors import RequestError
from lwm2m_server import collector
from lwm2m_server.alarm import Alarm
from lwm2m_server.bus import Bus
from lwm2m_server.commits import Commits, Settled
from lwm2m_server.directory import Directory, key_of
from lwm2m_server.logs import Ration
from lwm2m_server.outcomes import kept, refusal
from lwm2m_server.ports import Projection, Transport, Write
from lwm2m_server.security.admission import Admission, Newcomer
from lwm2m_server.store.errors import CommitFailed
from lwm2m_server.store.protocols import Ledger
from lwm2m_server.store.records import Device, DeviceRef
from lwm2m_server.store.transaction import Transaction
from lwm2m_server.tracing import Traces
from lwm2m_server.trail import Trail

T = TypeVar("T")

DOWNLOADS = ("p",)
"""Below it lies what devices fetch."""

_log = structlog.get_logger(__name__)


class Hub:
    """Routes what devices say to the tenants' engines, and settles what comes of that and of wishes.

    It is the gateway's ``Uplink``; ``Wishes`` speaks for applications.
    """

    def __init__(
        self,
        ledger: Ledger,
        projection: Projection,
        bus: Bus,
        *,
        default_tenant: str,
        admission: Admission,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._reader, self._projection, self._bus = ledger.reader, projection, bus
        self._default, self._clock = default_tenant, clock
        self._admission = admission
        self._commits = Commits(ledger, self._heal, self._after)
        self._engines: dict[str, Engine] = {}
        self._transports: dict[str, Transport] = {}
        self._directory = Directory()
        self._exchanges: dict[int, tuple[str, Transport]] = {}
        self._alarm = Alarm(clock, self._next_deadline, self._tick)
        self._closed = False
        self._refusals = Ration()
        self.traces = Traces(clock)
        self.trail: Trail | None = None
        """What the log says at level debug."""
        self.serve: Callable[[CoapRequest, Peer], CoapReply | None] = lambda request, peer: None
        """Answers what is fetched by its name (``DOWNLOADS``), or leaves it to the engines."""
        self.on_restored: Callable[[str], object] = lambda key: None
        """Hears which device its engine knows nothing else of than what the ledger has."""

    # --- assembly ----------------------------------------------------------------------------------

    def add_tenant(self, name: str, engine: Engine) -> None:
        self._engines[name] = engine

    def engine(self, tenant: str) -> Engine:
        return self._engines[tenant]

    def remove_tenant(self, name: str) -> None:
        """One without devices."""
        self._engines.pop(name, None)

    def add_transport(self, listener: str, transport: Transport) -> None:
        """``listener`` is the name in the ``Peer`` of whoever is heard through it."""
        self._transports[listener] = transport

    @property
    def problem(self) -> str | None:
        """Why the ledger cannot keep facts at present."""
        return self._commits.problem

    @property
    def registered(self) -> int:
        """Devices that are registered."""
        return self._directory.registered

    @property
    def under_way(self) -> int:
        """Requests to devices that no answer came to yet."""
        return len(self._exchanges)

    def restore(self) -> list[tuple[str, Step]]:
        """Bring every device back from the ledger; ``resume`` takes the result once transports are there."""
        steps, now = [], self._clock()
        with collector.paused():
            for device, record, ended in self._projection.everything(self._engines, now):
                self._directory.enter(device, record.endpoint)
                step = self._engines[device.tenant].restore((record,), now, resume=True)
                if ended or step.events or step.effects:
                    steps.append((device.tenant, Step(events=(*ended, *step.events), effects=step.effects)))
        return steps

    def resume(self, steps: Sequence[tuple[str, Step]]) -> None:
        """Send what waited when the server stopped, and start the clock."""
        for tenant, step in steps:
            if step.events or step.effects:
                self._settle(tenant, step, kept())
        self._alarm.soon()

    async def close(self) -> None:
        """Stop the clock and wait for what is being committed."""
        self._closed = True
        self._alarm.close()
        await self._commits.drain()

    # --- the gateway's side ------------------------------------------------------------------------

    def receive(self, request: CoapRequest, peer: Peer, answer: Callable[[CoapReply], None]) -> None:
        """A device's request; answered when its facts are durable. 5.03 if they cannot be."""
        if self.traces.active:
            answer = self.traces.uplink(self._sender(request, peer), request, peer, answer)
        if request.path[:1] == DOWNLOADS and (served := self.serve(request, peer)) is not None:
            answer(served)
            return
        try:
            tenant = self._tenant_of(request, peer)
            step = self._engines[tenant].receive(request, peer, self._clock())
        except (RequestError, CommitFailed) as error:
            self._refuse(request, peer, answer, error)
            return
        except Newcomer as newcomer:

            def enrolled(refused: RequestError | None) -> None:
                if refused is None:
                    self.receive(request, peer, answer)
                else:
                    self._refuse(request, peer, answer, refused)

            newcomer.enrol(enrolled)
            return
        reply = step.reply or CoapReply(Code.INTERNAL_SERVER_ERROR)
        if reply.code == Code.FORBIDDEN and request.path == ("rd",):
            self._tell_refusal(request, peer, reply)

        def settled(_: object, error: BaseException | None) -> None:
            answer(reply if error is None else refusal(error))

        self._settle(tenant, step, settled)

    def _refuse(
        self, request: CoapRequest, peer: Peer, answer: Callable[[CoapReply], None], error: Exception
    ) -> None:
        reply = refusal(error)
        if reply.code == Code.FORBIDDEN:
            self._tell_refusal(request, peer, reply)
        answer(reply)

    def _tell_refusal(self, request: CoapRequest, peer: Peer, reply: CoapReply) -> None:
        left_out = self._refusals.take(self._clock())
        if left_out is not None:
            _log.warning(
                "registration refused",
                query="&".join(request.query),
                peer=str(peer),
                reason=reply.payload.decode(errors="replace"),
                hint="lwm2m devices add NAME, lwm2m credentials add NAME, or --unknown-devices create",
                left_out=left_out,
            )

    def is_device(self, peer: Peer) -> bool:
        """Whether a registered device was last heard from there."""
        return any(engine.endpoint_of(peer) is not None for engine in self._engines.values())

    def device_at(self, peer: Peer) -> DeviceRef | None:
        """The registered device that was last heard from there."""
        for engine in self._engines.values():
            endpoint = engine.endpoint_of(peer)
            if endpoint is not None:
                return self._directory.get(endpoint)
        return None

    def knows(self, token: bytes) -> bool:
        return self._observer_of(token) is not None

    def observed(self, token: bytes) -> CoapRequest | None:
        """The request that began a relation."""
        found = self._observer_of(token)
        return found[1].observed(token) if found is not None else None

    def notified(
        self, token: bytes, reply: CoapReply, peer: Peer, settled: Callable[[bool | None], None]
    ) -> None:
        """False for a token nobody waits for, ``None`` if it could not be kept: do not acknowledge then."""
        found = self._observer_of(token)
        if found is None:
            settled(False)
            return
        tenant, engine = found
        if self.traces.active:
            self.traces.notification(engine.observer(token), engine.observed(token), reply)
        step = engine.notified(token, reply, peer, self._clock())
        if step is None:
            # From an address that is not (yet) the device's. A Reset would end a relation that is wanted;
            # unanswered, it will be repeated, perhaps after an Update from there.
            settled(None)
            return
        self._settle(tenant, step, kept(settled))

    def disconnected(self, peer: Peer) -> None:
        """The connection a device was heard over is closed."""
        for tenant, engine in self._engines.items():
            step = engine.disconnected(peer, self._clock())
            if step.events:
                self._settle(tenant, step, kept())

    def acknowledged(self, exchange: int) -> None:
        if self.traces.active:
            self.traces.acknowledged(exchange)
        if exchange in self._exchanges:
            tenant, _ = self._exchanges[exchange]
            self._settle(tenant, self._engines[tenant].acknowledged(exchange, self._clock()), kept())

    def progressed(self, exchange: int, transferred: int, total: int) -> None:
        """A device acknowledged a block of a long request; numbers of bytes."""
        if exchange in self._exchanges:
            tenant, _ = self._exchanges[exchange]
            step = self._engines[tenant].progressed(exchange, transferred, total, self._clock())
            self._settle(tenant, step, kept())

    def answered(
        self, exchange: int, reply: CoapReply, settled: Callable[[bool | None], None] | None = None
    ) -> None:
        if self.traces.active:
            self.traces.answer(exchange, reply)
        if self.trail is not None:
            self.trail.answered(exchange, reply)
        if exchange in self._exchanges:
            tenant, _ = self._exchanges.pop(exchange)
            step = self._engines[tenant].answered(exchange, reply, self._clock())
            self._settle(tenant, step, kept(settled))
        elif settled is not None:
            settled(True)

    def failed(self, exchange: int, reason: str) -> None:
        if self.traces.active:
            self.traces.failure(exchange, reason)
        if self.trail is not None:
            self.trail.failed(exchange, reason)
        if exchange in self._exchanges:
            tenant, _ = self._exchanges.pop(exchange)
            self._settle(tenant, self._engines[tenant].failed(exchange, reason, self._clock()), kept())

    def _observer_of(self, token: bytes) -> tuple[str, Engine] | None:
        for found in self._engines.items():
            if found[1].knows(token):
                return found
        return None

    # --- for wishes ----------------------------------------------------------------------------------

    def now(self) -> float:
        """Seconds since 1970-01-01 UTC."""
        return self._clock()

    def knows_device(self, key: str) -> bool:
        """Whether an engine has to do with the device of this name (``key_of``) at present."""
        return key in self._directory

    def ref(self, key: str) -> DeviceRef | None:
        """What an engine's name of a device stands for."""
        return self._directory.get(key)

    def device(self, key: str) -> DeviceRef | None:
        """The device of this name, if an engine has to do with it at present."""
        return self._directory.get(key)

    def forgotten(self, ref: DeviceRef, done: asyncio.Future[T]) -> None:
        """A device is removed, if ``done`` says so."""
        if not done.cancelled() and done.exception() is None and self._directory.get(ref.endpoint) is ref:
            self._directory.remove(ref.endpoint)
            self.traces.stop(ref.node)

    # --- the rule ------------------------------------------------------------------------------------

    def _settle(
        self,
        tenant: str,
        step: Step,
        settled: Settled,
        *,
        first: Callable[[Transaction], T] | None = None,
        last: Callable[[Transaction], T] | None = None,
        about: str | None = None,
        awaited: bool = False,
    ) -> None:
        """Commit the facts of a step, tell ``settled``; then perform and publish (``Commits.add``)."""
        events = step.events
        keys: Collection[str]
        if len(events) == 1 and not step.effects and about is None:
            keys = (events[0].endpoint,)
        else:
            keys = {event.endpoint for event in events} | {effect.endpoint for effect in step.effects}
            if about is not None:
                keys.add(about)
        writes = self._plan(tenant, step)
        self._commits.add(tenant, step, keys, writes, settled, first=first, last=last, awaited=awaited)
        self._alarm.soon()

    def settle(self, tenant: str, step: Step) -> None:
        """The same for a caller who awaits nothing."""
        self._settle(tenant, step, kept())

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

        self._settle(tenant, step, settled, first=first, last=last, about=about, awaited=True)
        return done

    def _plan(self, tenant: str, step: Step) -> list[Write]:
        writes = []
        plan, models = self._projection.plan, self._engines[tenant].models
        known = self._directory.get
        for event in step.events:
            endpoint = event.endpoint
            ref = known(endpoint)
            if ref is None:
                ref, write = self._projection.admit(tenant, endpoint)
                self._directory.add(ref)
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
                _, transport = self._exchanges.pop(effect.exchange, (None, None))
                if transport is not None:
                    transport.abort(effect.exchange)
            elif not self._closed:
                self._perform(tenant, effect)
        for event in step.events:
            self._directory.note(event)
            self._bus.publish(tenant, event)

    def _perform(self, tenant: str, effect: Perform) -> None:
        transport = self._transports.get(effect.peer.listener)
        if transport is None:
            # The device registered through a listener that was taken out of the settings.
            step = self._engines[tenant].failed(effect.exchange, "unreachable", self._clock())
            self._settle(tenant, step, kept())
            return
        self._exchanges[effect.exchange] = (tenant, transport)
        if self.traces.active:
            self.traces.downlink(effect)
        transport.perform(effect)

    def _heal(self, key: str) -> None:
        """A commit about this device failed: back to what the ledger holds."""
        ref = self._directory.get(key)
        if ref is None:
            return
        engine = self._engines[ref.tenant]
        device = self._reader.device(ref.node)
        if device is None:
            self._directory.remove(key)
            step = engine.forget(key, self._clock())
            self._after(ref.tenant, Step(effects=step.effects))
            self.on_restored(key)
        else:
            self._settle(ref.tenant, self._load(engine, device, key=key, resume=False), kept())

    # --- who is who ----------------------------------------------------------------------------------

    def _tenant_of(self, request: CoapRequest, peer: Peer) -> str:
        """Whose engine a device's request is for. Raises ``RequestError``, ``CommitFailed``."""
        endpoint = self._directory.sender(request, peer, self._engines.values())
        if not endpoint:
            return self._default
        self._commits.refuse_broken(endpoint)
        ref = self._directory.get(endpoint)
        if request.path == ("rd",):
            ref = self._admit(endpoint, ref, peer)
        return ref.tenant if ref is not None else self._default

    def _admit(self, endpoint: str, ref: DeviceRef | None, peer: Peer) -> DeviceRef | None:
        """A device registers: its credentials must let it. Raises ``RequestError``."""
        device = self._reader.device_of_endpoint(endpoint) if ref is None else None
        node = ref.node if ref is not None else device.node if device is not None else None
        self._admission.check(endpoint, node, peer)
        if device is not None and device.tenant in self._engines:
            self._rename(device, endpoint)
            return self._directory.get(endpoint)
        return ref

    def _sender(self, request: CoapRequest, peer: Peer) -> str | None:
        try:
            return self._directory.sender(request, peer, self._engines.values())
        except RequestError:
            return None

    def _rename(self, device: Device, endpoint: str) -> None:
        """A device goes by another name from now on: its own, or one more that fits its node."""
        engine, former = self._engines[device.tenant], key_of(device)
        if self._directory.remove(former) is not None:
            step = engine.forget(former, self._clock())
            self._after(device.tenant, Step(effects=step.effects))
            self.on_restored(former)
        self._load(engine, device, key=endpoint, resume=False)

    def introduce(self, device: Device) -> DeviceRef:
        """The device under the name its engine knows; an engine that does not know it yet learns it.

        Raises ``CommitFailed`` while the engine does not have what the ledger says.
        """
        self._commits.refuse_broken(key_of(device))
        ref = self._directory.get(key_of(device))
        if ref is None:
            self._load(self._engines[device.tenant], device, resume=False)
            ref = self._directory.enter(device, key_of(device))
        return ref

    def _load(self, engine: Engine, device: Device, *, key: str | None = None, resume: bool) -> Step:
        endpoint = key if key is not None else key_of(device)
        self._directory.enter(device, endpoint)
        record = self._projection.record(device, endpoint, engine)
        step = engine.restore((record,), self._clock(), resume=resume)
        self.on_restored(endpoint)
        return step

    # --- time ----------------------------------------------------------------------------------------

    def _next_deadline(self) -> float | None:
        deadlines = (engine.next_deadline() for engine in self._engines.values())
        return min((when for when in deadlines if when is not None), default=None)

    def _tick(self) -> None:
        for tenant, engine in self._engines.items():
            step = engine.tick(self._clock())
            if step.events or step.effects:
                self._settle(tenant, step, kept())
