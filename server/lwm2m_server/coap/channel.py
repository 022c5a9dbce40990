"""``Channel``: requests to devices through aiocoap, block-wise in both directions.

This module and ``layers`` are the only ones that import aiocoap.
"""

# mypy: allow-untyped-calls

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import attrs
from aiocoap import error
from aiocoap.message import Message
from aiocoap.numbers.codes import Code
from aiocoap.protocol import BlockwiseRequest, Context

from lwm2m_engine.coap import CoapReply, CoapRequest
from lwm2m_server.coap import wire
from lwm2m_server.coap.layers import (
    ACKNOWLEDGED,
    Address,
    Exchanges,
    Packet,
    Tokens,
    Transport,
    Tuning,
    nobody_minds,
    reason_of,
)
from lwm2m_server.coap.options import UINT_LENGTHS, reply_of
from lwm2m_server.coap.sockets import SocketAddress, Source, UdpSocket
from lwm2m_server.coap.timing import Timing

LOGGER = "lwm2m_server.aiocoap"


class ExchangeFailed(Exception):
    """No usable response; ``reason`` is ``timeout``, ``reset``, ``unreachable`` or ``undecodable``."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Channel:
    """The client half of the endpoint.

    ``failed(address, reason)`` is called when a remote is given up, beside the exception that ends a
    ``request``.
    """

    def __init__(
        self,
        udp: UdpSocket,
        timing: Timing,
        failed: Callable[[SocketAddress, str], None],
    ) -> None:
        # Everything of interest is reported through the callbacks; what is left is noise of strangers.
        logging.getLogger(LOGGER).setLevel(logging.CRITICAL)
        self._context = Context(loop=asyncio.get_running_loop(), loggername=LOGGER)
        self._tokens = Tokens(self._context, failed)
        self._exchanges = Exchanges(self._tokens)
        self._exchanges.message_interface = Transport(udp)
        self._tokens.token_interface = self._exchanges
        self._context.request_interfaces.append(self._tokens)
        self._tuning = {reliable: Tuning(timing, reliable) for reliable in (True, False)}

    # --- what arrives ---

    def expects(self, token: bytes, source: Source) -> bool:
        """True if a request with this token is under way to there."""
        return (token, Address(source)) in self._tokens.outgoing_requests

    def receive(self, message: wire.Message, source: Source) -> None:
        """An expected response, or an empty Acknowledgement or Reset."""
        self._exchanges.dispatch_message(_incoming(message, source))

    def acknowledge(self, message: wire.Message, source: Source) -> None:
        """Stop retransmitting what this Acknowledgement or response is about."""
        empty = Message(code=message.code, _mtype=message.type, _mid=message.mid)
        empty.remote = Address(source)
        self._exchanges._remove_exchange(empty)

    def unreachable(self, problem: OSError, address: SocketAddress) -> None:
        """The network reports that this remote cannot be reached."""
        self._exchanges.dispatch_error(problem, Address(Source(address)))

    # --- what is sent ---

    async def request(
        self, request: CoapRequest, source: Source, acknowledged: Callable[[], None]
    ) -> CoapReply:
        """Ask and wait, block-wise in both directions; raises ``ExchangeFailed``."""
        ACKNOWLEDGED.set(acknowledged)
        message = self._message(request, source)
        return await self._reply(self._context.request(message).response)

    async def complete(self, request: CoapRequest, first: wire.Message, source: Source) -> CoapReply:
        """The whole representation that ``first`` is the first block of; raises ``ExchangeFailed``."""
        message = self._message(attrs.evolve(request, observe=None, confirmable=True), source)
        beginning = _incoming(first, source)
        rest = BlockwiseRequest._complete_by_requesting_block2(
            self._context, message, beginning, self._context.log
        )
        reply = await self._reply(rest)
        return attrs.evolve(reply, observe=reply_of(first).observe)

    def send(
        self,
        request: CoapRequest,
        token: bytes,
        source: Source,
        *,
        reset: Callable[[], None],
        acknowledged: Callable[[], None],
    ) -> tuple[int, Callable[[], None]]:
        """Send with a token of our own; the answer is the caller's business.

        Returns the Message ID and how to stop retransmitting.
        """
        message = self._message(request, source)
        message.token = token
        outer = ACKNOWLEDGED.set(acknowledged)
        try:
            stop = self._exchanges.send_message(message, reset)
        finally:
            ACKNOWLEDGED.reset(outer)
        return message.mid, stop

    def respond(self, reply: CoapReply, token: bytes, source: Source) -> None:
        """A separate response (RFC 7252, 5.2.2), repeated until acknowledged."""
        message = Message(code=Code(reply.code), payload=reply.payload, transport_tuning=self._tuning[True])
        message.remote, message.token = Address(source), token
        _set_reply_options(message, reply)
        self._exchanges.send_message(message, nobody_minds)

    def _message(self, request: CoapRequest, source: Source) -> Packet:
        message = Message(
            code=Code(request.code),
            payload=request.payload,
            transport_tuning=self._tuning[request.confirmable],
            uri_path=request.path,
            uri_query=request.query,
            content_format=request.content_format,
            accept=request.accept,
            observe=request.observe,
        )
        message.remote = Address(source)
        return message

    async def _reply(self, response: Any) -> CoapReply:
        try:
            message = await response
        except (error.Error, OSError) as problem:
            raise ExchangeFailed(reason_of(problem)) from problem
        return CoapReply(
            int(message.code),
            message.payload,
            _integer(message.opt.content_format),
            message.opt.location_path,
            _integer(message.opt.observe),
        )

    def message_id(self, source: Source) -> int:
        """The next one for messages to there."""
        mid: int = self._exchanges._next_message_id()
        return mid

    async def close(self) -> None:
        await self._context.shutdown()


def _incoming(message: wire.Message, source: Source) -> Packet:
    # Only options of legal length: aiocoap keeps every Content-Format number it ever saw.
    legal = tuple(option for option in message.options if len(option[1]) <= UINT_LENGTHS.get(option[0], 255))
    return Message.decode(wire.encode(message._replace(options=legal)), Address(source))


def _set_reply_options(message: Packet, reply: CoapReply) -> None:
    message.opt.location_path = reply.location
    message.opt.content_format = reply.content_format
    message.opt.observe = reply.observe


def _integer(value: int | None) -> int | None:
    return None if value is None else int(value)
