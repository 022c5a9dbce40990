"""``Connections``: a TCP listener and the connections made to it, within limits."""

# mypy: allow-untyped-calls

from __future__ import annotations

import asyncio
import errno
import logging
import socket

from aiocoap.transports.tcp import TCPServer

from lwm2m_engine.coap import Peer
from lwm2m_server.coap.connection import Connection, Handler, Limits

LOGGER = "lwm2m_server.aiocoap"
SWEEP = 1.0
"""Seconds between two looks at what takes too long."""


class Connections(TCPServer):
    """A listening socket and its connections."""

    server: asyncio.Server  # type: ignore[assignment]
    log: logging.Logger

    def __init__(self, handler: Handler, limits: Limits, listener: str) -> None:
        super().__init__()
        self.handler, self.limits, self.listener = handler, limits, listener
        self.log = logging.getLogger(LOGGER)
        # What matters is reported by the handler; what is left is noise of strangers.
        self.log.setLevel(logging.CRITICAL)
        self._loop = asyncio.get_running_loop()
        self._open: set[Connection] = set()
        self._by_peer: dict[Peer, Connection] = {}
        self._per_address: dict[str, int] = {}
        self._empty = asyncio.Event()
        self._empty.set()

    async def listen(self, host: str, port: int) -> None:
        """Raises ``OSError`` that names the address."""
        where = f"coap+tcp://[{host}]:{port}" if ":" in host else f"coap+tcp://{host}:{port}"
        try:
            found = await self._loop.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
            self.server = await self._loop.create_server(self._connection, str(found[0][4][0]), port)
        except socket.gaierror as error:
            raise OSError(errno.EADDRNOTAVAIL, f"cannot listen on {where}: {error.strerror}") from error
        except OSError as error:
            reason = "the address is already in use" if error.errno == errno.EADDRINUSE else error.strerror
            raise OSError(error.errno, f"cannot listen on {where}: {reason}") from error
        self._sweep()

    def _connection(self) -> Connection:
        return Connection(self, self.log, self._loop)

    @property
    def address(self) -> tuple[str, int]:
        host, port, *_ = self.server.sockets[0].getsockname()
        return host, port

    # --- what connections tell ---

    def admit(self, connection: Connection) -> str:
        """Count it; the result is why it cannot stay."""
        host = connection.peer.host
        self._open.add(connection)
        self._empty.clear()
        self._per_address[host] = count = self._per_address.get(host, 0) + 1
        if len(self._open) > self.limits.connections:
            return "too many connections"
        if count > self.limits.per_address:
            return "too many connections from this address"
        self._by_peer[connection.peer] = connection
        return ""

    def forget(self, connection: Connection) -> None:
        """It is closed."""
        if connection not in self._open:
            return
        self._open.remove(connection)
        if self._by_peer.get(connection.peer) is connection:
            del self._by_peer[connection.peer]
        host = connection.peer.host
        self._per_address[host] -= 1
        if not self._per_address[host]:
            del self._per_address[host]
        if not self._open:
            self._empty.set()

    def find(self, peer: Peer) -> Connection | None:
        """The live connection of a device."""
        connection = self._by_peer.get(peer)
        return None if connection is None or connection.is_over else connection

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
