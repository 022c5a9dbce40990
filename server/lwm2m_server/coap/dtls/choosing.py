"""``ChoosingEngine``: one engine for clients with Raw Public Keys (RFC 7250), and one for all others."""

from __future__ import annotations

from collections.abc import Iterator

from lwm2m_server.coap.dtls import hello
from lwm2m_server.coap.dtls.engine import NOTHING, DtlsEngine, Session, SessionOver, Traffic, Turn

CERTIFICATE_TYPES = 19, 20
"""The extensions ``client_certificate_type`` and ``server_certificate_type`` (RFC 7250, 3)."""
RAW_PUBLIC_KEY = 2


class ChoosingEngine:
    """Which of the two it is shows in the ClientHello."""

    def __init__(self, usual: DtlsEngine, raw: DtlsEngine) -> None:
        self.usual, self.raw = usual, raw

    @property
    def name(self) -> str:
        return f"{self.usual.name}, and {self.raw.name} for Raw Public Keys"

    def accept(self, cid: bytes = b"") -> ChoosingSession:
        return ChoosingSession(self, cid)


class ChoosingSession:
    """See ``Session``. What it is about begins with the first datagram."""

    __slots__ = ("_cid", "_engine", "_session")

    def __init__(self, engine: ChoosingEngine, cid: bytes) -> None:
        self._engine, self._cid = engine, cid
        self._session: Session | None = None

    @property
    def endpoint(self) -> str | None:
        return None if self._session is None else self._session.endpoint

    @property
    def cid(self) -> bytes:
        return b"" if self._session is None else self._session.cid

    @property
    def over(self) -> str | None:
        return None if self._session is None else self._session.over

    @property
    def deadline(self) -> float | None:
        return None if self._session is None else self._session.deadline

    def receive(self, datagram: bytes, now: float) -> Turn:
        if self._session is None:
            engine = self._engine
            self._session = (engine.raw if wants_raw_keys(datagram) else engine.usual).accept(self._cid)
        return self._session.receive(datagram, now)

    def elapse(self, now: float) -> Turn:
        return NOTHING if self._session is None else self._session.elapse(now)

    def seal(self, message: bytes) -> bytes:
        if self._session is None:
            raise SessionOver("the handshake has not begun")
        return self._session.seal(message)

    def close(self) -> Turn:
        return NOTHING if self._session is None else self._session.close()

    def traffic(self) -> Traffic | None:
        return None if self._session is None else self._session.traffic()


def wants_raw_keys(datagram: bytes) -> bool:
    """Whether a ClientHello asks for Raw Public Keys of either side."""
    asked = hello.parse(datagram)
    return asked is not None and any(
        kind in CERTIFICATE_TYPES and RAW_PUBLIC_KEY in value[1:] for kind, value in _extensions(asked)
    )


def _extensions(asked: hello.ClientHello) -> Iterator[tuple[int, bytes]]:
    data, at = asked.extensions, 0
    while at + 4 <= len(data):
        kind, length = int.from_bytes(data[at : at + 2], "big"), int.from_bytes(data[at + 2 : at + 4], "big")
        yield kind, data[at + 4 : at + 4 + length]
        at += 4 + length
