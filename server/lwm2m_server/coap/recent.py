"""De-duplication: what each peer sent lately, and what it was answered (RFC 7252, 4.5)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from lwm2m_server.coap.blocks import EXCHANGE_LIFETIME

PER_PEER = 8
"""Message IDs remembered of one peer. With one exchange at a time (NSTART) fewer would do."""
PEERS = 200_000
"""Peers remembered at most; those not heard of for the longest time are forgotten, half of all at once."""

_Heard: TypeAlias = tuple[int, float, int, bytes | None]
"""Message ID, when it came, a hash of the message, and the datagram it was answered with."""


class Recent:
    """Bounded in both directions; within the bounds nothing is run twice in ``EXCHANGE_LIFETIME``.

    Constant work per message: what is too old is dropped when its peer is heard again.
    """

    def __init__(self, clock: Callable[[], float], *, per_peer: int = PER_PEER, peers: int = PEERS) -> None:
        self._clock = clock
        self._per_peer = per_peer
        self._limit = peers // 2
        self._peers: dict[object, list[_Heard]] = {}
        """A short list takes a third of a dict's memory, and there are as many as devices."""
        self._older: dict[object, list[_Heard]] = {}
        """Not heard of since ``_peers`` was empty."""

    def is_new(self, peer: object, mid: int, content: int) -> bool:
        """True the first time; from then on the message counts as being worked on.

        ``content`` is a hash of the message: a device that counts its Message IDs from the same number
        after each boot says something new with an old one, and a retransmission never differs.
        """
        heard = self._peers.get(peer)
        if heard is None:
            heard = self._recall(peer)
        now = self._clock()
        oldest = now - EXCHANGE_LIFETIME
        for known in heard:
            if known[0] == mid:
                if known[2] == content and known[1] >= oldest:
                    return False
                heard.remove(known)
                break
        while heard and (len(heard) >= self._per_peer or heard[0][1] < oldest):
            del heard[0]
        heard.append((mid, now, content, None))
        return True

    def _recall(self, peer: object) -> list[_Heard]:
        """What is known of a peer that was not heard of lately."""
        heard = self._older.pop(peer, [])
        if len(self._peers) >= self._limit:
            self._older, self._peers = self._peers, {}
        self._peers[peer] = heard
        return heard

    def answer(self, peer: object, mid: int) -> bytes | None:
        """The datagram a duplicate is answered with; ``None`` while there is none."""
        for known in self._of(peer):
            if known[0] == mid:
                return known[3]
        return None

    def answered(self, peer: object, mid: int, datagram: bytes) -> None:
        """Remember what the message was answered with."""
        heard = self._of(peer)
        # It is nearly always the last.
        for index in range(len(heard) - 1, -1, -1):
            known, at, content, _ = heard[index]
            if known == mid:
                heard[index] = (mid, at, content, datagram)
                return

    def forget(self, peer: object, mid: int) -> None:
        """The message could not be dealt with: its next copy is to be taken for new."""
        heard = self._of(peer)
        for known in heard:
            if known[0] == mid:
                heard.remove(known)
                return

    def _of(self, peer: object) -> list[_Heard]:
        return self._peers.get(peer) or self._older.get(peer, [])
