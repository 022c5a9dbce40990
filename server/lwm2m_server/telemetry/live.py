"""``Live``: what devices tell, as it comes, for those who look on.

Nobody waits for an onlooker, and for each only so much is kept: who does not keep up misses some and is told.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from typing import Final, NamedTuple

import attrs

from lwm2m_engine.engine.events import Event, Received
from lwm2m_server.bus import Bus
from lwm2m_server.store.reports import Reported, read_report, report
from lwm2m_server.telemetry.recording import SOURCES

KEPT: Final = 5_000
"""Values that wait for one onlooker."""
PAUSE: Final = 0.05
"""Seconds after which what came meanwhile is taken together."""
HEARTBEAT: Final = 10.0
"""Seconds of silence after which there is an empty batch."""


class News(NamedTuple):
    """A value that was told just now; times are in microseconds."""

    place: str
    at: int
    came: int
    source: str
    value: Reported


class Batch(NamedTuple):
    news: Sequence[News]
    missed: int = 0
    """Values that came before these and are not among them."""


@attrs.define(eq=False)
class _Onlooker:
    waiting: list[News] = attrs.field(factory=list)
    missed: int = 0
    called: asyncio.Event = attrs.field(factory=asyncio.Event)

    def tell(self, news: Sequence[News]) -> None:
        room = KEPT - len(self.waiting)
        self.waiting += news[:room]
        self.missed += max(len(news) - room, 0)
        self.called.set()

    def take(self) -> Batch:
        batch = Batch(self.waiting, self.missed)
        self.waiting, self.missed = [], 0
        self.called.clear()
        return batch


class Live:
    """Belongs to the event loop."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._onlookers: dict[tuple[str, str], set[_Onlooker]] = {}
        self._unsubscribe: Callable[[], None] | None = None
        self._closed = False

    @property
    def followers(self) -> int:
        return sum(map(len, self._onlookers.values()))

    async def follow(self, tenant: str, endpoint: str) -> AsyncGenerator[Batch, None]:
        """What a device tells from the first step on, which gives an empty batch; until the server stops."""
        onlooker, key = _Onlooker(), (tenant, endpoint)
        self._enter(key, onlooker)
        try:
            yield Batch(())
            while not self._closed:
                try:
                    async with asyncio.timeout(HEARTBEAT):
                        await onlooker.called.wait()
                except TimeoutError:
                    yield Batch(())
                    continue
                await asyncio.sleep(PAUSE)
                yield onlooker.take()
        finally:
            self._leave(key, onlooker)

    def close(self) -> None:
        """Send everybody home."""
        self._closed = True
        for onlookers in self._onlookers.values():
            for onlooker in onlookers:
                onlooker.called.set()

    def _enter(self, key: tuple[str, str], onlooker: _Onlooker) -> None:
        self._onlookers.setdefault(key, set()).add(onlooker)
        if self._unsubscribe is None:
            self._unsubscribe = self._bus.subscribe(self._heard, Received)

    def _leave(self, key: tuple[str, str], onlooker: _Onlooker) -> None:
        self._onlookers[key].discard(onlooker)
        if not self._onlookers[key]:
            del self._onlookers[key]
        if not self._onlookers and self._unsubscribe is not None:
            self._unsubscribe()
            self._unsubscribe = None

    def _heard(self, tenant: str, event: Event) -> None:
        onlookers = self._onlookers.get((tenant, event.endpoint))
        if onlookers is None or not isinstance(event, Received):
            return
        entries = event.entries or event.written
        if entries:
            source = SOURCES[event.kind] if event.entries else "write"
            # As it is kept, so that it looks the same when it is read later.
            told = read_report(report(event.at, source, entries, prefix=event.prefix))
            news = [News(place, at, told.came, source, value) for place, at, value in told.values]
            for onlooker in onlookers:
                onlooker.tell(news)
