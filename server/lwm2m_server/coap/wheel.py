"""``Wheel``: very many timers for the price of one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from heapq import heappop, heappush

SLOTS_PER_SECOND = 64
"""How finely time is divided: a timer fires up to a 64th of a second late, never early."""


class Timer:
    """Something that is due later. ``cancel`` costs the same however many others there are."""

    __slots__ = ("_call", "_slot")

    def __init__(self, slot: dict[Timer, None], call: Callable[[], object]) -> None:
        self._slot = slot
        self._call = call
        slot[self] = None

    def cancel(self) -> None:
        """Nothing happens if it has fired already."""
        self._slot.pop(self, None)

    def fire(self) -> None:
        self._call()


class Wheel:
    """Timers in slots of equal width; the event loop knows of the next slot only.

    With one timer of the loop each, the loop's heap grows with the requests under way, and every
    message pays for that twice: requests that nobody answers would slow down all others.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._slots: dict[int, dict[Timer, None]] = {}
        self._order: list[int] = []
        self._alarm: asyncio.TimerHandle | None = None

    def call_later(self, delay: float, call: Callable[[], object]) -> Timer:
        """``delay`` is in seconds."""
        at = int((self._loop.time() + delay) * SLOTS_PER_SECOND) + 1
        slot = self._slots.get(at)
        if slot is None:
            slot = self._slots[at] = {}
            heappush(self._order, at)
            if self._order[0] == at:
                self._set_alarm()
        return Timer(slot, call)

    def close(self) -> None:
        """Nothing fires any more."""
        if self._alarm is not None:
            self._alarm.cancel()
        for slot in self._slots.values():
            slot.clear()

    def _set_alarm(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
        self._alarm = self._loop.call_at(self._order[0] / SLOTS_PER_SECOND, self._turn)

    def _turn(self) -> None:
        self._alarm = None
        now = self._loop.time() * SLOTS_PER_SECOND
        while self._order and self._order[0] <= now:
            slot = self._slots.pop(heappop(self._order))
            # One at a time: what fires may cancel others of its slot.
            while slot:
                timer = next(iter(slot))
                del slot[timer]
                timer.fire()
        if self._order:
            self._set_alarm()
