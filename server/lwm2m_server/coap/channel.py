"""aiocoap under our own socket: requests to devices, their retransmission and block-wise transfer.

The only module that imports aiocoap. Its message and token managers are used through subclasses:
random tokens, constant-time work per Acknowledgement, and retransmissions that can be withdrawn.
"""

# mypy: allow-untyped-calls

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Callable
from contextvars import ContextVar
from functools import partial
from typing import Any, TypeAlias

import attrs
from aiocoap import error, interfaces
from aiocoap.message import Message
from aiocoap.messagemanager import MessageManager
from aiocoap.numbers.codes import Code
from aiocoap.numbers.constants import TransportTuning
from aiocoap.protocol import BlockwiseRequest, Context
from aiocoap.tokenmanager import TokenManager

from lwm2m_engine.coap import CoapReply, CoapRequest
from lwm2m_server.coap import wire
from lwm2m_server.coap.options import UINT_LENGTHS, reply_of
from lwm2m_server.coap.sockets import SocketAddress, Source, UdpSocket
from lwm2m_server.coap.timing import Timing

Packet: TypeAlias = Any
"""aiocoap's ``Message``, which is not typed."""

LOGGER = "lwm2m_server.aiocoap"
MAX_BLOCK_EXPONENT = 6
"""1,024-byte blocks, the largest of RFC 7959."""


def _nobody_minds() -> None:
    """For what may happen to a message without anyone waiting for it."""


ACKNOWLEDGED: ContextVar[Callable[[], None]] = ContextVar("acknowledged", default=_nobody_minds)
"""What to call for an empty Acknowledgement of the request that the current task sends.

aiocoap sends requests from tasks of its own, which inherit the context of the one that asked.
"""


class Tuning(TransportTuning):
    """``Timing`` in aiocoap's words."""

    def __init__(self, timing: Timing, reliable: bool) -> None:
        self.ACK_TIMEOUT = timing.ack_timeout
        self.ACK_RANDOM_FACTOR = timing.ack_random_factor
        self.MAX_RETRANSMIT = timing.max_retransmit
        self.reliability = reliable


class Address(interfaces.EndpointAddress):
    """A remote endpoint to aiocoap: what our socket calls its source."""

    scheme = "coap"
    is_multicast = False
    is_multicast_locally = False
    maximum_block_size_exp = MAX_BLOCK_EXPONENT
    uri_base_local = "coap://localhost"

    def __init__(self, source: Source) -> None:
        self.source = source

    def __hash__(self) -> int:
        return hash(self.source.address)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Address) and self.source.address == other.source.address

    @property
    def hostinfo(self) -> str:
        host, port, *_ = self.source.address
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    hostinfo_local = hostinfo

    @property
    def uri_base(self) -> str:
        return f"coap://{self.hostinfo}"

    @property
    def blockwise_key(self) -> SocketAddress:
        return self.source.address

    def as_response_address(self) -> Address:
        return self


class Transport(interfaces.MessageInterface):
    """aiocoap's lowest layer, on our socket. Names are never resolved: devices have addresses."""

    def __init__(self, udp: UdpSocket) -> None:
        self._udp = udp

    def send(self, message: Packet) -> None:
        self._udp.send(message.encode(), message.remote.source)

    async def recognize_remote(self, remote: object) -> bool:
        return isinstance(remote, Address)

    async def determine_remote(self, message: Packet) -> None:
        return None

    async def shutdown(self) -> None:
        self._udp.close()


class Exchanges(MessageManager):
    """Confirmable messages under way, at most one to each remote (NSTART = 1)."""

    message_interface: Transport

    def send_message(self, message: Packet, monitor: Callable[[], None]) -> Callable[[], None]:
        """Returns how to stop retransmitting it."""
        if message.code.is_request():
            monitor = _Asked(monitor, ACKNOWLEDGED.get())
        super().send_message(message, monitor)
        return partial(self._withdraw, message)

    def _withdraw(self, message: Packet) -> None:
        if not self._active_exchanges:
            return
        active = self._active_exchanges.pop((message.remote, message.mid), None)
        if active is not None:
            active[1].cancel()
            self._continue_backlog(message.remote)
        elif backlog := self._backlogs.get(message.remote):
            backlog[:] = [waiting for waiting in backlog if waiting[0] is not message]

    def _remove_exchange(self, message: Packet) -> None:
        if not self._active_exchanges:
            return
        active = self._active_exchanges.get((message.remote, message.mid))
        super()._remove_exchange(message)
        is_empty = message.mtype == wire.ACK and message.code == wire.EMPTY
        if active is not None and is_empty and isinstance(active[0], _Asked):
            active[0].acknowledged()

    def _continue_backlog(self, remote: Address) -> None:
        # aiocoap looks through the exchanges of all remotes here; with one each there is no need to.
        backlog = self._backlogs.get(remote)
        while backlog:
            message, monitor = backlog.pop(0)
            self._send_initially(message, monitor)
            if message.mtype == wire.CON:
                return
        self._backlogs.pop(remote, None)


class _Asked:
    """What to call when a request is reset, or acknowledged before it is answered."""

    __slots__ = ("_reset", "acknowledged")

    def __init__(self, reset: Callable[[], None], acknowledged: Callable[[], None]) -> None:
        self._reset = reset
        self.acknowledged = acknowledged

    def __call__(self) -> None:
        self._reset()


class Tokens(TokenManager):
    """Requests under way, found by token; errors of a remote are also told to ``failed``."""

    token_interface: Exchanges

    def __init__(self, context: Context, failed: Callable[[SocketAddress, str], None]) -> None:
        super().__init__(context)
        self._failed = failed

    def next_token(self) -> bytes:
        # Counted tokens can be guessed by anyone who wants to forge an answer.
        return secrets.token_bytes(wire.MAX_TOKEN)

    def dispatch_error(self, exception: Exception, remote: Address) -> None:
        super().dispatch_error(exception, remote)
        self._failed(remote.source.address, reason_of(exception))


def reason_of(exception: Exception) -> str:
    """The word the engine knows a failed exchange by."""
    if isinstance(exception, error.TimeoutError):
        return "timeout"
    if isinstance(exception, error.MessageError):
        return "reset"
    if isinstance(exception, (error.NetworkError, OSError)):
        return "unreachable"
    return "undecodable"


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
        self._exchanges.send_message(message, _nobody_minds)

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

    def message_id(self) -> int:
        """The next one of this endpoint."""
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
