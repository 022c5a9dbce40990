"""``Datagrams``: what the message layer sends through, in clear or encrypted."""

from __future__ import annotations

from typing import Protocol

from lwm2m_engine.coap import Peer
from lwm2m_server.coap.sockets import Source


class Datagrams(Protocol):
    """A bound socket."""

    @property
    def address(self) -> tuple[str, int]: ...

    def send(self, data: bytes, to: Source) -> None:
        """Never blocks, never raises."""
        ...

    def source(self, peer: Peer) -> Source:
        """Where a peer is to be reached; raises ``OSError`` if it cannot be reached."""
        ...

    def stop_reading(self) -> None:
        """Writing still works."""
        ...

    def close(self) -> None: ...
