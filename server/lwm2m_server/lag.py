"""``Lag``: how late the event loop is, since whoever holds it up holds up every device and client."""

from __future__ import annotations

import asyncio
from typing import Final

from lwm2m_server.figures import Histogram

EVERY: Final = 0.25
"""Seconds between two looks."""


class Lag:
    """Belongs to the running loop from ``start`` to ``close``."""

    def __init__(self) -> None:
        self.seconds = Histogram()
        self._timer: asyncio.TimerHandle | None = None
        self._due = 0.0

    def start(self) -> None:
        loop = asyncio.get_running_loop()
        self._due = loop.time() + EVERY
        self._timer = loop.call_at(self._due, self._look)

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def _look(self) -> None:
        self.seconds.observe(max(asyncio.get_running_loop().time() - self._due, 0.0))
        self.start()
