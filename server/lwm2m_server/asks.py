"""``Asks``: what the server itself asks of devices, to update their firmware for instance.

Such a request goes through the device's outbox like any other: it waits for its turn and while the device
sleeps. But no message in ``outgoing-msg`` stands for it, and a restart forgets it: who asks keeps in mind
what there is to ask, and asks again. Messages have positive ids, these requests negative ones.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from itertools import count

import attrs

from lwm2m_engine.coap import dotted, is_success
from lwm2m_engine.engine.events import Event, Failed, Progressed, Received
from lwm2m_engine.errors import LwM2MError
from lwm2m_engine.messages.requests import Single
from lwm2m_server.bus import Bus
from lwm2m_server.hub import Hub
from lwm2m_server.store.records import Device


class NoAnswer(LwM2MError):
    """None came, or none that can be read. ``reason`` is that of ``Failed``, or ``decode``."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(reason, detail)
        self.reason, self.detail = reason, detail

    def __str__(self) -> str:
        return f"{self.reason}: {self.detail}" if self.detail else self.reason


class Refused(LwM2MError):
    """The device answered with the error ``code``."""

    def __init__(self, code: int, detail: str = "") -> None:
        super().__init__(code, detail)
        self.code, self.detail = code, detail

    def __str__(self) -> str:
        answered = f"the device answered {dotted(self.code)}"
        return f"{answered}: {self.detail}" if self.detail else answered


@attrs.define(eq=False)
class _Ask:
    key: str
    """The device's, in its engine."""
    done: asyncio.Future[Received]
    progressed: Callable[[int, int], object] | None


class Asks:
    """Belongs to the event loop."""

    def __init__(self, hub: Hub, bus: Bus) -> None:
        self._hub = hub
        self._ids = count(-1, -1)
        self._open: dict[int, _Ask] = {}
        bus.subscribe(self._heard, Received, Failed, Progressed)
        hub.on_restored = self._restored

    async def ask(
        self,
        device: Device,
        request: Single,
        *,
        patience: float | None = None,
        progressed: Callable[[int, int], object] | None = None,
    ) -> Received:
        """The device's answer, when its facts are durable.

        ``patience`` is how many seconds the request may wait for its turn, ``None`` for as long as it takes;
        ``progressed`` hears how many bytes of how many a long one has come. Whoever stops waiting takes the
        request back. Raises ``RequestError`` for what the device cannot be asked, ``Refused``, ``NoAnswer``,
        ``CommitFailed``.
        """
        ref = self._hub.introduce(device)
        engine, now, id = self._hub.engine(ref.tenant), self._hub.now(), next(self._ids)
        expires_at = None if patience is None else now + patience
        ask = _Ask(ref.endpoint, asyncio.get_running_loop().create_future(), progressed)
        step = engine.submit(ref.endpoint, request, now, id=id, expires_at=expires_at)
        self._open[id] = ask
        try:
            await self._hub.settled(ref.tenant, step, about=ref.endpoint)
            return await ask.done
        finally:
            del self._open[id]
            if ask.done.cancelled() or not ask.done.done():
                self._withdraw(ref.tenant, ref.endpoint, id)

    def _withdraw(self, tenant: str, key: str, id: int) -> None:
        if self._hub.knows_device(key):
            step = self._hub.engine(tenant).cancel(key, id, self._hub.now())
            if step.events or step.effects:
                self._hub.settle(tenant, step)

    def _heard(self, tenant: str, event: Event) -> None:
        assert isinstance(event, (Received, Failed, Progressed))
        ask = self._open.get(event.message) if event.message is not None else None
        if ask is None or ask.done.done() or (isinstance(event, Received) and event.more):
            return
        if isinstance(event, Progressed):
            if ask.progressed is not None:
                ask.progressed(event.transferred, event.total)
        elif isinstance(event, Failed):
            ask.done.set_exception(NoAnswer(event.reason, event.detail))
        elif not is_success(event.code):
            ask.done.set_exception(Refused(event.code, event.payload.decode(errors="replace")))
        elif event.error is not None:
            ask.done.set_exception(NoAnswer("decode", event.error))
        else:
            ask.done.set_result(event)

    def _restored(self, key: str) -> None:
        """An engine had to take what the ledger says of a device: what it was asked is forgotten."""
        for ask in self._open.values():
            if ask.key == key and not ask.done.done():
                ask.done.set_exception(NoAnswer("forgotten", "the store failed"))
