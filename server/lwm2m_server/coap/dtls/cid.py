"""``CidEngine``: Connection IDs (RFC 9146) for handshakes of OpenSSL, which does not know them."""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from lwm2m_server.coap.dtls.certificates import Certificates
from lwm2m_server.coap.dtls.engine import NOTHING, Traffic, Turn
from lwm2m_server.coap.dtls.extension import ConnectionIds, Offer
from lwm2m_server.coap.dtls.hello import HEAD
from lwm2m_server.coap.dtls.identities import Identities
from lwm2m_server.coap.dtls.openssl import OpensslEngine
from lwm2m_server.coap.dtls.records import HANDSHAKE, TLS12_CID, Protection, Refused, split
from lwm2m_server.coap.dtls.suites import SUITES

SERVER_HELLO = 2


class CidEngine:
    """OpenSSL with the extension, whose arguments it takes.

    Only for handshakes: to go on with a session that has a Connection ID takes a ``CompactingEngine``.
    """

    def __init__(
        self,
        identities: Identities,
        *,
        suites: Sequence[str],
        mtu: int,
        certificates: Certificates | None = None,
    ) -> None:
        self._ids = ConnectionIds()
        self._engine = OpensslEngine(
            identities, suites=suites, mtu=mtu, certificates=certificates, extend=self._ids.attach
        )

    @property
    def name(self) -> str:
        return self._engine.name

    def accept(self, cid: bytes = b"") -> CidHandshake:
        return CidHandshake(self._engine, self._ids, cid)


class CidHandshake:
    """See ``Session``."""

    __slots__ = ("_engine", "_ids", "_newest", "_offer", "_session")

    def __init__(self, engine: OpensslEngine, ids: ConnectionIds, cid: bytes) -> None:
        self._engine, self._ids = engine, ids
        self._session, self._offer = engine.accept(), Offer(cid)
        self._newest = 0

    @property
    def endpoint(self) -> str | None:
        return self._session.endpoint

    @property
    def cid(self) -> bytes:
        return self._offer.cid if self._offer.is_given else b""

    @property
    def over(self) -> str | None:
        return self._session.over

    @property
    def deadline(self) -> float | None:
        return self._session.deadline

    def receive(self, datagram: bytes, now: float) -> Turn:
        """Of the records of epoch 1 one at a time."""
        had = self.cid
        if had and datagram[3:5] != b"\0\0":
            translated = self._translated(datagram)
            if translated is None:
                return NOTHING
            datagram = translated
        turn = self._hand(datagram, now)
        if self.cid and not had and (suite := _suite(turn)) is not None and suite not in SUITES:
            # Only now it shows that records cannot carry one. Nobody has seen the answer yet: once more.
            self._session, self._offer = self._engine.accept(), Offer(b"")
            turn = self._hand(datagram, now)
        return turn

    def elapse(self, now: float) -> Turn:
        return self._session.elapse(now)

    def seal(self, message: bytes) -> bytes:
        return self._session.seal(message)

    def close(self) -> Turn:
        return self._session.close()

    def traffic(self) -> Traffic | None:
        traffic = self._session.traffic()
        if traffic is None or not self.cid:
            return traffic
        return attrs.evolve(traffic, newest=self._newest, peer_cid=self._offer.peer_cid or b"")

    def _hand(self, datagram: bytes, now: float) -> Turn:
        with self._ids.negotiating(self._offer):
            return self._session.receive(datagram, now)

    def _translated(self, datagram: bytes) -> bytes | None:
        """The client's Finished as OpenSSL would have got it without a Connection ID.

        With the same keys and the same sequence number, but nobody else ever sees it.
        """
        record, found = next(split(datagram, len(self.cid)), None), self._session.keys()
        if record is None or record.type != TLS12_CID or record.cid != self.cid or found is None:
            return None
        suite, keys = found
        protection = Protection.of(SUITES[suite], keys.client_key, keys.client_salt)
        try:
            content = protection.open(record)
        except Refused:
            return None
        self._newest = record.position
        return protection.seal(content, record.position)


def _suite(turn: Turn) -> int | None:
    """The suite in the ServerHello that a flight begins with: after version, random and session id."""
    flight = b"".join(turn.datagrams)
    if flight[:1] != bytes((HANDSHAKE,)) or flight[HEAD - 12 : HEAD - 11] != bytes((SERVER_HELLO,)):
        return None
    at = HEAD + 2 + 32 + 1 + flight[HEAD + 2 + 32]
    return int.from_bytes(flight[at : at + 2], "big")
