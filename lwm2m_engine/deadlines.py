"""``Deadlines``: what is due next. One heap, no timer per message."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from itertools import count
from typing import Generic, Protocol, TypeVar


class Timed(Protocol):
    """A device or a session that something is to happen to."""

    due: float | None
    """The deadline that ``Deadlines`` knows of it; nobody else's business."""

    def next_deadline(self) -> float | None:
        """Seconds since 1970-01-01 UTC; ``None`` when nothing is waited for."""
        ...


T = TypeVar("T", bound=Timed)
MANY = 64
"""Void entries that are no burden."""


class Deadlines(Generic[T]):
    """A heap with at most one valid entry for each: the one that equals its ``due``.

    A deadline that moves later (every Update does that) costs nothing: its old entry is looked at
    when it comes up, and put back.
    """

    __slots__ = ("_forgotten", "_heap", "_order")

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, T]] = []
        self._order = count()
        self._forgotten = 0

    def watch(self, timed: T) -> None:
        """Make sure it comes up no later than its next deadline."""
        due = timed.next_deadline()
        if due is not None and (timed.due is None or due < timed.due):
            timed.due = due
            heapq.heappush(self._heap, (due, next(self._order), timed))

    def forget(self, timed: T) -> None:
        """Nothing is to happen to it any more."""
        if timed.due is None:
            return
        timed.due = None
        self._forgotten += 1
        # Its entry would stay until it comes up; many of them are a burden.
        if self._forgotten > MANY and self._forgotten > len(self._heap) // 2:
            self._heap = [entry for entry in self._heap if entry[2].due == entry[0]]
            heapq.heapify(self._heap)
            self._forgotten = 0

    def next(self) -> float | None:
        """Seconds since 1970-01-01 UTC; ``None`` when nothing is waited for."""
        heap = self._heap
        while heap and heap[0][2].due != heap[0][0]:
            heapq.heappop(heap)
        return heap[0][0] if heap else None

    def due(self, now: float) -> Iterator[T]:
        """What has come due, each once; it is watched again by the caller."""
        while (when := self.next()) is not None and when <= now:
            timed = heapq.heappop(self._heap)[2]
            timed.due = None
            yield timed
