"""``Deadlines``: which device is due next. One heap, no timer per message."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from itertools import count
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lwm2m_engine.engine.devices import Device


class Deadlines:
    """A heap with at most one valid entry a device: the one that equals ``device.due``.

    A deadline that moves later (every Update does that) costs nothing: its old entry is looked at
    when it comes up, and put back.
    """

    __slots__ = ("_heap", "_order")

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Device]] = []
        self._order = count()

    def watch(self, device: Device) -> None:
        """Make sure the device comes up no later than its next deadline."""
        due = device.next_deadline()
        if due is not None and (device.due is None or due < device.due):
            device.due = due
            heapq.heappush(self._heap, (due, next(self._order), device))

    def next(self) -> float | None:
        """Seconds since 1970-01-01 UTC; ``None`` when nothing is waited for."""
        heap = self._heap
        while heap and heap[0][2].due != heap[0][0]:
            heapq.heappop(heap)
        return heap[0][0] if heap else None

    def due(self, now: float) -> Iterator[Device]:
        """Devices whose deadline has come, each once; they are watched again by the caller."""
        while (when := self.next()) is not None and when <= now:
            device = heapq.heappop(self._heap)[2]
            device.due = None
            yield device
