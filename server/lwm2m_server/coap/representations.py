"""Long replies, given block by block (RFC 7959, 2.4): what was begun to be given is kept, within bounds."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from hashlib import blake2b

import attrs

from lwm2m_engine.coap import CoapReply, Code
from lwm2m_engine.errors import RequestError
from lwm2m_server.coap.blocks import EXCHANGE_LIFETIME, Block
from lwm2m_server.coap.options import BLOCK2, ETAG, SIZE2, uint
from lwm2m_server.coap.wire import Option

LARGEST = Block(0, False, 6)
"""What is given at once to who does not ask for less."""
SMALL = Block(0, False, 2)
"""The same where neither name nor address of who asks is proved: on the network no more than three times what
was asked, so that nobody asks in the name of a victim (RFC 7252, 11.3)."""
MAX_KEPT = 1024
"""Replies kept; the one asked for the longest time ago gives way."""
MAX_BYTES = 16 * 1024 * 1024
"""Bytes of all of them together."""
ETAG_LENGTH = 8


@attrs.define(slots=True)
class _Kept:
    reply: CoapReply
    etag: bytes
    touched: float


class Representations:
    """Replies by whatever identifies one request of one peer."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._kept: OrderedDict[Hashable, _Kept] = OrderedDict()
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._kept)

    def reply(self, key: Hashable) -> CoapReply | None:
        """What was given the beginning of; ``None`` if that is too long ago."""
        self._expire()
        kept = self._kept.get(key)
        return None if kept is None else kept.reply

    def piece(
        self, key: Hashable, reply: CoapReply, wanted: Block | None
    ) -> tuple[tuple[Option, ...], bytes]:
        """Options and payload of one block, or of the whole if it fits into one.

        Raises ``RequestError`` 4.00 for a block beyond the end.
        """
        number, _, exponent = wanted or LARGEST
        size, total = 16 << exponent, len(reply.payload)
        start = number * size
        if total <= size and not start:
            return (), reply.payload
        if start >= total:
            raise RequestError(Code.BAD_REQUEST, f"block {number} of {size} bytes, of {total} bytes")
        kept = self._keep(key, reply)
        block = Block(number, start + size < total, exponent)
        options: tuple[Option, ...] = ((ETAG, kept.etag), (BLOCK2, block.pack()))
        if not start:
            options += ((SIZE2, uint(total)),)
        return options, reply.payload[start : start + size]

    def _keep(self, key: Hashable, reply: CoapReply) -> _Kept:
        kept = self._kept.get(key)
        if kept is None or kept.reply is not reply:
            self._drop(key)
            etag = blake2b(reply.payload, digest_size=ETAG_LENGTH).digest()
            kept = self._kept[key] = _Kept(reply, etag, 0.0)
            self._bytes += len(reply.payload)
        kept.touched = self._clock()
        self._kept.move_to_end(key)
        while len(self._kept) > MAX_KEPT or (self._bytes > MAX_BYTES and len(self._kept) > 1):
            self._drop(next(iter(self._kept)))
        return kept

    def _drop(self, key: Hashable) -> None:
        kept = self._kept.pop(key, None)
        if kept is not None:
            self._bytes -= len(kept.reply.payload)

    def _expire(self) -> None:
        oldest = self._clock() - EXCHANGE_LIFETIME
        while self._kept and next(iter(self._kept.values())).touched < oldest:
            self._drop(next(iter(self._kept)))
