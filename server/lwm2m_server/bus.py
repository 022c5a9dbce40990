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
        self._listeners: list[tuple[Listener, tuple[type[Event], ...]]] = []
        self._by_kind: dict[type, tuple[Listener, ...]] = {}
        """Worked out when the first event of a kind comes."""

    def subscribe(self, listener: Listener, *kinds: type[Event]) -> Callable[[], None]:
        """To events of these kinds, or of all if none is named. Returns what ends the subscription."""
        subscription = (listener, kinds)
        self._listeners.append(subscription)
        self._by_kind.clear()

        def unsubscribe() -> None:
            self._listeners.remove(subscription)
            self._by_kind.clear()

        return unsubscribe

    def publish(self, tenant: str, event: Event) -> None:
        listeners = self._by_kind.get(event.__class__)
        if listeners is None:
            listeners = self._by_kind[event.__class__] = self._listeners_for(event)
        for listener in listeners:
            try:
                listener(tenant, event)
            except Exception:  # noqa: BLE001 - a listener may be foreign code
                _log.exception("listener failed", listener=repr(listener), event_type=type(event).__name__)

    def _listeners_for(self, event: Event) -> tuple[Listener, ...]:
        return tuple(listener for listener, kinds in self._listeners if not kinds or type(event) in kinds)
