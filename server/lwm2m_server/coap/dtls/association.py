"""``Association``: a session, where its datagrams go, and what the gateway knows it by."""

from __future__ import annotations

from itertools import count

from lwm2m_engine.coap import Peer
from lwm2m_server.coap.dtls.engine import Session
from lwm2m_server.coap.sockets import Source
from lwm2m_server.coap.wheel import Timer

_numbers = count(1)


class Association:
    """One client's. What the gateway sees of it has an address of its own: Message IDs, de-duplication and
    requests under way belong to the session, not to whoever has the address (RFC 7252, 9.1.1 and 9.1.2).
    """

    __slots__ = ("due", "expires", "heard", "inside", "outside", "random", "session", "timer")

    def __init__(self, session: Session, outside: Source, random: bytes, expires: float) -> None:
        self.session = session
        self.outside = outside
        """Where the client is."""
        self.random = random
        """What tells its ClientHello from others."""
        self.expires = expires
        """When the handshake has to be complete."""
        self.heard = 0.0
        self.due: float | None = None
        self.timer: Timer | None = None
        """Set for ``due``."""
        self.inside: Source | None = None
        """What its messages come from, once it is established."""

    def establish(self) -> Source:
        """The handshake is complete."""
        address = (*self.outside.address[:2], next(_numbers))
        self.inside = Source(address, peer=self._peer())
        return self.inside

    def move(self, outside: Source) -> None:
        """The client is somewhere else now; what it has under way stays what it is."""
        self.outside = outside
        if self.inside is not None:
            self.inside = self.inside._replace(peer=self._peer())

    def _peer(self) -> Peer:
        return self.outside.peer._replace(identity=self.session.endpoint)

    def rest(self) -> None:
        """Nothing is due any more."""
        if self.timer is not None:
            self.timer.cancel()
        self.timer = self.due = None
