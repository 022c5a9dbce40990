"""``SecureSocket``: a UDP socket that carries messages of CoAP in datagrams of DTLS."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable

import attrs
import structlog

from lwm2m_engine.coap import Peer
from lwm2m_server.coap.dtls.engine import DtlsEngine
from lwm2m_server.coap.dtls.limits import Limits
from lwm2m_server.coap.dtls.sessions import Sessions
from lwm2m_server.coap.dtls.suspension import Shelf
from lwm2m_server.coap.shedding import Shedder
from lwm2m_server.coap.sockets import SocketAddress, Source, UdpSocket
from lwm2m_server.coap.wheel import Timer, Wheel

log = structlog.get_logger(__name__)


@attrs.frozen
class Security:
    """What makes a port a secure one."""

    engine: DtlsEngine
    limits: Limits = attrs.field(factory=Limits)
    cid_length: int = 0
    """Bytes of the Connection IDs given to clients; none are without."""
    shelf: Shelf | None = None
    """Where sessions survive a restart; without, clients are told that theirs are over."""


class SecureSocket:
    """To the gateway the same as a ``UdpSocket``; every source has its session's ``Peer.identity``."""

    def __init__(
        self,
        bound: socket.socket,
        received: Callable[[bytes, Source], None],
        failed: Callable[[OSError, SocketAddress], None],
        shedder: Shedder,
        security: Security,
        *,
        listener: str,
    ) -> None:
        loop = asyncio.get_running_loop()
        self._wheel, self.time = Wheel(loop), loop.time
        self.heard, self.lost = received, failed
        self._udp = UdpSocket(
            bound,
            self._received,
            self._unreachable,
            shedder,
            listener=listener,
            is_device=self._has_session,
        )
        self.transmit = self._udp.send
        self.sessions = Sessions(security.engine, security.limits, self, cid_length=security.cid_length)
        self._listener, self._shelf = listener, security.shelf
        for one in self._shelf.take(listener) if self._shelf is not None else ():
            self.sessions.resume(one, self._udp.source(Peer(one.host, one.port, listener)))

    @property
    def address(self) -> tuple[str, int]:
        return self._udp.address

    def _received(self, data: bytes, source: Source) -> None:
        try:
            self.sessions.receive(data, source)
        except Exception as problem:
            # The last stop: the other datagrams of this batch must not suffer from it.
            log.exception("DTLS datagram failed", peer=str(source.peer), error=repr(problem))

    def _unreachable(self, problem: OSError, address: SocketAddress) -> None:
        source = self.sessions.at(address)
        if source is not None:
            self.lost(problem, source.address)

    def _has_session(self, peer: Peer) -> bool:
        return self.sessions.at(self._udp.source(peer).address) is not None

    def call_later(self, delay: float, call: Callable[[], object]) -> Timer:
        return self._wheel.call_later(delay, call)

    def send(self, data: bytes, to: Source) -> None:
        """Never blocks, never raises."""
        self.sessions.send(data, to)

    def source(self, peer: Peer) -> Source:
        """Raises ``OSError`` for a peer without a session."""
        return self.sessions.source(peer)

    def stop_reading(self) -> None:
        """Writing still works."""
        self._udp.stop_reading()

    def close(self) -> None:
        if self._shelf is not None:
            self._shelf.keep(self._listener, self.sessions.suspend())
        self.sessions.close_all()
        self._wheel.close()
        self._udp.close()
