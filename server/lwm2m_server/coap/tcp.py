"""``TcpGateway``: CoAP over TCP between devices and the hub (RFC 8323).

Devices open the connections; requests to a device go over the one it has opened.
"""

# mypy: allow-untyped-calls

from __future__ import annotations

import asyncio
import contextlib
import secrets
from functools import partial

import structlog
from aiocoap.protocol import Context
from aiocoap.tokenmanager import TokenManager

from lwm2m_engine.engine.step import Perform
from lwm2m_engine.errors import RequestError
from lwm2m_server.coap import wire
from lwm2m_server.coap.asking import Asking
from lwm2m_server.coap.background import Background
from lwm2m_server.coap.connection import Connection, Limits
from lwm2m_server.coap.connections import LOGGER, Connections
from lwm2m_server.coap.intake import Intake
from lwm2m_server.coap.options import BLOCK2, number, reply_of
from lwm2m_server.coap.packets import arrived, request_packet
from lwm2m_server.coap.progress import Progress
from lwm2m_server.coap.relations import Relations
from lwm2m_server.coap.timing import Timing
from lwm2m_server.coap.tls import Tls
from lwm2m_server.coap.transfer import MAX_ANSWER, MAX_EXPONENT
from lwm2m_server.coap.uplink import ConnectionUplink
from lwm2m_server.counts import Numbers

log = structlog.get_logger(__name__)

GRACE = 1.0
"""Seconds that requests being answered get when the gateway closes."""


class TcpGateway:
    """A CoAP endpoint on TCP. Make it with ``TcpGateway.start``, end it with ``close``."""

    def __init__(
        self,
        uplink: ConnectionUplink,
        timing: Timing,
        limits: Limits,
        listener: str,
        progress: Progress | None,
        tls: Tls | None,
    ) -> None:
        loop = asyncio.get_running_loop()
        self._uplink = uplink
        self._tasks = Background()
        self._intake = Intake(uplink, loop.time, bert=True)
        self._context = Context(loop=loop, loggername=LOGGER)
        self._asking = Asking(self._context, uplink, self._tasks, timing.response_timeout, progress)
        self._relations = Relations(uplink, self._asking, self._tasks, timing.response_timeout)
        self._connections = Connections(self, limits, listener, tls)
        self._tokens = _Tokens(self._context)
        self._tokens.token_interface = self._connections
        self._context.request_interfaces.append(self._tokens)

    @classmethod
    async def start(
        cls,
        uplink: ConnectionUplink,
        host: str,
        port: int,
        *,
        listener: str = "coap+tcp",
        timing: Timing = Timing(),  # noqa: B008 - frozen
        limits: Limits = Limits(),  # noqa: B008 - frozen
        progress: Progress | None = None,
        tls: Tls | None = None,
    ) -> TcpGateway:
        """Listen on ``host`` (a name, an IPv4 or an IPv6 address) and ``port`` (0 takes a free one).

        ``progress`` hears how much of a long request a device has acknowledged. Raises ``OSError`` that
        names the address, with ``errno`` telling the cause.
        """
        gateway = cls(uplink, timing, limits, listener, progress, tls)
        await gateway._connections.listen(host, port)
        return gateway

    @property
    def address(self) -> tuple[str, int]:
        """Host and port it is bound to."""
        return self._connections.address

    def counts(self) -> Numbers:
        """See ``lwm2m_server.counts``."""
        return self._connections.counts()

    def end(self, endpoint: str) -> None:
        """Close the connections of who proved to be this device."""
        self._connections.end(endpoint)

    # --- requests to devices ---

    def perform(self, effect: Perform) -> None:
        """Begin the exchange; its outcome is reported to the uplink."""
        connection = self._connections.find(effect.peer)
        if connection is None:
            loop = asyncio.get_running_loop()
            loop.call_soon(self._uplink.failed, effect.exchange, "unreachable")
            return
        connection.exchanges.add(effect.exchange)
        if effect.token is not None:
            self._relations.start(effect, effect.token, connection)
        else:
            packet = request_packet(effect.request, connection)
            self._asking.start(effect.exchange, packet, connection.exchanges.discard)

    def abort(self, exchange: int) -> None:
        """Wait for it no longer; nothing is reported any more."""
        if not self._asking.abort(exchange):
            self._relations.abort(exchange)

    # --- what arrives ---

    def requested(self, connection: Connection, message: wire.Message) -> None:
        respond = partial(connection.respond, message.token)
        self._intake.take(message, connection.peer, respond, connection.maximum_payload_size)

    def responded(self, connection: Connection, message: wire.Message) -> None:
        if self._relations.claims(message.token):
            self._relations.receive(message, connection)
            return
        try:
            reply_of(message)
        except RequestError as problem:
            log.info("response rejected", peer=str(connection.peer), reason=str(problem))
            return
        if _offset(message) > MAX_ANSWER:
            # aiocoap would put it together however long it is.
            connection.abort(f"an answer of more than {MAX_ANSWER} bytes")
            return
        # An abort reaches aiocoap's futures a few turns of the loop later than the answer.
        with contextlib.suppress(asyncio.InvalidStateError):
            self._tokens.process_response(arrived(message, connection))

    def lost(self, connection: Connection) -> None:
        for exchange in tuple(connection.exchanges):
            self.abort(exchange)
            self._uplink.failed(exchange, "unreachable")
        if connection.accepted:
            self._uplink.disconnected(connection.peer)

    # --- the end ---

    async def close(self) -> None:
        """Answer what is being worked on, drop the rest, and close the connections."""
        self._asking.close()
        self._relations.close()
        await self._connections.close(GRACE)
        await self._tasks.finish(GRACE)
        await self._context.shutdown()


def _offset(message: wire.Message) -> int:
    """Bytes of an answer in blocks before this one."""
    value = number(message.options, BLOCK2) or 0
    return (value >> 4) * (16 << min(value & 7, MAX_EXPONENT))


class _Tokens(TokenManager):
    """Requests under way, found by token."""

    token_interface: Connections

    def next_token(self) -> bytes:
        # Counted tokens can be guessed by anyone who wants to forge an answer.
        return secrets.token_bytes(wire.MAX_TOKEN)
