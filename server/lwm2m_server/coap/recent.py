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

_Answers: TypeAlias = dict[int, tuple[float, int, bytes | None]]
"""By Message ID, the latest last: when it came, a hash of it, and the datagram it was answered with."""


class Recent:
    """Bounded in both directions; within the bounds nothing is run twice in ``EXCHANGE_LIFETIME``.

    Constant work per message: what is too old is dropped when its peer is heard again.
    """

    def __init__(self, clock: Callable[[], float], *, per_peer: int = PER_PEER, peers: int = PEERS) -> None:
        self._clock = clock
        self._per_peer = per_peer
        self._limit = peers
        self._peers: OrderedDict[object, _Answers] = OrderedDict()

    def is_new(self, peer: object, mid: int, content: int) -> bool:
        """True the first time; from then on the message counts as being worked on.

        ``content`` is a hash of the message: a device that counts its Message IDs from the same number
        after each boot says something new with an old one, and a retransmission never differs.
        """
        answers = self._peers.get(peer)
        now = self._clock()
        if answers is None:
            self._peers[peer] = {mid: (now, content, None)}
            if len(self._peers) > self._limit:
                self._peers.popitem(last=False)
            return True
        self._peers.move_to_end(peer)
        known = answers.get(mid)
        if known is not None:
            if known[1] == content and now - known[0] <= EXCHANGE_LIFETIME:
                return False
            del answers[mid]
        self._make_room(answers, now - EXCHANGE_LIFETIME)
        answers[mid] = (now, content, None)
        return True

    def _make_room(self, answers: _Answers, oldest: float) -> None:
        while answers:
            first = next(iter(answers))
            if len(answers) < self._per_peer and answers[first][0] >= oldest:
                return
            del answers[first]

    def answer(self, peer: object, mid: int) -> bytes | None:
        """The datagram a duplicate is answered with; ``None`` while there is none."""
        answers = self._peers.get(peer)
        known = answers.get(mid) if answers is not None else None
        return None if known is None else known[2]

    def answered(self, peer: object, mid: int, datagram: bytes) -> None:
        """Remember what the message was answered with."""
        answers = self._peers.get(peer)
        known = answers.get(mid) if answers is not None else None
        if answers is not None and known is not None:
            answers[mid] = (known[0], known[1], datagram)

    def forget(self, peer: object, mid: int) -> None:
        """The message could not be dealt with: its next copy is to be taken for new."""
        answers = self._peers.get(peer)
        if answers is not None:
            answers.pop(mid, None)
