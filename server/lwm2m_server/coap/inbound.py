"""Requests from devices: Register, Update, De-register, Send, bootstrap."""

from __future__ import annotations

import asyncio
from typing import Protocol

import attrs
import structlog

from lwm2m_engine.coap import CoapReply, CoapRequest, Code, Peer
from lwm2m_engine.errors import RequestError
from lwm2m_server.coap import wire
from lwm2m_server.coap.background import Background
from lwm2m_server.coap.blocks import Assembly, Block
from lwm2m_server.coap.channel import Channel
from lwm2m_server.coap.options import BLOCK1, number, reply_options, request_of
from lwm2m_server.coap.replies import Replies
from lwm2m_server.coap.sockets import Source

log = structlog.get_logger(__name__)


class Receiver(Protocol):
    """Who answers requests."""

    async def receive(self, request: CoapRequest, peer: Peer) -> CoapReply: ...


@attrs.define(slots=True)
class _Pending:
    """A request being worked on; after ``timer`` it has been acknowledged without a response."""

    message: wire.Message
    source: Source
    timer: asyncio.TimerHandle | None = None
    acknowledged: bool = False


class Inbound:
    """Answers requests, piggybacked if it can be done within ``patience`` seconds."""

    def __init__(
        self, receiver: Receiver, replies: Replies, channel: Channel, tasks: Background, patience: float
    ) -> None:
        self._receiver = receiver
        self._replies = replies
        self._channel = channel
        self._tasks = tasks
        self._patience = patience
        self._loop = asyncio.get_running_loop()
        self._assembly = Assembly(self._loop.time)

    def receive(self, message: wire.Message, source: Source, peer: Peer) -> None:
        """A request that is no duplicate."""
        pending = _Pending(message, source)
        if message.type == wire.CON:
            pending.timer = self._loop.call_later(self._patience, self._acknowledge, pending)
        self._tasks.start(self._serve(pending, peer))

    def _acknowledge(self, pending: _Pending) -> None:
        pending.acknowledged = True
        self._replies.acknowledge(pending.message, pending.source)

    async def _serve(self, pending: _Pending, peer: Peer) -> None:
        block: Block | None = None
        try:
            request, block = self._whole(pending)
            reply = (
                CoapReply(Code.CONTINUE) if request is None else await self._receiver.receive(request, peer)
            )
        except RequestError as refusal:
            reply = CoapReply(refusal.code, str(refusal).encode())
        except Exception as problem:
            # The last stop: whatever went wrong, the device gets an answer and the server goes on.
            log.exception("request failed", peer=str(peer), error=repr(problem))
            reply = CoapReply(Code.INTERNAL_SERVER_ERROR)
        finally:
            if pending.timer is not None:
                pending.timer.cancel()
        self._reply(pending, reply, block)

    def _whole(self, pending: _Pending) -> tuple[CoapRequest | None, Block | None]:
        """The request once all its blocks are there; raises ``RequestError``."""
        message = pending.message
        request = request_of(message)
        if request.code > Code.IPATCH:
            raise RequestError(Code.METHOD_NOT_ALLOWED, f"unknown method 0.{request.code:02d}")
        value = number(message.options, BLOCK1)
        if value is None:
            return request, None
        block = Block.unpack(value)
        key = (pending.source.address, request.code, request.path, request.query)
        body = self._assembly.add(key, block, request.payload)
        return (None if body is None else attrs.evolve(request, payload=body)), block

    def _reply(self, pending: _Pending, reply: CoapReply, block: Block | None) -> None:
        message = pending.message
        if pending.acknowledged:
            self._channel.respond(reply, message.token, pending.source)
            return
        options = reply_options(reply)
        if block is not None:
            options += ((BLOCK1, block.pack()),)
        confirmable = message.type == wire.CON
        datagram = wire.encode(
            wire.Message(
                wire.ACK if confirmable else wire.NON,
                reply.code,
                message.mid if confirmable else self._channel.message_id(),
                message.token,
                options,
                reply.payload,
            )
        )
        self._replies.send(datagram, message, pending.source)
