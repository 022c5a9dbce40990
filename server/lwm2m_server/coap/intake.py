"""``Intake``: requests from devices that arrive without a message layer of our own below."""

from __future__ import annotations

from collections.abc import Callable

import attrs
import structlog

from lwm2m_engine.coap import CoapReply, CoapRequest, Code, Peer, diagnostic
from lwm2m_engine.errors import RequestError
from lwm2m_server.coap import wire
from lwm2m_server.coap.blocks import Block
from lwm2m_server.coap.blockwise import NONE, Blocks, Blockwise
from lwm2m_server.coap.bodies import LongReply
from lwm2m_server.coap.options import BLOCK1, BLOCK2, number, request_of, uint
from lwm2m_server.coap.representations import LARGEST
from lwm2m_server.coap.uplink import Receiver
from lwm2m_server.coap.wire import Option

log = structlog.get_logger(__name__)

BERT = 7
"""The size exponent for several blocks of 1,024 bytes in one message (RFC 8323, 6)."""

Respond = Callable[[CoapReply, tuple[Option, ...]], None]
"""Sends the response to one request, with options on top of those of the reply."""


class Intake:
    """Hands on whole requests; ``bert`` allows blocks as only a connection can carry them."""

    def __init__(self, receiver: Receiver, clock: Callable[[], float], *, bert: bool = False) -> None:
        self._receiver, self._bert = receiver, bert
        self._blockwise = Blockwise(clock)

    def take(self, message: wire.Message, peer: Peer, respond: Respond, room: int = LARGEST.size) -> None:
        """A request; ``respond`` is called once, now or later. A reply of more than ``room`` bytes goes in
        blocks."""
        answer = _Answer(self._blockwise, peer, respond, room)
        try:
            whole = self._whole(message, answer)
            if isinstance(whole, CoapReply):
                answer(whole)
            else:
                self._receiver.receive(whole, peer, answer)
        except RequestError as refusal:
            answer(diagnostic(refusal.code, str(refusal)))
        except Exception as problem:
            # The last stop: whatever went wrong, the device gets an answer and the server goes on.
            log.exception("request failed", peer=str(peer), error=repr(problem))
            answer(CoapReply(Code.INTERNAL_SERVER_ERROR))

    def _whole(self, message: wire.Message, answer: _Answer) -> CoapRequest | CoapReply:
        """The request once all its blocks are there, or what to say meanwhile; raises ``RequestError``."""
        request = request_of(message)
        if request.code > Code.IPATCH:
            raise RequestError(Code.METHOD_NOT_ALLOWED, f"unknown method 0.{request.code:02d}")
        answer.request = request
        options = message.options
        if self._bert and (number(options, BLOCK1) or 0) & BERT == BERT:
            return self._add_bert(request, options, answer)
        answer.blocks = Blocks.of(_without_bert(options) if self._bert else options)
        return self._blockwise.take(request, answer.blocks, options, answer.peer)

    def _add_bert(
        self, request: CoapRequest, options: tuple[Option, ...], answer: _Answer
    ) -> CoapRequest | CoapReply:
        """One after the other, as if each had come in a message of its own."""
        value, payload, size = number(options, BLOCK1) or 0, request.payload, LARGEST.size
        first, last = value >> 4, not value & 8
        if not last and (not payload or len(payload) % size):
            raise RequestError(Code.BAD_REQUEST, f"{len(payload)} bytes are no number of blocks")
        answer.bert = value
        taken: CoapRequest | CoapReply = request
        for start in range(0, max(len(payload), 1), size):
            more = not last or start + size < len(payload)
            block = Block(first + start // size, more, LARGEST.exponent)
            part = attrs.evolve(request, payload=payload[start : start + size])
            taken = self._blockwise.take(part, Blocks(block, None), options, answer.peer)
        return taken


@attrs.define(slots=True, eq=False)
class _Answer:
    """Called with the reply to a request, or to a part of it."""

    blockwise: Blockwise
    peer: Peer
    respond: Respond
    room: int
    request: CoapRequest | None = None
    blocks: Blocks = NONE
    bert: int | None = None
    """The Block1 option as it came, where it is of BERT."""

    def __call__(self, reply: CoapReply) -> None:
        options: tuple[Option, ...] = ()
        fits = self.blocks == NONE and len(reply.payload) <= self.room and not isinstance(reply, LongReply)
        if self.request is not None and not fits:
            try:
                options, payload = self.blockwise.give(self.request, self.blocks, reply, self.peer)
                reply = attrs.evolve(reply, payload=payload)
            except RequestError as refusal:
                reply = diagnostic(refusal.code, str(refusal))
        if self.bert is not None:
            options += ((BLOCK1, uint(self.bert)),)
        self.respond(reply, options)


def _without_bert(options: tuple[Option, ...]) -> tuple[Option, ...]:
    """Who asks for an answer in many blocks at once gets one at a time."""
    wanted = number(options, BLOCK2) or 0
    if wanted & BERT != BERT:
        return options
    smaller = uint(wanted - 1)
    return tuple((option, smaller if option == BLOCK2 else value) for option, value in options)
