"""``Suspended``: sessions between two lives of the server."""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from typing import NamedTuple, Protocol

from lwm2m_server.coap.dtls.association import Association
from lwm2m_server.coap.dtls.compact import CompactSession
from lwm2m_server.coap.dtls.established import EstablishedSession

SKIPPED = 2**32
"""Up to so many sequence numbers are left out. Should an old copy of what was kept ever be used again, those
that it says are free have most likely not been used: a nonce must never protect two records."""


class Suspended(NamedTuple):
    """One that can go on. ``state`` has keys in clear, and must be used once at most."""

    endpoint: str
    host: str
    port: int
    state: bytes


class Shelf(Protocol):
    """Where sessions of a listener are while the server is down."""

    def keep(self, listener: str, sessions: Iterable[Suspended]) -> None: ...

    def take(self, listener: str) -> Iterable[Suspended]:
        """What was kept, which is there no more afterwards."""
        ...


def suspended(association: Association) -> Suspended | None:
    """``None`` unless another life of the server can go on with it; it must not be used any more."""
    session, peer = association.session, association.outside.peer
    traffic = session.traffic()
    if traffic is None or session.endpoint is None:
        return None
    state = CompactSession.of(traffic, session.cid).dump()
    return Suspended(session.endpoint, peer.host, peer.port, state)


def resumed(suspended: Suspended) -> EstablishedSession:
    """Raises ``ValueError`` if that is no session."""
    compact = CompactSession.load(suspended.state)
    compact.position += secrets.randbelow(SKIPPED)
    return EstablishedSession(suspended.endpoint, compact)
