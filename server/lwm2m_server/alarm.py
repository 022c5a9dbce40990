"""``Alarm``: the one timer of the hub."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class Alarm:
    """Rings at the next deadline. Say ``soon`` whenever that may have come nearer.

    A deadline that moved later, as every Update does, is noticed when the alarm rings for nothing.
    """

    def __init__(
        self, clock: Callable[[], float], deadline: Callable[[], float | None], ring: Callable[[], None]
    ) -> None:
        self._clock, self._deadline, self._ring = clock, deadline, ring
        self._timer: asyncio.TimerHandle | None = None
        self._set_for: float | None = None
        self._said = False
        self._closed = False

    def soon(self) -> None:
        """Look at the deadline once, after what else happens in this turn of the event loop."""
        if not self._said and not self._closed:
            self._said = True
            asyncio.get_running_loop().call_soon(self._look)

    def close(self) -> None:
        """Never ring again."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()

    def _look(self) -> None:
        self._said = False
        due = self._deadline()
        if self._closed or due is None or (self._set_for is not None and self._set_for <= due):
            return
        if self._timer is not None:
            self._timer.cancel()
        self._set_for = due
        delay = max(0.0, due - self._clock())
        self._timer = asyncio.get_running_loop().call_later(delay, self._due)

    def _due(self) -> None:
        self._timer = self._set_for = None
        self._ring()
        self.soon()
