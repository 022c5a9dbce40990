"""``CompactingEngine``: sessions leave the library that shook hands as soon as they are established."""

from __future__ import annotations

from lwm2m_server.coap.dtls.compact import CompactSession
from lwm2m_server.coap.dtls.engine import DtlsEngine, Session, Traffic, Turn
from lwm2m_server.coap.dtls.established import RETRANSMISSION, EstablishedSession, LastFlight
from lwm2m_server.coap.dtls.flights import cut
from lwm2m_server.coap.dtls.records import Content, cleave, split


class CompactingEngine:
    """Around another engine. Sessions whose suite is no AEAD stay with it."""

    def __init__(self, engine: DtlsEngine, mtu: int) -> None:
        self._engine, self._mtu = engine, mtu

    @property
    def name(self) -> str:
        return self._engine.name

    def accept(self, cid: bytes = b"") -> CompactingSession:
        return CompactingSession(self._engine.accept(cid), self._mtu)


class CompactingSession:
    """The library's session until the handshake is complete, then one of our own. See ``Session``."""

    __slots__ = ("_is_settled", "_mtu", "session")

    def __init__(self, session: Session, mtu: int) -> None:
        self.session, self._mtu = session, mtu
        self._is_settled = False

    @property
    def endpoint(self) -> str | None:
        return self.session.endpoint

    @property
    def cid(self) -> bytes:
        return self.session.cid

    @property
    def over(self) -> str | None:
        return self.session.over

    @property
    def deadline(self) -> float | None:
        return self.session.deadline

    def receive(self, datagram: bytes, now: float) -> Turn:
        if self._is_settled:
            return self.session.receive(datagram, now)
        # One by one: what follows the client's Finished is for the record layer of our own.
        clear, rest = cleave(datagram)
        turns = [self._shake(clear, now)] if clear else []
        turns += [self._shake(record.encode(), now) for record in split(rest, len(self.cid))]
        return _together(turns)

    def elapse(self, now: float) -> Turn:
        return self.session.elapse(now)

    def seal(self, message: bytes) -> bytes:
        return self.session.seal(message)

    def close(self) -> Turn:
        return self.session.close()

    def traffic(self) -> Traffic | None:
        return self.session.traffic()

    def _shake(self, part: bytes, now: float) -> Turn:
        turn = self.session.receive(part, now)
        if self._is_settled or self.session.endpoint is None or self.session.over is not None:
            return turn
        self._is_settled = True
        traffic = self.session.traffic()
        return turn if traffic is None else self._leave(traffic, turn, now)

    def _leave(self, traffic: Traffic, turn: Turn, now: float) -> Turn:
        """The library has done its part: go on without it, beginning with what it wanted to send."""
        library, endpoint = self.session, self.session.endpoint
        assert endpoint is not None
        compact = CompactSession.of(traffic, library.cid)
        parts = [_in_clear(record, compact) for datagram in turn.datagrams for record in cut(datagram)]
        flight = LastFlight(tuple(parts), now + RETRANSMISSION, self._mtu)
        self.session = EstablishedSession(endpoint, compact, flight)
        # Nobody is told: it is so that the library keeps what resumption needs.
        library.close()
        return Turn(flight.datagrams(compact), turn.messages)


def _in_clear(record: bytes, compact: CompactSession) -> bytes | Content:
    clear, protected = cleave(record)
    return clear or compact.own(next(split(protected)))


def _together(turns: list[Turn]) -> Turn:
    """What came of the parts of a datagram."""
    return Turn(
        tuple(datagram for turn in turns for datagram in turn.datagrams),
        tuple(message for turn in turns for message in turn.messages),
        any(turn.is_newest for turn in turns),
    )
