"""``Connections``: a TCP listener and the connections made to it, within limits."""

# mypy: allow-untyped-calls

from __future__ import annotations

import asyncio
import errno
import logging
import socket

import structlog
from aiocoap.transports.tcp import TCPServer

from lwm2m_engine.coap import Peer
from lwm2m_server.coap.connection import Connection, Handler, Limits
from lwm2m_server.coap.tls import Handshakes, Tls
from lwm2m_server.logs import Ration

LOGGER = "lwm2m_server.aiocoap"
SWEEP = 1.0
"""Seconds between two looks at what takes too long."""

_log = structlog.get_logger(__name__)


class Connections(TCPServer):
    """A listening socket and its connections."""

    server: asyncio.Server  # type: ignore[assignment]
    log: logging.Logger

    def __init__(self, handler: Handler, limits: Limits, listener: str, tls: Tls | None = None) -> None:
        super().__init__()
        self.handler, self.limits, self.listener = handler, limits, listener
        self.log = logging.getLogger(LOGGER)
        # What matters is reported by the handler; what is left is noise of strangers.
        self.log.setLevel(logging.CRITICAL)
        self._loop = asyncio.get_running_loop()
        self._open: set[Connection] = set()
        self._by_peer: dict[Peer, Connection] = {}
        self._counted = 0
        self._refused, self._ration = 0, Ration()
        self._per_address: dict[str, int] = {}
        self._handshakes = Handshakes(self, tls) if tls is not None else None
        self._empty = asyncio.Event()
        self._empty.set()

    async def listen(self, host: str, port: int) -> None:
        """Raises ``OSError`` that names the address."""
        where = str(Peer(host, port, self.listener))
        try:
            found = await self._loop.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
            begin = self.begin if self._handshakes is None else self._handshakes.begin
            self.server = await self._loop.create_server(begin, str(found[0][4][0]), port)
        except socket.gaierror as error:
            raise OSError(errno.EADDRNOTAVAIL, f"cannot listen on {where}: {error.strerror}") from error
        except OSError as error:
            reason = "the address is already in use" if error.errno == errno.EADDRINUSE else error.strerror
            raise OSError(error.errno, f"cannot listen on {where}: {reason}") from error
        self._sweep()

    def begin(self, identity: str | None = None) -> Connection:
        """For a client that has connected and, with TLS, proved who it is."""
        return Connection(self, self.log, self._loop, identity)

    @property
    def address(self) -> tuple[str, int]:
        host, port, *_ = self.server.sockets[0].getsockname()
        return host, port

    # --- what connections tell ---

    def admit(self, connection: Connection) -> str:
        """Count it; the result is why it cannot stay."""
        self._open.add(connection)
        self._empty.clear()
        refusal = self.reserve(connection.peer.host)
        if not refusal:
            self._by_peer[connection.peer] = connection
        return refusal

    def reserve(self, host: str) -> str:
        """Count a connection from there, until ``release``; the result is why there is no room for it."""
        self._counted += 1
        self._per_address[host] = count = self._per_address.get(host, 0) + 1
        reason = ""
        if self._counted > self.limits.connections:
            reason = "too many connections"
        elif count > self.limits.per_address:
            reason = "too many connections from this address"
        if reason:
            self._refused += 1
            left_out = self._ration.take(self._loop.time())
            if left_out is not None:
                _log.error(reason, listener=self.listener, left_out=left_out)
        return reason

    def counts(self) -> dict[str, int]:
        """See ``lwm2m_server.counts``."""
        return {"tcp_connections": len(self._open), "tcp_refused_total": self._refused}

    def release(self, host: str) -> None:
        self._counted -= 1
        self._per_address[host] -= 1
        if not self._per_address[host]:
            del self._per_address[host]

    def forget(self, connection: Connection) -> None:
        """It is closed."""
        if connection not in self._open:
            return
        self._open.remove(connection)
        if self._by_peer.get(connection.peer) is connection:
            del self._by_peer[connection.peer]
        self.release(connection.peer.host)
        if not self._open:
            self._empty.set()

    def find(self, peer: Peer) -> Connection | None:
        """The live connection of a device."""
        connection = self._by_peer.get(peer)
        return None if connection is None or connection.is_over else connection

    def end(self, endpoint: str) -> None:
        """Close what a client has that proved to be this device: it is not to be trusted any more."""
        for connection in [one for one in self._open if one.peer.identity == endpoint]:
            connection.abort("credentials were changed")

    def _sweep(self) -> None:
        now, limits = self._loop.time(), self.limits
        for connection in tuple(self._open):
            connection.look(now, limits)
        pause = min(SWEEP, limits.hello / 4, limits.patience / 4, limits.idle / 4)
        self._timer = self._loop.call_later(pause, self._sweep)

    # --- the end ---

    async def close(self, grace: float) -> None:
        """Release every connection; what is not closed after ``grace`` seconds is dropped."""
        self._timer.cancel()
        self.server.close()
        if self._handshakes is not None:
            await self._handshakes.close()
        for connection in tuple(self._open):
            connection.let_go()
        try:
            async with asyncio.timeout(grace):
                await self._empty.wait()
        except TimeoutError:
            for connection in tuple(self._open):
                connection.drop()

    async def shutdown(self) -> None:
        """aiocoap's context calls this; ``close`` has done it."""
