"""Serve an ASGI application over HTTP/1.1 and HTTP/2 (also without TLS) in the running event loop."""

from __future__ import annotations

import asyncio
import errno
import socket
import time
from typing import Any

from granian.constants import Interfaces
from granian.server.embed import Server

READY_TIMEOUT = 10.0
CLOSE_TIMEOUT = 2.0
ATTEMPTS = 5
"""How often another free port is tried when somebody else takes the one just found."""
CONNECTIONS = 10_000


class HttpServer:
    """A running server; ``url`` is where it listens."""

    def __init__(self, server: Server, task: asyncio.Task[None], host: str, port: int) -> None:
        self._server: Any = server
        self._task = task
        self.host, self.port = host, port

    @property
    def url(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"

    async def close(self) -> None:
        """Finish the requests under way, for ``CLOSE_TIMEOUT`` seconds at most.

        An HTTP/2 client that ignores GOAWAY keeps its connection, and granian waits for it; the task
        is then left alone, since granian trips over its own future when it is cancelled.
        """
        self._server.stop()
        done, _ = await asyncio.wait([self._task], timeout=CLOSE_TIMEOUT)
        for task in done:
            task.result()


async def serve_http(app: Any, host: str, port: int) -> HttpServer:
    """Start serving ``app``; returns when the socket accepts. Port 0 takes a free one.

    The application's lifespan is the caller's business. Raises ``OSError`` (``EADDRINUSE``) when the
    port is taken.
    """
    for attempt in range(ATTEMPTS):
        address, chosen = _probe(host, port)
        try:
            return await _start(app, host, address, chosen)
        except OSError as error:
            if port or error.errno != errno.EADDRINUSE or attempt == ATTEMPTS - 1:
                raise
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


async def _start(app: Any, host: str, address: str, port: int) -> HttpServer:
    server = Server(
        app,
        address=address,
        port=port,
        interface=Interfaces.ASGINL,
        websockets=False,
        backlog=1024,
        # Granian counts connections, idle ones too, and accepts no more beyond this.
        backpressure=CONNECTIONS,
        log_enabled=False,
    )
    task = asyncio.create_task(server.serve(), name="http")
    try:
        await _ready(task, address, port)
    except BaseException:
        task.cancel()
        raise
    return HttpServer(server, task, host, port)


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
