"""``Calls``: RPCs to devices, from the call to its outcome, over restarts of the server.

The messages of an RPC wait in ``outgoing-msg`` like those of applications, and a row stands beside them. What
becomes of a message changes the row in the same transaction: whenever the server stops, both tell the same.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final, TypeAlias

import attrs
import structlog

from lwm2m_engine.coap import is_success
from lwm2m_engine.engine.events import (
    Awake,
    Event,
    Failed,
    Held,
    Observed,
    Received,
    Registered,
    Sent,
    Started,
    Updated,
)
from lwm2m_engine.engine.presence import Presence
from lwm2m_engine.errors import LwM2MError, RequestError
from lwm2m_engine.messages import parse_json
from lwm2m_engine.model.view import ModelView
from lwm2m_server.bus import Bus
from lwm2m_server.directory import key_of
from lwm2m_server.onem2m.devices import Devices
from lwm2m_server.ports import Errand
from lwm2m_server.rpc import progress, results
from lwm2m_server.rpc.appointments import Appointments
from lwm2m_server.rpc.beginning import begun
from lwm2m_server.rpc.call import Call
from lwm2m_server.rpc.messages import waiting
from lwm2m_server.rpc.methods import Plan, Scene, method_named
from lwm2m_server.rpc.retention import tidy
from lwm2m_server.rpc.targets import Naming
from lwm2m_server.settings import Settings
from lwm2m_server.store.documents import loads
from lwm2m_server.store.errors import CommitFailed, ContainerFull, Gone
from lwm2m_server.store.ids import Ids, NodeIds
from lwm2m_server.store.protocols import Ledger
from lwm2m_server.store.records import Device, DeviceRef, Message
from lwm2m_server.store.rpc import Rpc, State
from lwm2m_server.store.transaction import Transaction

NamingOf: TypeAlias = Callable[[Device, ModelView], Naming]
Add: TypeAlias = Callable[..., int]
"""Stores a message, told whether it has ``started``."""
Remove: TypeAlias = Callable[[Transaction, int, int], None]
"""Takes a message out of its container."""

BATCH: Final = 50
"""Messages of one RPC that are stored together."""
TIDY_EVERY: Final = 3600.0
"""Seconds."""
_TIDYING: Final = 0
"""In place of the number of an RPC."""

_log = structlog.get_logger(__name__)


class NotRegistered(LwM2MError):
    """The device cannot be asked now, and the call is not one that waits."""


class Calls:
    """Belongs to the event loop. ``plan`` is asked before an event is committed, the bus tells after it."""

    def __init__(
        self,
        ledger: Ledger,
        devices: Devices,
        ids: Ids,
        naming: NamingOf,
        settings: Settings,
        bus: Bus,
        *,
        add: Add,
        remove: Remove,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._ledger, self._reader, self._devices = ledger, ledger.reader, devices
        self._ids, self._naming, self._settings, self._clock = ids, naming, settings, clock
        self._add, self._remove = add, remove
        self._errands: dict[int, int] = {}
        """By message the RPC it stands for."""
        self._awaited: dict[int, asyncio.Future[Rpc]] = {}
        self._appointments = Appointments(clock)
        self._called: dict[int, State] = {}
        """What the outcome of an RPC is to be that is being taken back."""
        self._observed: Observed | None = None
        bus.subscribe(self._heard, Received, Failed)
        bus.subscribe(self._contact, Registered, Updated, Awake)

    # --- life --------------------------------------------------------------------------------------

    async def restore(self) -> None:
        """Take up what the last run of the server left; before the hub does."""
        now, settings = self._clock(), self._settings.rpc
        lost = await self._ledger.apart(lambda reader: reader.lost_errands())
        for message, rpc in lost:
            result = {"error": "its message is not there any more"}
            await self._ledger.commit(progress.concluded(rpc, message, "FAILED", result, now, settings))
        self._errands = dict(await self._ledger.apart(lambda reader: reader.errands()))

    async def resume(self) -> None:
        """Send again what is due, once devices can be reached."""
        for rpc, node, at in await self._ledger.apart(lambda reader: reader.retries()):
            self._schedule(rpc, node, at)
        await self._tidy()

    async def close(self) -> None:
        await self._appointments.close()

    async def _tidy(self) -> None:
        await tidy(self._ledger, self._clock() - self._settings.rpc.keep_for)
        self._appointments.make(_TIDYING, self._clock() + TIDY_EVERY, self._tidy)

    # --- what clients ask --------------------------------------------------------------------------

    def naming(self, device: Device) -> Naming:
        """What the Resources of a device are called."""
        return self._naming(device, self._devices.models(device))

    def check(self, device: Device, call: Call) -> tuple[Plan, Sequence[str]]:
        """What would be sent, and what of the call is tolerated. Raises ``RequestError``."""
        scene = self._scene(device)
        plan = method_named(call.method)(scene, call.params)
        return plan, tuple(scene.targets.notes)

    async def call(self, device: Device, call: Call) -> Rpc:
        """The RPC as it is when there is something to tell: its outcome, or that it waits.

        Raises ``RequestError`` for what the device cannot be asked, ``NotRegistered``, ``ContainerFull``,
        ``Gone``, ``CommitFailed``.
        """
        scene = self._scene(device)
        plan = method_named(call.method)(scene, call.params)
        presence = self._devices.state(device)
        now = self._clock()
        is_light = self._is_light(device, call, plan, presence)
        until = now + (call.timeout if is_light else self._settings.messages.ttl)
        rpc = begun(self._ids.next(), device.node, call, plan, scene.targets.notes, now, until)
        if plan.known is not None:
            return await self._keep(rpc)
        awaited = asyncio.get_running_loop().create_future() if is_light and not call.one_way else None
        if awaited is not None:
            self._awaited[rpc.id] = awaited
        try:
            rpc = await self._submit(device, rpc)
            if is_light and rpc.waits:
                self._appointments.make(rpc.id, now + call.timeout, partial(self._time_over, rpc.id))
            return rpc if awaited is None or not rpc.waits else await awaited
        finally:
            self._awaited.pop(rpc.id, None)

    def _is_light(self, device: Device, call: Call, plan: Plan, presence: Presence) -> bool:
        """Whether it is over when nobody waits for it any more. What a sleeper is asked waits by itself."""
        if call.persistent or plan.known is not None:
            return False
        if not presence.registered and not plan.is_quiet:
            raise NotRegistered(
                f'{device.name} is not registered; with "persistent": true the RPC waits until it is'
            )
        return presence.awake is not False

    def _scene(self, device: Device) -> Scene:
        models = self._devices.models(device)
        naming, observations = self._naming(device, models), self._reader.observations(device.node)
        return Scene.of(device.name, device.registration, models, naming, observations)

    async def _keep(self, rpc: Rpc) -> Rpc:
        def keep(write: Transaction) -> None:
            write.put_rpc(rpc)
            write.prune_rpcs(rpc.node, self._settings.rpc.keep)

        await self._devices.change(keep)
        return rpc

    # --- to the device -----------------------------------------------------------------------------

    async def _submit(self, device: Device, rpc: Rpc) -> Rpc:
        """Put its messages into the device's queue. Returns it as it is afterwards."""
        models = self._devices.models(device)
        requests = [parse_json(loads(text), models) for text in rpc.messages]
        messages = [waiting(self._ids.next(), rpc, text) for text in rpc.messages]
        errands = [
            Errand(message.id, request, message.deadline)
            for message, request in zip(messages, requests, strict=True)
        ]
        self._errands.update((message.id, rpc.id) for message in messages)
        try:
            for first in range(0, len(messages), BATCH):
                batch = slice(first, first + BATCH)
                store = partial(self._store, rpc, messages, messages[batch])
                found = await self._devices.submit_all(
                    device, errands[batch], store, lambda write: write.rpc(rpc.id)
                )
        except BaseException:
            for message in messages:
                self._errands.pop(message.id, None)
            raise
        return found if found is not None else rpc

    def _store(
        self,
        rpc: Rpc,
        all: Sequence[Message],
        batch: Sequence[Message],
        write: Transaction,
        started: Any,
    ) -> None:
        if batch[0] is all[0]:
            has_started = batch[0].id in started
            sent_at = self._clock() if has_started else None
            state: State = "SENT" if has_started else "QUEUED"
            write.put_rpc(attrs.evolve(rpc, state=state, sent_at=sent_at, retry_at=None))
            write.add_errands(rpc.id, (message.id for message in all))
        for message in batch:
            self._add(write, message, started=message.id in started)

    # --- what becomes of it ------------------------------------------------------------------------

    def plan(
        self, event: Event, device: DeviceRef, models: Callable[[str], ModelView]
    ) -> progress.Write | None:
        """What an event changes: to be committed with it."""
        if event.__class__ is Observed:
            assert isinstance(event, Observed)
            self._observed = event
            return None
        message: int | None = getattr(event, "message", None)
        if message.__class__ is not int or message not in self._errands:
            return None
        rpc = self._errands[message]
        match event:
            case Received(more=True):
                return self._noted(rpc, event)
            case Received():
                result = results.answered(event, models(event.endpoint), observes=self._is_observed(event))
                return self._concluded(rpc, message, results.outcome(event), result, event.at)
            case Failed():
                state = self._called.get(rpc, results.outcome(event))
                return self._concluded(rpc, message, state, results.failed(event), event.at)
            case Started(at_once=False):
                return progress.moved(rpc, "SENT", event.at)
            case Held():
                return progress.moved(rpc, "QUEUED", event.at)
            case Sent(answered=False):
                return progress.moved(rpc, "DELIVERED", event.at)
        return None

    def _concluded(
        self, rpc: int, message: int, state: State, result: Mapping[str, Any], at: float
    ) -> progress.Write:
        return progress.concluded(rpc, message, state, result, at, self._settings.rpc)

    def _noted(self, rpc: int, event: Received) -> progress.Write | None:
        """Its answer is still to come; that of what went before it is worth a word if it was refused."""
        if is_success(event.code):
            return None
        return progress.noted(rpc, f"{event.operation} {event.path}: {results.refusal(event)}")

    def _is_observed(self, event: Received) -> bool:
        """Whether the device observes what it was asked to: said in the same step, just before."""
        observed = self._observed
        if observed is None or observed.endpoint != event.endpoint or observed.at != event.at:
            return False
        return observed.observation.paths == (event.paths or (event.path,))

    def _heard(self, tenant: str, event: Event) -> None:
        """An outcome is durable."""
        assert isinstance(event, (Received, Failed))
        if isinstance(event, Received) and event.more:
            return
        if event.message in self._errands:
            self._settled(self._errands.pop(event.message))

    def _settled(self, id: int) -> None:
        rpc = self._reader.rpc(id)
        if rpc is not None and rpc.waits:
            if rpc.retry_at is not None:
                self._schedule(id, rpc.node, rpc.retry_at)
            return
        self._appointments.drop(id)
        awaited = self._awaited.get(id)
        if awaited is not None and not awaited.done():
            if rpc is None:
                awaited.set_exception(Gone("the device was removed"))
            else:
                awaited.set_result(rpc)

    # --- taking back -------------------------------------------------------------------------------

    async def cancel(self, rpc: Rpc, state: State = "CANCELLED") -> Rpc | None:
        """Take it back, if it has no outcome; returns what it is then. Raises ``CommitFailed``."""
        device, messages = self._reader.device(rpc.node), self._reader.errands_of(rpc.id)
        self._called[rpc.id] = state
        try:
            for message in messages if device is not None else ():
                assert device is not None
                await self._devices.cancel(device, message, partial(self._struck, rpc, message, state))
            if not messages:
                await self._devices.change(partial(self._ended, rpc.id, state))
        finally:
            self._called.pop(rpc.id, None)
        for message in messages:
            self._errands.pop(message, None)
        self._settled(rpc.id)
        return self._reader.rpc(rpc.id)

    def _struck(self, rpc: Rpc, message: int, state: State, write: Transaction) -> None:
        """Whatever the engine knew of the message, it is nowhere now."""
        self._remove(write, NodeIds(rpc.node).outgoing, message)
        result = {"error": "it was taken back"}
        self._concluded(rpc.id, message, state, result, self._clock())(write)

    def _ended(self, id: int, state: State, write: Transaction) -> None:
        rpc = write.rpc(id)
        if rpc is not None and rpc.waits:
            progress.end(write, attrs.evolve(rpc, retries=0), state, self._clock(), self._settings.rpc)

    async def forget(self, rpc: Rpc) -> None:
        """Remove the record of one that has an outcome. Raises ``CommitFailed``."""
        await self._devices.change(lambda write: write.remove_rpc(rpc.id))

    def errand_of(self, message: int) -> Rpc | None:
        """The RPC that a waiting message stands for."""
        id = self._errands.get(message)
        return None if id is None else self._reader.rpc(id)

    # --- time --------------------------------------------------------------------------------------

    async def _time_over(self, id: int) -> None:
        rpc = self._reader.rpc(id)
        if rpc is None or not rpc.waits:
            return
        try:
            await self.cancel(rpc, "TIMEOUT")
        except CommitFailed as error:
            awaited = self._awaited.get(id)
            if awaited is not None and not awaited.done():
                awaited.set_exception(error)

    def _schedule(self, id: int, node: int, at: float) -> None:
        device = self._reader.device(node)
        if device is not None:
            self._appointments.make(id, at, partial(self._retry, id), device=key_of(device))

    def _contact(self, tenant: str, event: Event) -> None:
        """A device that says something can hear something."""
        self._appointments.bring_forward(event.endpoint)

    async def _retry(self, id: int) -> None:
        rpc = self._reader.rpc(id)
        device = None if rpc is None else self._reader.device(rpc.node)
        if rpc is None or device is None or rpc.retry_at is None:
            return
        if rpc.expires_at <= self._clock():
            await self._finish(rpc, "EXPIRED", rpc.result)
            return
        again = attrs.evolve(rpc, retry_at=None, attempts=rpc.attempts + 1, result={})
        try:
            await self._submit(device, again)
        except RequestError as error:
            await self._finish(rpc, "FAILED", {"error": error.reason})
        except (ContainerFull, CommitFailed, Gone) as error:
            _log.warning("an RPC is not sent again yet", rpc=rpc.name, reason=str(error))
            later = self._clock() + progress.pause(rpc.attempts, self._settings.rpc)
            self._schedule(id, rpc.node, later)

    async def _finish(self, rpc: Rpc, state: State, result: Mapping[str, Any]) -> None:
        ended = attrs.evolve(rpc, retries=0, result=dict(result))
        settings, now = self._settings.rpc, self._clock()
        try:
            await self._devices.change(lambda write: progress.end(write, ended, state, now, settings))
        except CommitFailed as error:
            _log.warning("the outcome of an RPC is not stored", rpc=rpc.name, reason=str(error))
            self._schedule(rpc.id, rpc.node, now + progress.pause(rpc.attempts, settings))
