"""Message IDs of what we send, counted for each peer (RFC 7252, 4.4)."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Hashable

from lwm2m_server.coap.blocks import EXCHANGE_LIFETIME

MODULUS = 1 << 16
PEERS = 100_000
"""Peers whose counters are kept before the older ones of them are let go."""


class MessageIds:
    """A counter for each peer, from a random number on.

    A number comes back to the same peer after 65,535 others, or when the counter was let go: not before
    nothing was sent to the peer for ``EXCHANGE_LIFETIME``, unless more than ``PEERS`` peers are
    talked to in that time. Two generations of counters take turns, so that no peer needs a timer.
    """

    def __init__(self, clock: Callable[[], float], *, peers: int = PEERS) -> None:
        self._clock = clock
        self._limit = peers
        self._young: dict[Hashable, int] = {}
        self._old: dict[Hashable, int] = {}
        self._turned = clock()

    def __len__(self) -> int:
        """Counters kept; a peer may have one in each generation."""
        return len(self._young) + len(self._old)

    def next(self, peer: Hashable) -> int:
        last = self._young.get(peer)
        if last is None:
            last = self._remember(peer)
        mid = self._young[peer] = (last + 1) % MODULUS
        return mid

    def _remember(self, peer: Hashable) -> int:
        """The last number of a peer that nothing was sent to in this generation."""
        now = self._clock()
        if now - self._turned > EXCHANGE_LIFETIME or len(self._young) >= self._limit:
            # What was young may have been used a moment ago: it stays for one more generation.
            self._old, self._young, self._turned = self._young, {}, now
        last = self._old.get(peer)
        return secrets.randbelow(MODULUS) if last is None else last
