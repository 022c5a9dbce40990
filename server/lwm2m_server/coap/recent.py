"""De-duplication: what each peer sent lately, and what it was answered (RFC 7252, 4.5)."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import TypeAlias

from lwm2m_server.coap.blocks import EXCHANGE_LIFETIME

PER_PEER = 8
"""Message IDs remembered of one peer. With one exchange at a time (NSTART) fewer would do."""
PEERS = 200_000
"""Peers remembered; those not heard of for the longest time are forgotten first."""

_Heard: TypeAlias = tuple[int, float, int, bytes | None]
"""Message ID, when it came, a hash of the message, and the datagram it was answered with."""


class Recent:
    """Bounded in both directions; within the bounds nothing is run twice in ``EXCHANGE_LIFETIME``.

    Constant work per message: what is too old is dropped when its peer is heard again.
    """

    def __init__(self, clock: Callable[[], float], *, per_peer: int = PER_PEER, peers: int = PEERS) -> None:
        self._clock = clock
        self._per_peer = per_peer
        self._limit = peers
        self._peers: OrderedDict[object, list[_Heard]] = OrderedDict()
        """Oldest first; a short list takes a third of a dict's memory, and there are as many as devices."""

    def is_new(self, peer: object, mid: int, content: int) -> bool:
        """True the first time; from then on the message counts as being worked on.

        ``content`` is a hash of the message: a device that counts its Message IDs from the same number
        after each boot says something new with an old one, and a retransmission never differs.
        """
        heard = self._peers.get(peer)
        now = self._clock()
        if heard is None:
            self._peers[peer] = [(mid, now, content, None)]
            if len(self._peers) > self._limit:
                self._peers.popitem(last=False)
            return True
        self._peers.move_to_end(peer)
        oldest = now - EXCHANGE_LIFETIME
        for index, known in enumerate(heard):
            if known[0] == mid:
                if known[2] == content and known[1] >= oldest:
                    return False
                del heard[index]
                break
        while heard and (len(heard) >= self._per_peer or heard[0][1] < oldest):
            del heard[0]
        heard.append((mid, now, content, None))
        return True

    def answer(self, peer: object, mid: int) -> bytes | None:
        """The datagram a duplicate is answered with; ``None`` while there is none."""
        index = self._index(peer, mid)
        return None if index is None else self._peers[peer][index][3]

    def answered(self, peer: object, mid: int, datagram: bytes) -> None:
        """Remember what the message was answered with."""
        index = self._index(peer, mid)
        if index is not None:
            heard = self._peers[peer]
            heard[index] = (*heard[index][:3], datagram)

    def forget(self, peer: object, mid: int) -> None:
        """The message could not be dealt with: its next copy is to be taken for new."""
        index = self._index(peer, mid)
        if index is not None:
            del self._peers[peer][index]

    def _index(self, peer: object, mid: int) -> int | None:
        heard = self._peers.get(peer, ())
        # What is asked for is nearly always the last.
        for index in range(len(heard) - 1, -1, -1):
            if heard[index][0] == mid:
                return index
        return None
