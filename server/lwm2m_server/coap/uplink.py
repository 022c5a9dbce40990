"""``Uplink``: whom gateways hand to what devices say, and the parts of it that their parts need."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from lwm2m_engine.coap import CoapReply, CoapRequest, Peer


class Receiver(Protocol):
    """Who answers requests."""

    def receive(self, request: CoapRequest, peer: Peer, answer: Callable[[CoapReply], None]) -> None:
        """A device's request, complete after block-wise transfer. ``answer`` is called once, now or later."""
        ...


class Asker(Protocol):
    """Who hears what becomes of a request, by the number of its exchange.

    ``answered`` or ``failed`` ends it, unless it is aborted before.
    """

    def answered(self, exchange: int, reply: CoapReply) -> None:
        """The response, complete after block-wise transfer."""
        ...

    def acknowledged(self, exchange: int) -> None:
        """The device has the whole request; the response is still to come. Not told over TCP."""
        ...

    def failed(self, exchange: int, reason: str) -> None:
        """No response: ``timeout``, ``reset``, ``unreachable`` or ``undecodable``."""
        ...


class Observer(Asker, Protocol):
    """Who knows the observe relations."""

    def knows(self, token: bytes) -> bool:
        """True for the token of a relation."""
        ...

    def observed(self, token: bytes) -> CoapRequest | None:
        """The request that began a relation (GET, or FETCH with its payload), to fetch the rest of a
        block-wise notification with; ``None`` passes the first block on as it came."""
        ...

    def notified(
        self, token: bytes, reply: CoapReply, peer: Peer, settled: Callable[[bool | None], None]
    ) -> None:
        """A notification. ``settled`` is called once: with true to acknowledge it, with false if nobody
        observes (it is then answered with a Reset), with ``None`` if it could not be kept, so that the
        device is to send it again."""
        ...

    def answered(
        self, exchange: int, reply: CoapReply, settled: Callable[[bool | None], None] | None = None
    ) -> None:
        """As of an ``Asker``; ``settled`` as above."""
        ...


class Uplink(Receiver, Observer, Protocol):
    """All of it. What it has to say comes back after the commit."""

    def is_device(self, peer: Peer) -> bool:
        """True for the address a registered device was last heard from."""
        ...


class ConnectionUplink(Receiver, Observer, Protocol):
    """For devices that come over connections."""

    def disconnected(self, peer: Peer) -> None:
        """A connection is closed; what waited for answers over it has failed."""
        ...
