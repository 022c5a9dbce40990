"""The CoAP endpoint of a simulated device: one socket, few bytes of state, no task of its own."""

from __future__ import annotations

import asyncio
import random
import secrets
from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import TypeAlias

import attrs

from lwm2m_engine.coap import CoapReply, CoapRequest, Code
from lwm2m_engine.errors import RequestError
from lwm2m_server.coap import wire
from lwm2m_server.coap.blocks import Assembly, Block
from lwm2m_server.coap.options import (
    BLOCK1,
    BLOCK2,
    number,
    reply_of,
    reply_options,
    request_of,
    request_options,
)
from lwm2m_server.coap.timing import Timing
from lwm2m_server.coap.wire import ACK, CON, NON, RST, Message, Option
from lwm2m_server.simulator.faults import Faults

LARGEST_BLOCK = 1024
LONGEST_BODY = 8 * 1024 * 1024
"""Bytes of the longest request it takes."""
REMEMBERED = 8
"""Answers kept for duplicates."""


class ResetReceived(Exception):
    """The server rejected a message."""


@attrs.define(slots=True)
class _Exchange:
    message: Message
    done: asyncio.Future[Message]
    acknowledged: bool = False


Connect: TypeAlias = Callable[["Endpoint"], Awaitable[object]]
"""Gives an endpoint a transport to its server."""


async def over_udp(endpoint: Endpoint) -> None:
    """A socket of its own."""
    loop = asyncio.get_running_loop()
    await loop.create_datagram_endpoint(lambda: endpoint, remote_addr=endpoint.server)


