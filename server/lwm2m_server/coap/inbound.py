"""Requests from devices: Register, Update, De-register, Send, bootstrap.

This is the fast lane: from the datagram to the commit without a task, a future or a timer of its own.
"""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import suppress

import attrs
import structlog

from lwm2m_engine.coap import CoapReply, CoapRequest, Code, diagnostic
from lwm2m_engine.errors import RequestError
from lwm2m_server.coap import wire
from lwm2m_server.coap.blockwise import NONE, Blocks, Blockwise
from lwm2m_server.coap.bodies import LongReply
from lwm2m_server.coap.channel import Channel
from lwm2m_server.coap.options import BLOCK2, reply_options, request_of
from lwm2m_server.coap.replies import Replies
from lwm2m_server.coap.representations import LARGEST, SMALL
from lwm2m_server.coap.sockets import Source
from lwm2m_server.coap.uplink import Receiver
from lwm2m_server.coap.wire import Option

log = structlog.get_logger(__name__)


class Inbound:
    """Answers requests, piggybacked if it can be done within ``patience`` seconds."""

    def __init__(
        self,
        receiver: Receiver,
        replies: Replies,
        channel: Channel,
        patience: float,
        *,
        is_sparing: bool = False,
    ) -> None:
        """``is_sparing``: small blocks for who has proved nothing."""
        self._receiver = receiver
        self._replies = replies
        self._channel = channel
        self._patience = patience
        self._unproved = SMALL if is_sparing else LARGEST
        self._room = self._unproved.size
        self._loop = asyncio.get_running_loop()
        self._blockwise = Blockwise(self._loop.time)
        self._pending: deque[_Pending] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self.under_way = 0
        """Requests without an answer."""
        self.received = 0
        """Requests that were no duplicates."""

    def receive(self, message: wire.Message, source: Source) -> None:
        """A request that is no duplicate."""
        pending = _Pending(self, message, source)
        self.under_way += 1
        self.received += 1
        try:
            whole = self._whole(pending)
            if isinstance(whole, CoapReply):
                pending(whole)
            else:
                self._receiver.receive(whole, source.peer, pending)
        except RequestError as refusal:
            pending(diagnostic(refusal.code, str(refusal)))
        except Exception as problem:
            # The last stop: whatever went wrong, the device gets an answer and the server goes on.
            log.exception("request failed", peer=str(source.peer), error=repr(problem))
            pending(CoapReply(Code.INTERNAL_SERVER_ERROR))
        if not pending.answered and message.type == wire.CON:
            self._be_patient(pending)

    async def finish(self, grace: float) -> None:
        """Give what is being worked on ``grace`` seconds to be answered."""
        for pending in tuple(self._pending):
            if not pending.answered:
                pending.done = asyncio.Event()
        waiting = [pending.done.wait() for pending in self._pending if pending.done is not None]
        with suppress(TimeoutError):
            await asyncio.wait_for(asyncio.gather(*waiting), grace)
        if self._timer is not None:
            self._timer.cancel()

    def _whole(self, pending: _Pending) -> CoapRequest | CoapReply:
        """The request once all its blocks are there, or what to say meanwhile; raises ``RequestError``."""
        message = pending.message
        request = request_of(message)
        if request.code > Code.IPATCH:
            raise RequestError(Code.METHOD_NOT_ALLOWED, f"unknown method 0.{request.code:02d}")
        pending.request = request
        # Options are in order of their numbers: most requests end before those of blocks.
        if not message.options or message.options[-1][0] < BLOCK2:
            return request
        pending.blocks = Blocks.of(message.options)
        return self._blockwise.take(request, pending.blocks, message.options, pending.source.address)

    # --- separate responses (RFC 7252, 5.2.2) ---

    def _be_patient(self, pending: _Pending) -> None:
        waiting = self._pending
        while waiting and waiting[0].answered:
            waiting.popleft()
        pending.acknowledge_at = self._loop.time() + self._patience
        waiting.append(pending)
        if self._timer is None:
            self._timer = self._loop.call_at(pending.acknowledge_at, self._acknowledge)

    def _acknowledge(self) -> None:
        """One timer for all: those that are still waiting get an empty Acknowledgement."""
        self._timer, now, waiting = None, self._loop.time(), self._pending
        while waiting and (waiting[0].answered or waiting[0].acknowledge_at <= now):
            pending = waiting.popleft()
            if not pending.answered:
                pending.acknowledged = True
                self._replies.acknowledge(pending.message, pending.source)
        if waiting:
            self._timer = self._loop.call_at(waiting[0].acknowledge_at, self._acknowledge)

    def _reply(self, pending: _Pending, reply: CoapReply) -> None:
        message, options = pending.message, reply_options(reply)
        if pending.blocks is not NONE or len(reply.payload) > self._room or reply.__class__ is LongReply:
            reply, options = self._piece(pending, reply, options)
        if pending.acknowledged:
            self._channel.respond(reply, options, message.token, pending.source)
            return
        if message.type == wire.CON:
            kind, mid = wire.ACK, message.mid
        else:
            kind, mid = wire.NON, self._channel.message_id(pending.source)
        encoded = wire.encode_options(options) if options else b""
        datagram = wire.assemble(kind, reply.code, mid, message.token, encoded, reply.payload)
        self._replies.send(datagram, message, pending.source)

    def _piece(
        self, pending: _Pending, reply: CoapReply, options: tuple[Option, ...]
    ) -> tuple[CoapReply, tuple[Option, ...]]:
        """As much of the reply as goes into one message, and its options."""
        request, source = pending.request, pending.source
        if request is None:
            return reply, options
        largest = self._unproved if source.peer.identity is None else LARGEST
        try:
            more, payload = self._blockwise.give(request, pending.blocks, reply, source.address, largest)
        except RequestError as refusal:
            return diagnostic(refusal.code, str(refusal)), ()
        return attrs.evolve(reply, payload=payload), options + more


@attrs.define(slots=True, eq=False)
class _Pending:
    """A request being worked on; called with its reply."""

    inbound: Inbound
    message: wire.Message
    source: Source
    request: CoapRequest | None = None
    """What the message says, or this part of it."""
    blocks: Blocks = NONE
    acknowledge_at: float = 0.0
    acknowledged: bool = False
    """An empty Acknowledgement was sent: the response will be a message of its own."""
    answered: bool = False
    done: asyncio.Event | None = None
    """For who waits until it is answered."""

    def __call__(self, reply: CoapReply) -> None:
        if not self.answered:
            self.answered = True
            self.inbound.under_way -= 1
            self.inbound._reply(self, reply)
            if self.done is not None:
                self.done.set()
