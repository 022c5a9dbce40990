"""``Wishes``: what applications want of devices; the oneM2M side's ``Devices``."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, TypeVar

import attrs

from lwm2m_engine.engine import Arrangement, Engine, Step, joined
from lwm2m_engine.engine.devices import Client
from lwm2m_engine.engine.events import Started, Warned
from lwm2m_engine.engine.presence import Presence
from lwm2m_engine.engine.records import PowerSaving
from lwm2m_engine.mapping.commands import Order
from lwm2m_engine.messages.requests import Request
from lwm2m_engine.model.catalog import ModelView
from lwm2m_server.directory import key_of
from lwm2m_server.hub import Hub
from lwm2m_server.ports import Errand, Projection
from lwm2m_server.store.errors import ContainerFull
from lwm2m_server.store.records import Device, DeviceRef
from lwm2m_server.store.transaction import Transaction

T = TypeVar("T")


class Wishes:
    """Each becomes a ``Step`` of the device's engine, which the hub settles."""

    def __init__(
        self,
        hub: Hub,
        projection: Projection,
        default_tenant: str,
        power: Callable[[Device], PowerSaving | None] = lambda device: None,
    ) -> None:
        """``power`` says when a device can hear for which nothing is set."""
        self._hub, self._projection, self._tenant = hub, projection, default_tenant
        self._power = power

    def models(self, device: Device) -> ModelView:
        return self._hub.engine(device.tenant).models(key_of(device))

    def state(self, device: Device) -> Presence:
        """Whether the device can be reached, and what waits for it."""
        key = key_of(device)
        if self._hub.knows_device(key):
            return self._hub.engine(device.tenant).presence(key)
        # Looking at a device is no reason to keep it in memory.
        return Presence(False, None, None, self._projection.waiting(device.node), False)

    def clients(
        self, tenant: str, endpoints: Iterable[str] | None = None, *, asleep: bool | None = None
    ) -> Iterator[Sequence[Client]]:
        """All that are registered, or those of some endpoint names; only those ``asleep``, or those that are
        not. Some at a time, for a look at many."""
        return self._hub.engine(tenant).clients(endpoints, asleep=asleep)

    def refs(self, endpoints: Iterable[str]) -> list[DeviceRef | None]:
        """Who has each of these endpoint names, if an engine knows it."""
        return self._hub.directory.all(endpoints)

    async def submit(
        self,
        device: Device,
        request: Request,
        *,
        id: int,
        expires_at: float | None,
        deferred: bool = False,
        store: Callable[[Transaction, bool], T],
    ) -> T:
        """Check and queue a request, committed together with ``store``, which is told whether it starts
        at once.

        Raises ``RequestError``, ``ContainerFull``, ``CommitFailed`` and what ``store`` raises.
        """
        errand = Errand(id, request, expires_at, deferred)
        tenant, step, started = self._queue(device, (errand,))
        return await self._hub.settled(tenant, step, first=lambda write: store(write, id in started))

    async def submit_all(
        self,
        device: Device,
        errands: Sequence[Errand],
        store: Callable[[Transaction, Collection[int]], Any],
        last: Callable[[Transaction], T],
    ) -> T:
        """The same for several: all of them or none. ``store`` is told the ids of those that start at once;
        ``last`` sees what has become of it all."""
        tenant, step, started = self._queue(device, errands)
        return await self._hub.settled(tenant, step, first=lambda write: store(write, started), last=last)

    def _queue(self, device: Device, errands: Sequence[Errand]) -> tuple[str, Step, Collection[int]]:
        ref = self._hub.introduce(device)
        engine, now = self._hub.engine(device.tenant), self._hub.now()
        # Where nothing waits there is room.
        if engine.has_waiting(ref.endpoint) and self._projection.outgoing_is_full(device.node):
            raise ContainerFull(f"too many messages wait for {device.name}")
        if len(errands) > 1:
            for errand in errands:
                engine.check(ref.endpoint, errand.request)
        steps = [
            engine.submit(
                ref.endpoint, one.request, now, id=one.id, expires_at=one.expires_at, deferred=one.deferred
            )
            for one in errands
        ]
        step = steps[0] if len(steps) == 1 else joined(steps)
        return device.tenant, step, {event.message for event in step.events if isinstance(event, Started)}

    def attributes(self, device: Device, name: str) -> Mapping[str, bool]:
        """What mappings have for a management object, and which of it can be written."""
        return self._hub.engine(device.tenant).attributes(name)

    def orders(self, device: Device, name: str, changes: Mapping[str, object]) -> Sequence[Order]:
        """What a change of a management object asks of the device. Raises ``RequestError``."""
        ref = self._hub.introduce(device)
        return self._hub.engine(device.tenant).command(ref.endpoint, name, changes)

    async def cancel(self, device: Device, id: int, store: Callable[[Transaction], T]) -> T:
        """Take a waiting message back."""
        ref = self._hub.introduce(device)
        step = self._hub.engine(device.tenant).cancel(ref.endpoint, id, self._hub.now())
        return await self._hub.settled(device.tenant, step, last=store)

    async def save_power(self, device: Device, power: PowerSaving | None) -> None:
        """When the device can hear, kept together with what follows from it at once."""
        ref = self._hub.introduce(device)
        effective = power if power is not None else self._power(device)
        step = self._hub.engine(device.tenant).set_power_saving(ref.endpoint, effective, self._hub.now())
        await self._hub.settled(
            device.tenant, step, first=lambda write: write.set_power(device.node, power), about=ref.endpoint
        )

    def known(self, endpoint: str) -> DeviceRef | None:
        """The device that an engine knows by this name."""
        return self._hub.ref(endpoint)

    def engine(self, tenant: str) -> Engine:
        return self._hub.engine(tenant)

    def arrange(self, device: DeviceRef, wanted: Arrangement | None, notes: Collection[str] = ()) -> None:
        """What is to hold at the device in each of its registrations, and what to say of that in its logs.

        How far it is comes to be known with the facts that follow: nothing is to be awaited.
        """
        now, endpoint = self._hub.now(), device.endpoint
        step = self._hub.engine(device.tenant).arrange(endpoint, wanted, now)
        if notes:
            warned = tuple(Warned(endpoint, now, note) for note in notes)
            step = attrs.evolve(step, events=(*warned, *step.events))
        if step.events or step.effects:
            self._hub.settle(device.tenant, step)

    async def change(self, store: Callable[[Transaction], T]) -> T:
        """Commit what concerns no device's queue."""
        return await self._hub.settled(self._tenant, Step(), first=store)

    async def forget(self, device: Device, store: Callable[[Transaction], T]) -> T:
        """End all that lives with the device's registration, committed together with ``store``."""
        ref = self._hub.introduce(device)
        step = self._hub.engine(device.tenant).forget(ref.endpoint, self._hub.now())
        done = self._hub.settled(device.tenant, step, last=store, about=ref.endpoint)
        # If it fails, the entry is what the device is brought back by.
        done.add_done_callback(partial(self._hub.forgotten, ref))
        return await done

    async def end(self, device: Device, store: Callable[[Transaction], T]) -> T:
        """End its registration, committed together with ``store``; messages go on waiting."""
        if not self._hub.knows_device(key_of(device)):
            # It has none, and nothing waits for it.
            return await self.change(store)
        ref = self._hub.introduce(device)
        step = self._hub.engine(device.tenant).end(ref.endpoint, self._hub.now())
        return await self._hub.settled(device.tenant, step, last=store, about=ref.endpoint)
