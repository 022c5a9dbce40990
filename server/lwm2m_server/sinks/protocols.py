"""What a sink is: something outside that takes notices, over HTTP, MQTT, Kafka …"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, TypeAlias

import attrs

from lwm2m_server.store.records import Notice


class Retry(Exception):
    """It did not take the notices; it may later. ``after`` is how many seconds it asks for."""

    def __init__(self, reason: str, after: float | None = None) -> None:
        super().__init__(reason)
        self.after = after


class Refused(Exception):
    """It will never take these notices, or cannot be one: they become dead letters."""


@attrs.frozen(slots=True)
class Endpoint:
    """Where an application, or a subscription's URL, wants its notices. Equal ones share a sink."""

    tenant: str
    kind: str
    """``EndpointType``: ``WebHook``, ``MQTT``, ``Kafka`` …"""
    addresses: tuple[str, ...]
    """``poa``, to be tried in this order; never empty."""
    headers: tuple[str, ...] = ()
    """``poah``, each ``Name:value``."""
    labels: tuple[str, ...] = ()
    """Of the application."""


class Sink(Protocol):
    """Belongs to the event loop; several calls of ``deliver`` may be under way at a time."""

    @property
    def limit(self) -> int:
        """How many notices it takes at once; asked before each delivery."""
        ...

    async def deliver(self, batch: Sequence[Notice]) -> None:
        """All of them are delivered when it returns, in this order. Raises ``Retry`` and ``Refused``: then
        they are offered again, or buried, all together."""
        ...

    async def close(self) -> None: ...


SinkFactory: TypeAlias = Callable[[Endpoint], Sink]
"""Makes the sink of an endpoint; connects when something is to be delivered. Raises ``Refused`` for what
no sink can be made of."""
