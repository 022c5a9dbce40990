"""``Bus``: who wants to hear of what happened, after it is durable."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import structlog

from lwm2m_engine.engine.events import Event

Listener: TypeAlias = Callable[[str, Event], None]
"""Called with the tenant's name and the event; must return at once."""

_log = structlog.get_logger(__name__)


class Bus:
    """Hands every event to every listener, in order. One that raises stops nobody else."""

    def __init__(self) -> None:
        self._listeners: list[Listener] = []

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Returns what ends the subscription."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def publish(self, tenant: str, event: Event) -> None:
        for listener in tuple(self._listeners):
            try:
                listener(tenant, event)
            except Exception:  # noqa: BLE001 - a listener may be foreign code
                _log.exception("listener failed", listener=repr(listener), event_type=type(event).__name__)
