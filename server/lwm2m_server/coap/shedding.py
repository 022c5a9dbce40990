"""Shedding: when more arrives than can be answered, no sender gets more than its share.

A server that cannot keep up answers nobody in time, and the kernel throws away datagrams without
looking whose they are. Here datagrams are thrown away by source, before they are decoded, and only
while too many wait, to be read or to be answered: the share every source may send is halved until they
get fewer, and grows again when they are few. So it settles where the server is just busy, senders below the
share notice nothing, and those above it are clipped to it (max-min fairness).

A source is an address, and thousands may share one behind a NAT. So a device that is registered may send its
share even if its address has sent too much.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable
from typing import NamedTuple

import structlog

CEILING = 1024.0
"""Datagrams a second: the share at which nothing is shed any more."""
LONG = 0.5
"""Part of the receive buffer that is in use when a queue is called long. The kernel takes up to a quarter
off late (udp_rmem_release), so that less would mean nothing."""
CROWD = 1000
"""Requests that wait for their answers when they are called too many."""
PATIENCE = 0.02
"""Seconds between two cuts of the share: so long it takes to see what the last one did."""
RECOVERY = 1.0
"""Seconds in which the share doubles once the queue is short."""
BURST = 1
"""Datagrams each source may send at once however small the share."""
SOURCES = 20_000
"""Sources of one generation; up to two are remembered."""
REPORT_EVERY = 60.0
"""Seconds between two lines in the log about the same flood."""

MAPPED, LINK_LOCAL = bytes(10) + b"\xff\xff", b"\xfe\x80"
"""How an IPv4 address begins that is written as IPv6, and one that is nobody's prefix (RFC 4291)."""

# Linux constants the socket module of Python 3.11 does not name (linux/sock_diag.h).
SO_MEMINFO, RMEM_ALLOC, RCVBUF, DROPS, FIELDS = 55, 0, 1, 8, 9

_log = structlog.get_logger(__name__)


class Queue(NamedTuple):
    """The state of a socket's receive queue."""

    used: int
    limit: int
    """Bytes, as ``used``."""
    dropped: int
    """Datagrams the kernel threw away since the socket was made, for want of space."""


def queue_of(bound: socket.socket) -> Queue | None:
    """``None`` where the kernel does not tell: only Linux does."""
    try:
        info = bound.getsockopt(socket.SOL_SOCKET, SO_MEMINFO, 4 * FIELDS)
        fields = struct.unpack(f"={FIELDS}I", info)
    except (OSError, struct.error):
        return None
    return Queue(fields[RMEM_ALLOC], fields[RCVBUF], fields[DROPS])


class Shedder:
    """Decides whose datagrams are looked at. Ask ``admits`` only while ``strained``.

    ``queue`` tells how much waits to be read, ``under_way`` how many requests were read and not answered.
    ``floor`` is the share in datagrams a second that a source keeps in the worst case; the share of a
    second may come at once. Work and memory are bounded: one dict look-up a datagram, two numbers a source.
    """

    def __init__(
        self, queue: Callable[[], Queue | None], under_way: Callable[[], int], *, floor: float
    ) -> None:
        self._queue, self._under_way, self._floor = queue, under_way, floor
        self.strained = False
        """Whether sources are held to their share at present."""
        self.share = CEILING
        """Datagrams a second each source may send while ``strained``."""
        self.shed = 0
        """Datagrams not looked at so far; counted by whoever asks."""
        self._load = 0.0
        self._dropped = 0
        self._changed_at = 0.0
        # Leaky buckets: how full, and when it was so full.
        self._young: dict[bytes, tuple[float, float]] = {}
        self._old: dict[bytes, tuple[float, float]] = {}
        self._born_at = 0.0
        self._reported = 0
        self._report_at = 0.0

    @property
    def is_wanted(self) -> bool:
        """Whether ``turn`` is to be called although no long queue can be seen."""
        return self.strained or self._under_way() > CROWD

    def turn(self, now: float) -> None:
        """Look at what waits; to be called after each full batch, and when it ``is_wanted``. ``now`` in
        seconds of any steady clock."""
        load, lost = self._under_way() / CROWD, False
        queue = self._queue()
        if queue is not None:
            load = max(load, queue.used / queue.limit / LONG)
            lost, self._dropped = queue.dropped != self._dropped, queue.dropped
        if lost or load > 1:
            self._cut(load, lost, now)
        elif self.strained:
            self._grow(now)
        if self.strained:
            self._age(now)
        if self.shed != self._reported and now >= self._report_at:
            self._report(now)

    def admits(self, address: bytes, now: float) -> bool:
        """Whether a datagram from this address, of 4 or 16 bytes, is within its source's share. So it is for
        a port and address of a device, of 6 or 18 bytes."""
        source, share = _source(address), self.share
        level, at = self._young.get(source) or self._old.get(source, (0.0, now))
        level = max(0.0, level - (now - at) * share)
        admitted = level < max(share, BURST)
        self._young[source] = level + admitted, now
        return admitted

    def counts(self) -> dict[str, int | float]:
        """See ``lwm2m_server.counts``."""
        queue = self._queue()
        return {
            "shedding_shed_total": self.shed,
            "shedding_lost_total": 0 if queue is None else queue.dropped,
            "shedding_active": int(self.strained),
            "shedding_share": self.share,
        }

    def _cut(self, load: float, lost: bool, now: float) -> None:
        if self.strained and now < self._changed_at + PATIENCE:
            return
        # What gets less needs time, not a smaller share.
        if lost or not self.strained or load >= self._load:
            self.share = max(self._floor, self.share / 2)
        self.strained, self._load, self._changed_at = True, load, now

    def _grow(self, now: float) -> None:
        doublings = (now - self._changed_at) / RECOVERY
        self.share *= 2 ** min(doublings, 20.0)
        self._changed_at = now
        if self.share >= CEILING:
            self.share, self.strained = CEILING, False
            self._young, self._old = {}, {}

    def _age(self, now: float) -> None:
        """Forget sources whose debts are paid; of too many, those silent for longest."""
        if len(self._young) >= SOURCES or now - self._born_at > BURST / self._floor:
            self._old, self._young, self._born_at = self._young, {}, now

    def _report(self, now: float) -> None:
        _log.warning(
            "too many datagrams: some are not looked at",
            shed=self.shed - self._reported,
            sources=len(self._young | self._old),
            share=round(self.share, 1),
        )
        self._reported, self._report_at = self.shed, now + REPORT_EVERY


def _source(address: bytes) -> bytes:
    """An IPv4 address; of an IPv6 address the prefix, since who has one address has the whole /64."""
    if len(address) == 16 and not address.startswith((MAPPED, LINK_LOCAL)):
        return address[:8]
    return address
