"""``Feed``: the journal of events as those read it who follow it.

A reader is nothing but the number of the last event it had. What came lately is in memory once for all
of them; who is behind that reads from the ledger. So nothing grows for a reader that is slow, and nobody
waits for it.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable, Sequence
from itertools import islice
from typing import Final

from lwm2m_engine.engine.events import Event
from lwm2m_server.bus import Bus
from lwm2m_server.onem2m.happenings import Happening, happening
from lwm2m_server.store.protocols import Ledger
from lwm2m_server.store.transaction import Reader

RECENT: Final = 4096
"""Events in memory while somebody follows."""
CHUNK: Final = 64
"""Events a reader gets at a time."""
PAUSE: Final = 0.02
"""Seconds between two looks at the journal: what comes meanwhile is read at once."""
HEARTBEAT: Final = 10.0
"""Seconds of silence after which a reader gets a chunk of nothing."""


class Feed:
    """Belongs to the event loop."""

    def __init__(self, ledger: Ledger, bus: Bus) -> None:
        self._ledger, self._bus = ledger, bus
        self._recent: deque[Happening] = deque(maxlen=RECENT)
        self._last = 0
        """Number of the last event seen."""
        self._news = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None
        self._unsubscribe: Callable[[], None] | None = None
        self._closed = False
        self.followers = 0

    @property
    def last(self) -> int:
        """The number of the last event."""
        return self._ledger.reader.event_numbers()[1]

    async def read(self, after: int, limit: int) -> Sequence[Happening]:
        """Events behind ``after``, at most so many; of those that are kept."""
        return await self._ledger.apart(lambda reader: _read(reader, after, limit))

    async def follow(self, after: int) -> AsyncGenerator[Sequence[Happening], None]:
        """What is behind ``after`` and what is to come, until the server stops; now and then nothing."""
        self._enter()
        try:
            while not self._closed:
                news = self._news
                chunk = self._remembered(after) if after >= self._forgotten else await self.read(after, CHUNK)
                if chunk:
                    after = chunk[-1].number
                    yield chunk
                else:
                    try:
                        async with asyncio.timeout(HEARTBEAT):
                            await news.wait()
                    except TimeoutError:
                        yield ()
        finally:
            self._leave()

    def close(self) -> None:
        """Send everybody home."""
        self._closed = True
        self._news.set()

    # --- what is in memory ---------------------------------------------------------------------------

    @property
    def _forgotten(self) -> int:
        """Up to this number events are in the ledger only."""
        return self._last - len(self._recent)

    def _remembered(self, after: int) -> Sequence[Happening]:
        start = after - self._forgotten
        return tuple(islice(self._recent, start, start + CHUNK))

    def _enter(self) -> None:
        self.followers += 1
        if self.followers == 1:
            self._last = self.last
            self._unsubscribe = self._bus.subscribe(self._noticed)

    def _leave(self) -> None:
        self.followers -= 1
        if self.followers == 0 and self._unsubscribe is not None:
            self._unsubscribe()
            self._recent.clear()
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None

    def look_soon(self) -> None:
        """Something is in the journal that no event of an engine stands for."""
        if self.followers and self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(PAUSE, self._look)

    def _noticed(self, tenant: str, event: Event) -> None:
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(PAUSE, self._look)

    def _look(self) -> None:
        """Fetch what is new, a chunk a turn."""
        self._timer = None
        found = _read(self._ledger.reader, self._last, CHUNK)
        if not found:
            return
        self._recent += found
        self._last = found[-1].number
        self._news.set()
        self._news = asyncio.Event()
        if len(found) == CHUNK:
            self._timer = asyncio.get_running_loop().call_later(0, self._look)


def _read(reader: Reader, after: int, limit: int) -> Sequence[Happening]:
    return [happening(number, line) for number, line in reader.events(after, limit)]
