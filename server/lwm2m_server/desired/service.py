"""``DesiredStates``: what Resources of devices shall be, written when the device can hear it.

A wish is *pending* until the device has accepted the Write (*confirmed*) or refused it for good (*failed*).
What could not be said is said at the next contact. A device that registers anew may be another than
before: what it refused is tried again. One that reports another value than it accepted is told once more in
the same registration, and no oftener.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Final

import structlog

from lwm2m_engine.engine.events import Awake, Event, Received, Registered, Updated
from lwm2m_engine.errors import RequestError, ValueRejected
from lwm2m_engine.paths import Path
from lwm2m_server.asks import Asks, NoAnswer, Refused
from lwm2m_server.bus import Bus
from lwm2m_server.desired.writes import is_reported, write_of
from lwm2m_server.hub import Hub
from lwm2m_server.store.desired import DesiredValue, State
from lwm2m_server.store.errors import CommitFailed, Gone
from lwm2m_server.store.ids import Ids
from lwm2m_server.store.protocols import Ledger
from lwm2m_server.store.records import Device
from lwm2m_server.store.transaction import Transaction
from lwm2m_server.wishes import Wishes

MAX_ATTEMPTS: Final = 5
"""Writes that a device could not serve (5.xx) before it is not asked any more in this registration."""
SERVER_ERROR: Final = 0xA0
"""5.00: the device's fault and not the request's; it may pass (RFC 7252, 5.9.3)."""
CHUNK: Final = 100
"""Devices looked at before others may run."""
_WRITES: Final = ("write", "write-composite")

_log = structlog.get_logger(__name__)


class DesiredStates:
    """Belongs to the event loop."""

    def __init__(self, ledger: Ledger, hub: Hub, wishes: Wishes, asks: Asks, ids: Ids, bus: Bus) -> None:
        self._reader, self._hub, self._wishes, self._asks = ledger.reader, hub, wishes, asks
        self._ids = ids
        self._nodes: set[int] = set(self._reader.nodes_with_desired())
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._news: set[int] = set()
        """Nodes to look at once more when their task has done."""
        self._reborn: set[int] = set()
        """Nodes in a registration in which nothing was tried yet."""
        self._drifted: dict[int, set[str]] = {}
        """By node, paths that are reported otherwise than the device accepted them."""
        self._told: dict[int, set[str]] = {}
        """Those it was told once more in its registration."""
        self.on_failed: Callable[[int, DesiredValue, str], object] = lambda node, value, reason: None
        """Hears of what a device does not take."""
        self._unsubscribe = bus.subscribe(self._heard, Registered, Updated, Awake, Received)

    async def resume(self) -> None:
        """Go on with what was pending when the server stopped."""
        for count, node in enumerate(tuple(self._nodes), 1):
            self._begin(node)
            if count % CHUNK == 0:
                await asyncio.sleep(0)

    async def close(self) -> None:
        self._unsubscribe()
        tasks = tuple(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def of(self, device: Device) -> Sequence[DesiredValue]:
        return self._reader.desired(device.node)

    async def want(self, device: Device, values: Mapping[Path, str | None]) -> None:
        """JSON texts of values by Resource, which were checked; ``None`` to want nothing any more.

        Raises ``Gone``, ``CommitFailed``.
        """
        version, now, node = self._ids.next(), self._hub.now(), device.node
        rows = {str(path): value for path, value in values.items()}

        def store(transaction: Transaction) -> None:
            if transaction.resource(node) is None:
                raise Gone(f"{device.name} was removed meanwhile")
            transaction.put_desired(node, rows, version, now)

        await self._wishes.change(store)
        self._nodes.add(node)
        for paths in (self._drifted, self._told):
            paths.get(node, set()).difference_update(rows)
        self._begin(node, at_once=True)

    async def retry(self, device: Device) -> None:
        """Ask once more for all that failed. Raises ``CommitFailed``."""
        await self._reopen(device.node, [one for one in self.of(device) if one.state == "failed"])
        self._begin(device.node)

    # --- when to write -------------------------------------------------------------------------------

    def _heard(self, tenant: str, event: Event) -> None:
        if not self._nodes:
            return
        ref = self._hub.ref(event.endpoint)
        if ref is None or ref.node not in self._nodes:
            return
        if isinstance(event, Received):
            self._compare(ref.node, event)
            return
        if isinstance(event, Registered):
            self._reborn.add(ref.node)
            self._told.pop(ref.node, None)
        self._begin(ref.node)

    def _compare(self, node: int, event: Received) -> None:
        """What a device reports may not be what it accepted."""
        if not event.entries or event.operation in _WRITES:
            return
        confirmed = [one for one in self._reader.desired(node) if one.state == "confirmed"]
        device = self._reader.device(node) if confirmed else None
        if device is None:
            return
        told = [(entry.path, entry.value) for entry in event.entries]
        models = self._wishes.models(device)
        others = [one.path for one in confirmed if is_reported(one, told, models) is False]
        if others:
            self._drifted.setdefault(node, set()).update(others)
            self._begin(node)

    def _begin(self, node: int, *, at_once: bool = False) -> None:
        """One task a device; what is to be written now may take the place of what waits to be."""
        running = self._tasks.get(node)
        if running is not None and not at_once:
            self._news.add(node)
            return
        if running is not None:
            running.cancel()
        task = asyncio.get_running_loop().create_task(self._work(node, running), name="desired state")
        self._tasks[node] = task
        task.add_done_callback(partial(self._ended, node))

    def _ended(self, node: int, task: asyncio.Task[None]) -> None:
        if self._tasks.get(node) is not task:
            return
        del self._tasks[node]
        if not task.cancelled() and task.exception() is not None:
            _log.error("desired state is not written", node=node, exc_info=task.exception())
        elif node in self._news and not task.cancelled():
            self._begin(node)

    async def _work(self, node: int, before: asyncio.Task[None] | None) -> None:
        if before is not None:
            await asyncio.wait((before,))
        self._news.discard(node)
        device = self._reader.device(node)
        rows = self._reader.desired(node)
        if device is None or not rows:
            self._nodes.discard(node)
            self._drifted.pop(node, None)
            self._told.pop(node, None)
        elif device.registration is not None:
            try:
                await self._look_again(node, rows)
                await self._write(device)
            except CommitFailed as error:
                _log.warning("how desired state has come is not stored", node=node, reason=str(error))

    async def _look_again(self, node: int, rows: Sequence[DesiredValue]) -> None:
        """What was settled may have to be settled anew."""
        if node in self._reborn:
            self._reborn.discard(node)
            await self._reopen(node, [one for one in rows if one.state == "failed"])
        drifted, told = self._drifted.pop(node, set()), self._told.setdefault(node, set())
        others = [one for one in rows if one.path in drifted and one.state == "confirmed"]
        for one in others:
            if one.path in told:
                await self._settle(node, one, "failed", "accepted twice, and reported as another value")
        await self._reopen(node, [one for one in others if one.path not in told])
        told |= drifted

    # --- writing -------------------------------------------------------------------------------------

    async def _write(self, device: Device) -> None:
        for one in self._reader.desired(device.node):
            if one.state != "pending":
                continue
            try:
                await self._asks.ask(device, write_of(one, self._wishes.models(device)))
            except Refused as error:
                failed = error.code < SERVER_ERROR or one.attempts + 1 >= MAX_ATTEMPTS
                await self._settle(device.node, one, "failed" if failed else "pending", str(error))
            except (RequestError, ValueRejected) as error:
                await self._settle(device.node, one, "failed", str(error))
            except NoAnswer as error:
                await self._settle(device.node, one, "pending", str(error))
                return
            else:
                await self._settle(device.node, one, "confirmed")

    async def _reopen(self, node: int, rows: Sequence[DesiredValue]) -> None:
        now = self._hub.now()
        if rows:
            await self._wishes.change(
                lambda write: [write.settle_desired(node, one, "pending", now, one.reason, 0) for one in rows]
            )

    async def _settle(self, node: int, one: DesiredValue, state: State, reason: str | None = None) -> None:
        now, attempts = self._hub.now(), one.attempts + (state != "confirmed")
        await self._wishes.change(lambda write: write.settle_desired(node, one, state, now, reason, attempts))
        if state == "failed":
            self.on_failed(node, one, reason or "")