class Endpoint(asyncio.DatagramProtocol, ABC):
    """Sends Confirmable messages until they are answered and hands requests to ``serve``.

    Subclasses give ``serve``; ``touched`` is called for every datagram in either direction.
    """

    def __init__(
        self, server: tuple[str, int], timing: Timing, faults: Faults | None, block_size: int = LARGEST_BLOCK
    ) -> None:
        """``block_size`` is the most it sends and takes in one datagram: 16, 32 … 1024 bytes."""
        self.server = server
        self.exponent = block_size.bit_length() - 5
        self.timing = timing
        self.faults = faults or Faults()
        self.connect: Connect = over_udp
        self.deaf = False
        self.powered = True
        self._mid = secrets.randbelow(0x10000)
        self._exchanges: dict[int | bytes, _Exchange] = {}
        self._answers: OrderedDict[int, bytes | None] = OrderedDict()
        self._transport: asyncio.DatagramTransport | None = None

    async def open(self) -> None:
        """Bind a socket of its own, connected to the server."""
        self._assembly = Assembly(asyncio.get_running_loop().time, LONGEST_BODY)
        await self.connect(self)

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def power_off(self) -> None:
        """From now on it hears nothing and says nothing."""
        self.powered = False

    async def power_on(self) -> None:
        """On a new socket, and with nothing in mind."""
        self.close()
        self._answers.clear()
        await Endpoint.open(self)
        self.powered = True

    @property
    def address(self) -> tuple[str, int]:
        """Its own host and port, while it is open."""
        host, port, *_ = self._transport.get_extra_info("sockname")  # type: ignore[union-attr]
        return host, port

    @abstractmethod
    def serve(self, request: CoapRequest, token: bytes) -> CoapReply:
        """The answer to a request."""

    def rejected(self, token: bytes) -> None:
        """The server wants no more notifications with this token."""

    def touched(self) -> None:
        """Something was sent or heard."""

    def arriving(self, request: CoapRequest, length: int) -> None:
        """``length`` bytes of a request in blocks are there; raises ``RequestError`` for no more of it."""

    # --- asyncio.DatagramProtocol ---

    def connection_made(self, transport: asyncio.DatagramTransport) -> None:  # type: ignore[override]
        self._transport = transport

    def datagram_received(self, data: bytes, addr: object) -> None:
        if self.deaf or not self.powered or not self.faults.is_heard():
            return
        try:
            message = wire.decode(data)
        except wire.Malformed:
            return
        self.touched()
        if message.is_request:
            self._requested(message)
        elif message.is_response:
            self._responded(message)
        elif message.type in (ACK, RST):
            self._settled(message)

    def error_received(self, exc: Exception) -> None:
        """No server there. Retransmission finds out whether that lasts."""

    # --- sending ---

    def next_mid(self) -> int:
        self._mid = self._mid + 1 & 0xFFFF
        return self._mid

    def emit(self, datagram: bytes) -> None:
        if self._transport is None or self._transport.is_closing() or not self.powered:
            return
        for _ in range(self.faults.outgoing()):
            self._transport.sendto(datagram)
        self.touched()

    async def ask(self, request: CoapRequest) -> CoapReply:
        """A request to the server, and its reply, both in blocks if they are large.

        Raises ``TimeoutError`` or ``ResetReceived``.
        """
        size = 1 << self.exponent + 4
        payload = request.payload
        for start in range(0, max(len(payload), 1), size):
            options: tuple[Option, ...] = ()
            if len(payload) > size:
                block = Block(start // size, start + size < len(payload), self.exponent)
                options = ((BLOCK1, block.pack()),)
            message = await self.exchange(request, options, payload[start : start + size])
            if message.code != Code.CONTINUE:
                break
        return await self._complete(request, message)

    async def _complete(self, request: CoapRequest, message: Message) -> CoapReply:
        """The reply that begins with this message."""
        reply = reply_of(message)
        while (value := number(message.options, BLOCK2)) is not None and (block := Block.unpack(value)).more:
            wanted = Block(block.number + 1, False, block.exponent)
            message = await self.exchange(request, ((BLOCK2, wanted.pack()),))
            reply = attrs.evolve(reply, payload=reply.payload + message.payload)
        return reply

    async def exchange(
        self, request: CoapRequest, options: tuple[Option, ...], payload: bytes = b""
    ) -> Message:
        """One message of a request, and what it is answered; raises as ``ask``."""
        message = Message(
            CON if request.confirmable else NON,
            request.code,
            self.next_mid(),
            secrets.token_bytes(4),
            request_options(request) + options,
            payload,
        )
        return await self._exchange(message, message.token)

    async def notify(self, token: bytes, reply: CoapReply, confirmable: bool) -> None:
        """Confirmable ones are repeated until acknowledged; raises as ``ask``."""
        kind = CON if confirmable else NON
        options = reply_options(reply)
        payload = reply.payload
        if len(payload) > 1 << self.exponent + 4:
            options, payload = _slice(reply, Block(0, False, self.exponent))
        message = Message(kind, reply.code, self.next_mid(), token, options, payload)
        if confirmable:
            await self._exchange(message, message.mid)
        else:
            self.emit(wire.encode(message))

    async def _exchange(self, message: Message, key: int | bytes) -> Message:
        exchange = _Exchange(message, asyncio.get_running_loop().create_future())
        self._exchanges[key] = self._exchanges[message.mid] = exchange
        datagram = wire.encode(message)
        patience = random.uniform(1, self.timing.ack_random_factor) * self.timing.ack_timeout  # noqa: S311 - jitter
        try:
            for _ in range(self.timing.max_retransmit + 1):
                self.emit(datagram)
                await asyncio.wait([exchange.done], timeout=patience)
                if exchange.done.done() or exchange.acknowledged:
                    break
                patience *= 2
            if exchange.acknowledged and not exchange.done.done():
                await asyncio.wait([exchange.done], timeout=self.timing.response_timeout)
            if not exchange.done.done():
                raise TimeoutError("no answer from the server")
            return exchange.done.result()
        finally:
            exchange.done.cancel()
            self._exchanges.pop(key, None)
            self._exchanges.pop(message.mid, None)

    # --- what the server says ---

    def _responded(self, message: Message) -> None:
        exchange = self._exchanges.get(message.token)
        if message.type == CON:
            self.emit(wire.acknowledgement(message.mid) if exchange else wire.reset(message.mid))
        if exchange is not None and not exchange.done.done():
            exchange.done.set_result(message)

    def _settled(self, message: Message) -> None:
        """An empty Acknowledgement or a Reset."""
        exchange = self._exchanges.get(message.mid)
        if exchange is None or exchange.done.done():
            return
        if message.type == RST:
            exchange.done.set_exception(ResetReceived())
        elif exchange.message.is_request:
            exchange.acknowledged = True
        else:
            exchange.done.set_result(message)

    def _requested(self, message: Message) -> None:
        if message.mid in self._answers:
            known = self._answers[message.mid]
            if known is not None:
                self.emit(known)
            return
        self._answers[message.mid] = None
        if len(self._answers) > REMEMBERED:
            self._answers.popitem(last=False)
        datagram = self._answer(message)
        if self.faults.delay:
            asyncio.get_running_loop().call_later(self.faults.delay, self._give, message.mid, datagram)
        else:
            self._give(message.mid, datagram)

    def _give(self, mid: int, datagram: bytes) -> None:
        if mid in self._answers:
            self._answers[mid] = datagram
        self.emit(datagram)

    def _answer(self, message: Message) -> bytes:
        extra: tuple[wire.Option, ...] = ()
        try:
            request, extra = self._whole(message)
            reply = CoapReply(Code.CONTINUE) if request is None else self._serve(request, message.token)
        except RequestError as error:
            reply = CoapReply(error.code)
        options, payload = reply_options(reply), reply.payload
        wanted = number(message.options, BLOCK2)
        own = Block(0, False, self.exponent)
        block = Block.unpack(wanted).within(own) if wanted is not None else own
        if len(payload) > block.size or block.number:
            options, payload = _slice(reply, block)
        kind, mid = (ACK, message.mid) if message.type == CON else (NON, self.next_mid())
        return wire.encode(Message(kind, reply.code, mid, message.token, options + extra, payload))

    def _serve(self, request: CoapRequest, token: bytes) -> CoapReply:
        instead = self.faults.reply(request) if self.faults.reply is not None else None
        return self.serve(request, token) if instead is None else instead

    def _whole(self, message: Message) -> tuple[CoapRequest | None, tuple[wire.Option, ...]]:
        request = request_of(message)
        value = number(message.options, BLOCK1)
        if value is None:
            return request, ()
        block = Block.unpack(value)
        self.arriving(request, block.number * block.size + len(request.payload))
        body = self._assembly.add((request.code, request.path), block, request.payload)
        # A larger block than it likes is kept; the next are to be smaller (RFC 7959, 2.3).
        option = ((BLOCK1, block._replace(exponent=min(block.exponent, self.exponent)).pack()),)
        return (None if body is None else attrs.evolve(request, payload=body)), option


def _slice(reply: CoapReply, block: Block) -> tuple[tuple[wire.Option, ...], bytes]:
    start = block.number * block.size
    more = start + block.size < len(reply.payload)
    option = (BLOCK2, Block(block.number, more, block.exponent).pack())
    return (*reply_options(reply), option), reply.payload[start : start + block.size]
