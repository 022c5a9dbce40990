"""``EstablishedSession``: a session that its own record layer goes on with (RFC 6347, RFC 9146)."""

from __future__ import annotations

import attrs

from lwm2m_server.coap.dtls.compact import CompactSession
from lwm2m_server.coap.dtls.engine import NOTHING, SessionOver, Traffic, Turn
from lwm2m_server.coap.dtls.flights import packed
from lwm2m_server.coap.dtls.records import (
    ALERT,
    APPLICATION_DATA,
    HANDSHAKE,
    Content,
    Exhausted,
    Refused,
    split,
)

RETRANSMISSION = 240.0
"""Seconds for which the client's last flight is answered with the server's: twice the lifetime of a segment
(RFC 6347, 4.2.4)."""
CLIENT_HELLO, FINISHED = 1, 20
CLOSE_NOTIFY = b"\1\0"
NO_RENEGOTIATION = b"\1\x64"
FATAL = 2


@attrs.frozen
class LastFlight:
    """The server's, in clear, for a client that did not get it."""

    parts: tuple[bytes | Content, ...]
    """Records of epoch 0 as they were, and what was in protected ones."""
    until: float
    mtu: int

    def datagrams(self, compact: CompactSession) -> tuple[bytes, ...]:
        """Protected anew: the client may have seen the sequence numbers used before."""
        records = [part if isinstance(part, bytes) else compact.seal(*part) for part in self.parts]
        return packed(records, self.mtu)


class EstablishedSession:
    """See ``Session``. ``deadline`` is when ``flight`` need not be kept any more."""

    __slots__ = ("_flight", "compact", "deadline", "endpoint", "over")

    def __init__(self, endpoint: str, compact: CompactSession, flight: LastFlight | None = None) -> None:
        self.endpoint, self.compact, self._flight = endpoint, compact, flight
        self.deadline = None if flight is None else flight.until
        self.over: str | None = None

    @property
    def cid(self) -> bytes:
        return self.compact.cid

    def receive(self, datagram: bytes, now: float) -> Turn:
        datagrams: list[bytes] = []
        messages, is_newest = [], False
        for record in split(datagram, len(self.compact.cid)):
            if self.over is not None:
                break
            try:
                kind, data, newer = self.compact.open(record)
            except Refused:
                # Silently: anyone could have sent it (RFC 6347, 4.1.2.7).
                continue
            is_newest |= newer
            if kind == APPLICATION_DATA:
                messages.append(data)
            elif kind == ALERT:
                datagrams += self._alerted(data)
            elif kind == HANDSHAKE:
                datagrams += self._asked(data)
        return Turn(tuple(datagrams), tuple(messages), is_newest)

    def elapse(self, now: float) -> Turn:
        if self.deadline is not None and now >= self.deadline:
            self._flight = self.deadline = None
        return NOTHING

    def seal(self, message: bytes) -> bytes:
        if self.over is not None:
            raise SessionOver(self.over)
        try:
            return self.compact.seal(APPLICATION_DATA, message)
        except Exhausted as exhausted:
            self.over = str(exhausted)
            raise SessionOver(self.over) from exhausted

    def close(self) -> Turn:
        return Turn(self._end("closed")) if self.over is None else NOTHING

    def traffic(self) -> Traffic | None:
        return self.compact.traffic() if self.over is None else None

    def _alerted(self, alert: bytes) -> tuple[bytes, ...]:
        if alert == CLOSE_NOTIFY:
            return self._end("closed by the device")
        if alert[:1] == bytes((FATAL,)):
            self.over = f"alert {alert[-1]} by the device"
        return ()

    def _asked(self, message: bytes) -> tuple[bytes, ...]:
        """A handshake message, where there is no handshake any more."""
        if message[:1] == bytes((CLIENT_HELLO,)):
            return (self.compact.seal(ALERT, NO_RENEGOTIATION),)
        if message[:1] == bytes((FINISHED,)) and self._flight is not None:
            return self._flight.datagrams(self.compact)
        return ()

    def _end(self, reason: str) -> tuple[bytes, ...]:
        self.over = reason
        return (self.compact.seal(ALERT, CLOSE_NOTIFY),)
