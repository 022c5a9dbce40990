"""``Intake``: requests from devices that arrive without a message layer of our own below."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Protocol

import attrs
import structlog

from lwm2m_engine.coap import CoapReply, CoapRequest, Code, Peer
from lwm2m_engine.errors import RequestError
from lwm2m_server.coap import wire
from lwm2m_server.coap.blocks import Assembly, Block
from lwm2m_server.coap.options import BLOCK1, number, request_of, uint
from lwm2m_server.coap.wire import Option

log = structlog.get_logger(__name__)

BERT = 7
"""The size exponent for several blocks of 1,024 bytes in one message (RFC 8323, 6)."""
LARGEST = 1024
"""Bytes."""

Respond = Callable[[CoapReply, tuple[Option, ...]], None]
"""Sends the response to one request, with options on top of those of the reply."""


class Receiver(Protocol):
    """Who answers requests."""

    def receive(self, request: CoapRequest, peer: Peer, answer: Callable[[CoapReply], None]) -> None:
        """``answer`` is called once, now or later."""
        ...


class Intake:
    """Hands on whole requests; ``bert`` allows blocks as only a connection can carry them."""

    def __init__(self, receiver: Receiver, clock: Callable[[], float], *, bert: bool = False) -> None:
        self._receiver, self._bert = receiver, bert
        self._assembly = Assembly(clock)

    def take(self, message: wire.Message, peer: Peer, respond: Respond) -> None:
        """A request; ``respond`` is called once, now or later."""
        answer = partial(_answer, respond, ())
        try:
            request = request_of(message)
            if request.code > Code.IPATCH:
                raise RequestError(Code.METHOD_NOT_ALLOWED, f"unknown method 0.{request.code:02d}")
            block = number(message.options, BLOCK1)
            if block is None:
                whole: CoapRequest | None = request
            else:
                if block & 7 == BERT and not self._bert:
                    raise RequestError(Code.BAD_REQUEST, "block size 7 is reserved over UDP")
                # From here on the answer is one to this block.
                answer = partial(_answer, respond, ((BLOCK1, uint(block)),))
                whole = self._assemble(request, block, peer)
            if whole is None:
                answer(CoapReply(Code.CONTINUE))
            else:
                self._receiver.receive(whole, peer, answer)
        except RequestError as refusal:
            answer(CoapReply(refusal.code, str(refusal).encode()))
        except Exception as problem:
            # The last stop: whatever went wrong, the device gets an answer and the server goes on.
            log.exception("request failed", peer=str(peer), error=repr(problem))
            answer(CoapReply(Code.INTERNAL_SERVER_ERROR))

    def _assemble(self, request: CoapRequest, value: int, peer: Peer) -> CoapRequest | None:
        """The request once all its blocks are there; raises ``RequestError``."""
        key = (peer, request.code, request.path, request.query)
        if value & 7 == BERT:
            body = self._add_bert(key, value, request.payload)
        else:
            body = self._assembly.add(key, Block.unpack(value), request.payload)
        return None if body is None else attrs.evolve(request, payload=body)

    def _add_bert(self, key: object, value: int, payload: bytes) -> bytes | None:
        number, last = value >> 4, not value & 8
        if not last and (not payload or len(payload) % LARGEST):
            raise RequestError(Code.BAD_REQUEST, f"{len(payload)} bytes are no number of blocks")
        body = None
        for start in range(0, max(len(payload), 1), LARGEST):
            more = not last or start + LARGEST < len(payload)
            block = Block(number + start // LARGEST, more, BERT - 1)
            body = self._assembly.add(key, block, payload[start : start + LARGEST])
        return body


def _answer(respond: Respond, options: tuple[Option, ...], reply: CoapReply) -> None:
    respond(reply, options)
