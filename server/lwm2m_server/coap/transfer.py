"""``Transfer``: one request to a device and its answer, in blocks where either is long (RFC 7959).

Knows neither sockets nor time: it says what to send next and takes what came back.
"""

from __future__ import annotations

from typing import NamedTuple

import attrs

from lwm2m_engine.coap import CoapReply, CoapRequest, Code, is_success
from lwm2m_server.coap.blocks import MAX_NUMBER, Block
from lwm2m_server.coap.options import BLOCK1, BLOCK2, SIZE1, uint
from lwm2m_server.coap.wire import Option

MAX_EXPONENT = 6
"""1,024-byte blocks, the largest there are over UDP."""
MAX_ANSWER = 1 << 20
"""Bytes of one answer; more is not fetched."""
MAX_RESTARTS = 3
"""How often a transfer begins anew because the device lost or changed what it is about."""


class Part(NamedTuple):
    """One message of a transfer: what goes with the options of the request."""

    payload: bytes
    block1: Block | None = None
    block2: Block | None = None
    size1: int | None = None
    """Bytes of the whole, in the first block (RFC 7959, 4)."""

    @property
    def options(self) -> tuple[Option, ...]:
        """In order of their numbers; they come after those of any request."""
        options: list[Option] = []
        if self.block2 is not None:
            options.append((BLOCK2, self.block2.pack()))
        if self.block1 is not None:
            options.append((BLOCK1, self.block1.pack()))
        if self.size1 is not None:
            options.append((SIZE1, uint(self.size1)))
        return tuple(options)

    @property
    def is_whole(self) -> bool:
        """Whether the request is sent without blocks."""
        return self.block1 is None and self.block2 is None

    @property
    def is_last(self) -> bool:
        """Whether a device that has this part has the whole request."""
        return self.block2 is None and (self.block1 is None or not self.block1.more)


class Answer(NamedTuple):
    """What a device said to one part."""

    reply: CoapReply
    block1: Block | None = None
    block2: Block | None = None
    etag: bytes | None = None
    size1: int | None = None
    """The most a device takes, beside 4.13."""
    size2: int | None = None
    """Bytes of the whole answer, as far as the device knows."""


class TransferBroken(Exception):
    """The transfer cannot go on; the text says why."""


class Transfer:
    """``begin`` gives the first part; ``proceed`` the next one, or the complete reply."""

    __slots__ = ("_body", "_exponent", "_first", "_largest", "_offset", "_request", "_restarts", "_sending")

    def __init__(self, request: CoapRequest, *, largest: int = MAX_ANSWER) -> None:
        self._request = request
        self._largest = largest
        self._exponent = MAX_EXPONENT
        self._offset = 0
        self._restarts = 0
        self._sending: Block | None = None
        self._first: Answer | None = None
        self._body = bytearray()

    @property
    def sent(self) -> int:
        """Bytes of a request in blocks that the device has acknowledged."""
        return self._offset

    @property
    def total(self) -> int:
        """Bytes of a request while it is sent in blocks, else 0."""
        return len(self._request.payload) if self._sending is not None and self._first is None else 0

    def begin(self) -> Part:
        self._offset, self._sending, self._first = 0, None, None
        payload = self._request.payload
        return Part(payload) if len(payload) <= 16 << self._exponent else self._block()

    def proceed(self, answer: Answer) -> Part | CoapReply:
        """Raises ``TransferBroken``."""
        if self._first is not None:
            return self._append(self._first, answer)
        hint = answer.block1
        if answer.reply.code == Code.REQUEST_ENTITY_TOO_LARGE and hint and self._fits(hint, answer.size1):
            self._exponent = hint.exponent
            return self.begin()
        if self._sending is not None:
            part = self._sent(self._sending, answer)
            if part is not None:
                return part
        return self._answered(answer)

    # --- the request, block by block ---

    def _block(self) -> Part:
        size, total = 16 << self._exponent, len(self._request.payload)
        if total > (MAX_NUMBER + 1) * size:
            raise TransferBroken(f"{total} bytes are too many for blocks of {size}")
        block = Block(self._offset // size, self._offset + size < total, self._exponent)
        self._sending = block
        chunk = self._request.payload[self._offset : self._offset + size]
        return Part(chunk, block, None, None if self._offset else total)

    def _fits(self, hint: Block, limit: int | None) -> bool:
        """Whether smaller blocks are what the device wants, not a shorter request (RFC 7959, 2.9.3)."""
        total = len(self._request.payload)
        return hint.exponent < self._exponent and total > hint.size and (limit is None or total <= limit)

    def _sent(self, block: Block, answer: Answer) -> Part | None:
        """The next block, or ``None`` if the answer is the last word."""
        code = answer.reply.code
        if code == Code.REQUEST_ENTITY_INCOMPLETE:
            # The device forgot the blocks before this one, in a reboot perhaps.
            return self._restart("the device does not know the blocks before")
        if not is_success(code):
            return None
        if answer.block1 is not None:
            if answer.block1.number != block.number:
                raise TransferBroken(f"block {answer.block1.number} acknowledged instead of {block.number}")
            self._exponent = min(self._exponent, answer.block1.exponent)
        elif block.more and code != Code.CONTINUE:
            raise TransferBroken("the device took the first block for the whole")
        self._offset = min(self._offset + block.size, len(self._request.payload))
        if block.more:
            return self._block()
        if code == Code.CONTINUE:
            raise TransferBroken("the device waits for more than there is")
        return None

    # --- the answer, block by block ---

    def _answered(self, answer: Answer) -> Part | CoapReply:
        block = answer.block2
        if block is None:
            return answer.reply
        if block.number != 0:
            raise TransferBroken(f"the answer begins with block {block.number}")
        self._first, self._body = answer, bytearray()
        return self._append(answer, answer)

    def _append(self, first: Answer, answer: Answer) -> Part | CoapReply:
        block, reply = answer.block2, answer.reply
        if reply.code == Code.REQUEST_ENTITY_INCOMPLETE:
            return self._ask_again("the device forgot what it was answering")
        if block is None or not is_success(reply.code):
            # It fits into one message now, or cannot be read any more.
            return reply
        if (answer.etag, reply.content_format) != (first.etag, first.reply.content_format):
            return self._ask_again("the answer changed while it was fetched")
        self._take(block, reply.payload, answer.size2)
        if block.more:
            return Part(b"", None, Block(len(self._body) // block.size, False, block.exponent))
        return attrs.evolve(first.reply, payload=bytes(self._body))

    def _take(self, block: Block, payload: bytes, announced: int | None) -> None:
        if block.number * block.size != len(self._body):
            raise TransferBroken(
                f"block {block.number} of {block.size} bytes after {len(self._body)} bytes of an answer"
            )
        if len(payload) > block.size or (block.more and len(payload) != block.size):
            raise TransferBroken(f"a block of {len(payload)} bytes, announced {block.size}")
        size = max(announced or 0, len(self._body) + len(payload))
        if size > self._largest:
            raise TransferBroken(f"an answer of {size} bytes; {self._largest} are taken")
        self._body += payload

    # --- both ---

    def _ask_again(self, reason: str) -> Part:
        # Executing or creating twice would be worse than no answer.
        if self._request.code not in (Code.GET, Code.FETCH):
            raise TransferBroken(reason)
        return self._restart(reason)

    def _restart(self, reason: str) -> Part:
        self._restarts += 1
        if self._restarts > MAX_RESTARTS:
            raise TransferBroken(f"{reason}, again and again")
        return self.begin()
