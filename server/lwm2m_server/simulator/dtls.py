"""DTLS for simulated devices: between their UDP socket and whatever speaks CoAP."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
from OpenSSL import SSL

from lwm2m_server.coap.dtls import psk
from lwm2m_server.coap.dtls.flights import cut, packed

MTU = 1232
"""Bytes of a datagram of the handshake."""
ROOM = 65536
PATIENCE = 10.0
"""Seconds for a handshake."""


@attrs.frozen
class PreSharedKey:
    """What a device proves itself with."""

    identity: bytes
    key: bytes = attrs.field(repr=False)

    def prepare(self, context: SSL.Context) -> None:
        psk.offer(context, self.identity, self.key)


@attrs.frozen
class Certificate:
    """What a device proves itself with: files in PEM."""

    certificate: Path
    key: Path
    trust: Path
    """Certificates that the server's must lead to."""

    def prepare(self, context: SSL.Context) -> None:
        context.use_certificate_chain_file(self.certificate)
        context.use_privatekey_file(self.key)
        context.load_verify_locations(str(self.trust))
        context.set_verify(SSL.VERIFY_PEER)


class DtlsContext:
    """What one device brings to all its sessions; a session can be resumed in the context it began in."""

    def __init__(self, proof: PreSharedKey | Certificate, *, suites: str = "ALL", mtu: int = MTU) -> None:
        self.mtu = mtu
        self.context = context = SSL.Context(SSL.DTLS_CLIENT_METHOD)
        context.set_min_proto_version(psk.DTLS_1_2)
        context.set_options(SSL.OP_NO_QUERY_MTU)
        # A tag of 8 bytes counts as 64 bits of security, less than OpenSSL allows by default.
        context.set_cipher_list(f"{suites}:@SECLEVEL=0".encode())
        proof.prepare(context)


class DtlsClient:
    """A device's end of one session, without a socket. Raises ``SSL.Error`` for what OpenSSL finds wrong."""

    def __init__(self, context: DtlsContext, session: SSL.Session | None = None) -> None:
        """``session`` is to be resumed."""
        self._context, self._mtu = context, context.mtu
        self.connection = SSL.Connection(context.context, None)
        self.connection.set_ciphertext_mtu(context.mtu)
        self.connection.set_connect_state()
        if session is not None:
            self.connection.set_session(session)
        self.established = False

    def begin(self) -> tuple[bytes, ...]:
        """The first datagrams."""
        return self._shake()

    def receive(self, datagram: bytes) -> tuple[tuple[bytes, ...], list[bytes]]:
        """What is to be sent because of it, and what the server says in it."""
        self.connection.bio_write(datagram)
        answer = () if self.established else self._shake()
        messages = self._read() if self.established else []
        return answer + self._flight(), messages

    def elapse(self) -> tuple[bytes, ...]:
        """Time has passed: what may have been lost is sent again."""
        self.connection.DTLSv1_handle_timeout()
        return self._flight()

    def seal(self, message: bytes) -> bytes:
        self.connection.send(message)
        return self.connection.bio_read(ROOM)

    def close(self) -> tuple[bytes, ...]:
        """With a close_notify."""
        self.connection.shutdown()
        return self._flight()

    def _shake(self) -> tuple[bytes, ...]:
        try:
            self.connection.do_handshake()
            self.established = True
        except SSL.WantReadError:
            # The server's turn.
            return self._flight()
        return self._flight()

    def _read(self) -> list[bytes]:
        messages: list[bytes] = []
        try:
            while True:
                messages.append(self.connection.recv(ROOM))
        except (SSL.WantReadError, SSL.ZeroReturnError):
            return messages

    def _flight(self) -> tuple[bytes, ...]:
        try:
            return packed(cut(self.connection.bio_read(ROOM)), self._mtu)
        except SSL.WantReadError:
            return ()


class SecureTransport(asyncio.DatagramProtocol, asyncio.DatagramTransport):
    """A transport to the protocol above, a protocol to the socket's transport below."""

    def __init__(self, above: asyncio.DatagramProtocol, client: DtlsClient) -> None:
        super().__init__()
        self._above, self.client = above, client
        self._loop = asyncio.get_running_loop()
        self._below: asyncio.DatagramTransport | None = None
        self._timer: asyncio.TimerHandle | None = None
        self.ready: asyncio.Future[None] = self._loop.create_future()

    # --- below ---

    def connection_made(self, transport: asyncio.DatagramTransport) -> None:  # type: ignore[override]
        self._below = transport
        self._send(self.client.begin())
        self._wait()

    def datagram_received(self, data: bytes, addr: Any) -> None:
        try:
            answer, messages = self.client.receive(data)
        except SSL.Error as problem:
            self._fail(problem)
            return
        self._send(answer)
        if self.client.established and not self.ready.done():
            self._above.connection_made(self)
            self.ready.set_result(None)
        for message in messages:
            self._above.datagram_received(message, addr)

    def error_received(self, exc: Exception) -> None:
        self._above.error_received(exc)

    def _send(self, datagrams: tuple[bytes, ...]) -> None:
        for datagram in datagrams:
            if self._below is not None and not self._below.is_closing():
                self._below.sendto(datagram)

    def _fail(self, problem: Exception) -> None:
        if not self.ready.done():
            self.ready.set_exception(problem)

    # --- time ---

    def _wait(self) -> None:
        left = self.client.connection.DTLSv1_get_timeout()
        if left is not None and not self.ready.done():
            self._timer = self._loop.call_later(left, self._elapse)

    def _elapse(self) -> None:
        try:
            self._send(self.client.elapse())
        except SSL.Error as problem:
            self._fail(problem)
        self._wait()

    # --- above ---

    def sendto(self, data: Any, addr: Any = None) -> None:
        self._send((self.client.seal(bytes(data)),))

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return default if self._below is None else self._below.get_extra_info(name, default)

    def is_closing(self) -> bool:
        return self._below is None or self._below.is_closing()

    def close(self) -> None:
        """The server is told."""
        if self._timer is not None:
            self._timer.cancel()
        if self._below is not None:
            if self.client.established:
                self._send(self.client.close())
            self._below.close()


async def connect(
    above: Callable[[], asyncio.DatagramProtocol], server: tuple[str, int], client: DtlsClient
) -> SecureTransport:
    """A session with ``server``; ``above`` gets what it carries.

    Raises ``TimeoutError`` and ``ConnectionError`` with what went wrong in the handshake.
    """
    loop = asyncio.get_running_loop()
    _, transport = await loop.create_datagram_endpoint(
        lambda: SecureTransport(above(), client), remote_addr=server
    )
    try:
        async with asyncio.timeout(PATIENCE):
            await transport.ready
    except SSL.Error as problem:
        transport.close()
        raise ConnectionError(f"no DTLS session with {server[0]}:{server[1]}: {problem}") from problem
    except TimeoutError:
        transport.close()
        raise
    return transport
