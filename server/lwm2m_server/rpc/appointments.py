"""``Appointments``: what is to be done with an RPC later, or as soon as its device says something."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeAlias

import attrs

Work: TypeAlias = Callable[[], Coroutine[Any, Any, None]]


@attrs.frozen(eq=False)
class _Appointment:
    timer: asyncio.TimerHandle
    work: Work
    device: str | None


class Appointments:
    """One for each RPC at most. Belongs to the event loop."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._made: dict[int, _Appointment] = {}
        self._of_device: dict[str, set[int]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def make(self, id: int, at: float, work: Work, *, device: str | None = None) -> None:
        """Begin ``work`` then (seconds since 1970-01-01 UTC), or when ``device`` is heard; in place of what
        there was."""
        self.drop(id)
        delay = max(at - self._clock(), 0.0)
        timer = asyncio.get_running_loop().call_later(delay, self._begin, id)
        self._made[id] = _Appointment(timer, work, device)
        if device is not None:
            self._of_device.setdefault(device, set()).add(id)

    def drop(self, id: int) -> Work | None:
        """Nothing is to be done any more; returns what it was."""
        appointment = self._made.pop(id, None)
        if appointment is None:
            return None
        appointment.timer.cancel()
        if appointment.device is not None:
            ids = self._of_device[appointment.device]
            ids.discard(id)
            if not ids:
                del self._of_device[appointment.device]
        return appointment.work

    def bring_forward(self, device: str) -> None:
        """It was heard."""
        if self._of_device:
            for id in tuple(self._of_device.get(device, ())):
                self._begin(id)

    async def close(self) -> None:
        for id in tuple(self._made):
            self.drop(id)
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _begin(self, id: int) -> None:
        work = self.drop(id)
        if work is not None:
            task = asyncio.get_running_loop().create_task(work())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
