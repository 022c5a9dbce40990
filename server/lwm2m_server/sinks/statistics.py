"""How well deliveries go: what an operator wants to know of a lane, since the server was started."""

from __future__ import annotations

import time

import attrs

_WEIGHT = 0.05
"""Of the latest delivery in the mean latency."""


@attrs.define(slots=True)
class Statistics:
    """Of one lane. Times are seconds since 1970."""

    delivered: int = 0
    failed: int = 0
    """Attempts."""
    dead: int = 0
    latency: float | None = None
    """Seconds from the event to the delivery, a mean that the latest count most for."""
    failing_since: float | None = None
    """When the first of the attempts failed that followed the latest delivery; ``None`` if none did."""
    last_error: str | None = None
    last_error_at: float | None = None
    retry_at: float | None = None
    """When the next attempt is, if the target is left alone until then."""

    def succeeded(self, notices: int, seconds: float) -> None:
        self.delivered += notices
        self.failing_since = None
        self.latency = seconds if self.latency is None else self.latency + _WEIGHT * (seconds - self.latency)

    def went_wrong(self, reason: str) -> None:
        self.failed += 1
        self.last_error, self.last_error_at = reason, time.time()
        self.failing_since = self.failing_since or self.last_error_at


@attrs.frozen(slots=True)
class Totals:
    """Of all lanes: notices that wait, and what became of the others."""

    waiting: int
    waiting_bytes: int
    delivered: int
    failed: int
    dead: int
