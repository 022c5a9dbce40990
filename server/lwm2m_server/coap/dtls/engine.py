"""``DtlsEngine``: what a DTLS 1.2 library has to offer (RFC 6347), without sockets and without waiting.

Around it is ``Sessions``, one for a server port: it answers ClientHellos with cookies before any engine is
asked, finds the session a datagram is for (by its source, or by its Connection ID), and watches over limits.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

import attrs

from lwm2m_server.coap.dtls.suites import KeyBlock


class Turn(NamedTuple):
    """What came of a datagram, or of time that has passed."""

    datagrams: tuple[bytes, ...] = ()
    """To be sent to the peer, in this order."""
    messages: tuple[bytes, ...] = ()
    """What the peer said, decrypted: the content of one record each."""
    is_newest: bool = False
    """An authentic record newer than all before it was there: with a Connection ID, where it came from may
    become the peer's address (RFC 9146, 6)."""


NOTHING = Turn()


class SessionOver(Exception):
    """Nothing can be sealed any more, or not yet."""


@attrs.frozen
class Traffic:
    """All it takes to go on with an established session of an AEAD suite without the library.

    Positions are epoch and sequence number, 16 and 48 bits (RFC 6347, 4.1).
    """

    suite: int
    """A key of ``suites.SUITES``."""
    keys: KeyBlock = attrs.field(repr=False)
    position: int
    """Of the next record to be sent."""
    newest: int
    """Of the newest record received: none up to it may be taken again."""
    peer_cid: bytes = b""
    """The Connection ID that goes into records to the client; empty without (RFC 9146)."""


class Session(Protocol):
    """The server's end of an association with one client, from a ClientHello with a good cookie on.

    Memory of the library is given back when nothing refers to the session any more.
    """

    @property
    def endpoint(self) -> str | None:
        """The endpoint name that the client has proved to be; ``None`` until the handshake is complete."""
        ...

    @property
    def cid(self) -> bytes:
        """The Connection ID the client puts into its records; empty without (RFC 9146)."""
        ...

    @property
    def over(self) -> str | None:
        """Why the session came to its end (a word or two for people); ``None`` while it lives."""
        ...

    @property
    def deadline(self) -> float | None:
        """When ``elapse`` is to be called, on the clock that ``now`` is of. May change with each call."""
        ...

    def receive(self, datagram: bytes, now: float) -> Turn:
        """A datagram from the client; the first is its ClientHello. What is wrong with it is silently
        dropped, or ends the session (``over``) with an alert among what is to be sent."""
        ...

    def elapse(self, now: float) -> Turn:
        """Time has passed: the last flight may have to be sent again."""
        ...

    def seal(self, message: bytes) -> bytes:
        """The datagram that carries a message to the client; raises ``SessionOver``."""
        ...

    def close(self) -> Turn:
        """End it: close_notify, or user_canceled before the handshake was complete."""
        ...

    def traffic(self) -> Traffic | None:
        """Keys and positions; ``None`` before the handshake is complete, or if the suite is none of
        ``suites.SUITES``. Whoever goes on with them must not use this session any more."""
        ...


class DtlsEngine(Protocol):
    """Makes the sessions of a server port. All of them answer to one set of identities."""

    @property
    def name(self) -> str:
        """Library and version, for logs."""
        ...

    def accept(self, cid: bytes = b"") -> Session:
        """A session for a client whose ClientHello carries a good cookie; handing it that datagram is next.

        ``cid`` is the Connection ID it may give the client, if the engine and the client know RFC 9146.
        """
        ...
