"""Connections for libraries that want a socket: to addresses that the guard lets through, without a thread
that waits meanwhile."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable
from typing import Any

from lwm2m_server.sinks.addresses import AddressGuard


async def dial(
    host: str, port: int, *, guard: AddressGuard, tls: ssl.SSLContext | None, seconds: float
) -> socket.socket:
    """Connected, with ``tls`` over TLS; the caller closes it. Raises ``AddressRefused`` and other
    ``OSError``."""
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(seconds):
        failed: OSError | None = None
        for info in await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM):
            try:
                opened = guard.open_socket(info)
                try:
                    await loop.sock_connect(opened, info[4])
                    # Messages are short: none is to wait until the one before is acknowledged.
                    opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    return opened if tls is None else await _shake_hands(opened, host, tls)
                except BaseException:
                    opened.close()
                    raise
            except OSError as error:
                failed = error
        raise failed or OSError(f"{host} has no address")


async def _shake_hands(opened: socket.socket, host: str, tls: ssl.SSLContext) -> ssl.SSLSocket:
    loop = asyncio.get_running_loop()
    secure = tls.wrap_socket(opened, server_hostname=host, do_handshake_on_connect=False)
    try:
        while True:
            try:
                secure.do_handshake()
                return secure
            except ssl.SSLWantReadError:
                await _turn(secure, loop.add_reader, loop.remove_reader)
            except ssl.SSLWantWriteError:
                await _turn(secure, loop.add_writer, loop.remove_writer)
    except BaseException:
        secure.close()
        raise


async def _turn(one: socket.socket, watch: Callable[..., Any], forget: Callable[..., Any]) -> None:
    """Until the socket can be read from, or written to."""
    ready = asyncio.Event()
    watch(one.fileno(), ready.set)
    try:
        await ready.wait()
    finally:
        forget(one.fileno())
