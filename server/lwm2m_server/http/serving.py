"""Serve an ASGI application over HTTP/1.1 and HTTP/2, with TLS or without, in the running event loop."""

from __future__ import annotations

import asyncio
import errno
import socket
import time
from typing import Any

from granian.constants import Interfaces, SSLProtocols
from granian.server.embed import Server

from lwm2m_server.http.tls import Certificate

READY_TIMEOUT = 10.0
CLOSE_TIMEOUT = 2.0
ATTEMPTS = 5
"""How often another free port is tried when somebody else takes the one just found."""
CONNECTIONS = 10_000


class HttpServer:
    """A running server; ``url`` is where it listens."""

    def __init__(self, app: Any, host: str, address: str, port: int, certificate: Certificate | None) -> None:
        self._app, self.host, self._address, self.port = app, host, address, port
        self._certificate = certificate
        self._listener: _Listener | None = None
        self._retired: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        scheme = "http" if self._certificate is None else "https"
        return f"{scheme}://{host}:{self.port}"

    async def start(self) -> None:
        """Returns when the socket accepts. Raises ``OSError``."""
        listener = _Listener(self._app, self._address, self.port, self._certificate)
        try:
            await _ready(listener.task, self._address, self.port)
        except BaseException:
            listener.task.cancel()
            raise
        self._listener = listener

    async def renew(self, certificate: Certificate) -> None:
        """Show another certificate: a second listener takes over, and the first finishes what it has begun.

        Raises ``OSError``; everything is then as before.
        """
        if certificate == self._certificate or self._listener is None:
            return
        listener = _Listener(self._app, self._address, self.port, certificate)
        try:
            await _shown(listener.task, certificate, self._address, self.port)
        except BaseException:
            listener.stop()
            raise
        former, self._listener, self._certificate = self._listener, listener, certificate
        former.stop()
        self._retired.add(former.task)
        former.task.add_done_callback(self._retired.discard)

    async def close(self) -> None:
        """Finish the requests under way, for ``CLOSE_TIMEOUT`` seconds at most.

        An HTTP/2 client that ignores GOAWAY keeps its connection, and granian waits for it; the task
        is then left alone, since granian trips over its own future when it is cancelled.
        """
        if self._listener is None:
            return
        self._listener.stop()
        done, _ = await asyncio.wait([self._listener.task, *self._retired], timeout=CLOSE_TIMEOUT)
        for task in done:
            task.result()


class _Listener:
    """Granian, with what it was given when it was made. It binds with SO_REUSEPORT."""

    def __init__(self, app: Any, address: str, port: int, certificate: Certificate | None) -> None:
        self._server: Any = Server(
            app,
            address=address,
            port=port,
            interface=Interfaces.ASGINL,
            websockets=False,
            backlog=1024,
            # Granian counts connections, idle ones too, and accepts no more beyond this.
            backpressure=CONNECTIONS,
            log_enabled=False,
            ssl_cert=certificate.chain if certificate is not None else None,
            ssl_key=certificate.key if certificate is not None else None,
            ssl_protocol_min=SSLProtocols.tls12,
        )
        self.task = asyncio.create_task(self._server.serve(), name="http")

    def stop(self) -> None:
        self._server.stop()


async def serve_http(app: Any, host: str, port: int, certificate: Certificate | None = None) -> HttpServer:
    """Start serving ``app``; returns when the socket accepts. Port 0 takes a free one.

    The application's lifespan is the caller's business. Raises ``OSError`` (``EADDRINUSE``) when the
    port is taken.
    """
    for attempt in range(ATTEMPTS):
        address, chosen = _probe(host, port)
        server = HttpServer(app, host, address, chosen, certificate)
        try:
            await server.start()
        except OSError as error:
            if port or error.errno != errno.EADDRINUSE or attempt == ATTEMPTS - 1:
                raise
        else:
            return server
    raise AssertionError("unreachable")


def _probe(host: str, port: int) -> tuple[str, int]:
    """The numeric address and a port nobody listens on.

    Granian reports no port, and binds with SO_REUSEPORT, so that a second server on a taken port
    would start and get half of the connections: an ordinary socket finds out first.
    """
    family, _, _, _, sockaddr = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(sockaddr)
        address, chosen = probe.getsockname()[:2]
    return str(address), int(chosen)


async def _ready(task: asyncio.Task[None], address: str, port: int) -> None:
    deadline = time.monotonic() + READY_TIMEOUT
    while True:
        if task.done():
            task.result()
            raise OSError(errno.EADDRINUSE, f"the HTTP server on {address}:{port} ended at once")
        try:
            _, writer = await asyncio.open_connection(address, port)
        except OSError:
            if time.monotonic() > deadline:
                raise
            await asyncio.sleep(0.005)
            continue
        writer.close()
        await writer.wait_closed()
        return


async def _shown(task: asyncio.Task[None], certificate: Certificate, address: str, port: int) -> None:
    """Wait until a new listener gets connections; the kernel shares them out between it and the former."""
    deadline = time.monotonic() + READY_TIMEOUT
    while not await certificate.is_shown(address, port):
        if task.done():
            task.result()
        if task.done() or time.monotonic() > deadline:
            raise OSError(errno.ETIMEDOUT, f"the new certificate is not shown on {address}:{port}")
        await asyncio.sleep(0.02)
