"""``Limits`` and ``Counters`` of one DTLS port."""

from __future__ import annotations

import attrs


@attrs.frozen
class Limits:
    """What clients may take up."""

    sessions: int = 10_000
    """Established sessions; of more, the one that was silent for longest is closed."""
    handshakes: int = 1_000
    """Handshakes under way; more are not begun."""
    handshakes_per_address: int = 100
    """Handshakes under way with one address, which may be that of a whole network behind NAT."""
    handshake_timeout: float = 30.0
    """Seconds from the ClientHello with a cookie to the end of the handshake."""
    idle: float = 86400.0
    """Seconds of silence after which a session is closed."""


@attrs.define
class Counters:
    """What happened since the port was opened."""

    cookies: int = 0
    """HelloVerifyRequests sent."""
    begun: int = 0
    """Handshakes begun, with a good cookie each."""
    established: int = 0
    """Handshakes completed."""
    replaced: int = 0
    """Sessions that gave way to a new one from the same address."""
    failed: int = 0
    """Handshakes that ended with an alert."""
    timed_out: int = 0
    """Handshakes that took too long."""
    refused: int = 0
    """Handshakes not begun, because too many were under way."""
    displaced: int = 0
    """Sessions closed to make room for others."""
    idle: int = 0
    """Sessions closed because they were silent for too long."""
    ended: int = 0
    """Sessions that a device ended, or that broke."""
    malformed: int = 0
    """Datagrams that are no DTLS 1.2, or claim to be longer than they are."""
    strange: int = 0
    """Datagrams that belong to no session, or to another epoch of it."""
