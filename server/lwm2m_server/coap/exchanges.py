"""Confirmable messages under way, at most one to each peer (RFC 7252, 4.2 and 4.7: NSTART = 1)."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable

import attrs

from lwm2m_server.coap.datagrams import Datagrams
from lwm2m_server.coap.sockets import SocketAddress, Source
from lwm2m_server.coap.timing import Timing
from lwm2m_server.coap.wheel import Timer, Wheel

Notice = Callable[[], None]


def nobody_minds() -> None:
    """For what may happen to a message without anyone waiting for it."""


class Outgoing:
    """A Confirmable message, from ``Exchanges.send`` until it is acknowledged, reset or given up."""

    __slots__ = ("acknowledged", "datagram", "mid", "over", "repeats", "reset", "source", "timeout", "timer")

    def __init__(
        self, datagram: bytes, source: Source, mid: int, reset: Notice, acknowledged: Notice
    ) -> None:
        self.datagram = datagram
        self.source = source
        self.mid = mid
        self.reset = reset
        self.acknowledged = acknowledged
        self.repeats = 0
        self.timeout = 0.0
        self.timer: Timer | None = None
        self.over = False


@attrs.define(slots=True)
class _Peer:
    """What is under way to one address; kept only while there is something."""

    active: Outgoing
    waiting: deque[Outgoing] | None = None


class Exchanges:
    """Repeats messages until something comes back. Every step costs the same however many there are.

    ``given_up(address)`` is called when the last repetition of a message stayed without an answer.
    """

    def __init__(
        self, udp: Datagrams, wheel: Wheel, timing: Timing, given_up: Callable[[SocketAddress], None]
    ) -> None:
        self._udp = udp
        self._wheel = wheel
        self._timing = timing
        self._given_up = given_up
        self._peers: dict[SocketAddress, _Peer] = {}

    def __len__(self) -> int:
        """Peers with a message under way."""
        return len(self._peers)

    def send(
        self,
        datagram: bytes,
        source: Source,
        mid: int,
        *,
        reset: Notice = nobody_minds,
        acknowledged: Notice = nobody_minds,
    ) -> Outgoing:
        """At once, or when what is under way to this peer has been acknowledged.

        ``acknowledged`` is called for an empty Acknowledgement only.
        """
        outgoing = Outgoing(datagram, source, mid, reset, acknowledged)
        self._enqueue(outgoing)
        return outgoing

    def _enqueue(self, outgoing: Outgoing) -> None:
        address = outgoing.source.address
        peer = self._peers.get(address)
        if peer is None:
            self._peers[address] = _Peer(outgoing)
            self._begin(outgoing)
        elif peer.waiting is None:
            peer.waiting = deque((outgoing,))
        else:
            peer.waiting.append(outgoing)

    def uses(self, address: SocketAddress, mid: int) -> bool:
        """True if the message under way to there has this Message ID."""
        peer = self._peers.get(address)
        return peer is not None and peer.active.mid == mid

    def settle(self, address: SocketAddress, mid: int) -> Outgoing | None:
        """Something with this Message ID came back: the message it is about, which is over now."""
        peer = self._peers.get(address)
        if peer is None or peer.active.mid != mid:
            return None
        outgoing = peer.active
        self._end(outgoing, peer)
        return outgoing

    def withdraw(self, outgoing: Outgoing) -> None:
        """Do not send it (again)."""
        if outgoing.over:
            return
        peer = self._peers.get(outgoing.source.address)
        if peer is not None and peer.active is outgoing:
            self._end(outgoing, peer)
        else:
            # It is passed over when its turn comes.
            outgoing.over = True

    def hold(self, address: SocketAddress, tell: Notice) -> None:
        """Call ``tell``, which may withdraw messages to this address; none of them is sent meanwhile."""
        waiting: deque[Outgoing] | None = None
        peer = self._peers.get(address)
        if peer is not None:
            waiting, peer.waiting = peer.waiting, None
        tell()
        for following in waiting or ():
            if not following.over:
                self._enqueue(following)

    def _begin(self, outgoing: Outgoing) -> None:
        timing = self._timing
        outgoing.timeout = timing.ack_timeout * random.uniform(1.0, timing.ack_random_factor)  # noqa: S311
        self._transmit(outgoing)

    def _transmit(self, outgoing: Outgoing) -> None:
        outgoing.timer = self._wheel.call_later(outgoing.timeout, lambda: self._expired(outgoing))
        self._udp.send(outgoing.datagram, outgoing.source)

    def _expired(self, outgoing: Outgoing) -> None:
        if outgoing.repeats < self._timing.max_retransmit:
            outgoing.repeats += 1
            outgoing.timeout *= 2
            self._transmit(outgoing)
            return
        self.hold(outgoing.source.address, lambda: self._give_up(outgoing))

    def _give_up(self, outgoing: Outgoing) -> None:
        address = outgoing.source.address
        self._given_up(address)
        if not outgoing.over:
            self._end(outgoing, self._peers[address])

    def _end(self, outgoing: Outgoing, peer: _Peer) -> None:
        outgoing.over = True
        if outgoing.timer is not None:
            outgoing.timer.cancel()
        while peer.waiting:
            following = peer.waiting.popleft()
            if not following.over:
                peer.active = following
                self._begin(following)
                return
        del self._peers[outgoing.source.address]
