"""Reassembly of requests that arrive in blocks (RFC 7959, 2.5), within bounds."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import NamedTuple

import attrs

from lwm2m_engine.coap import Code
from lwm2m_engine.errors import RequestError
from lwm2m_server.coap.options import uint

MAX_BODY = 256 * 1024
"""Bytes of one request; the longest object lists and Sends seen need a tenth of it."""
MAX_BODIES = 256
"""Bodies under way at once; the one that waited longest gives way."""
EXCHANGE_LIFETIME = 247.0
"""Seconds (RFC 7252, 4.8.2)."""
RESERVED_EXPONENT = 7
MAX_NUMBER = (1 << 20) - 1
"""The last number a Block option has room for."""


class Block(NamedTuple):
    """The value of a Block1 or Block2 option (RFC 7959, 2.2)."""

    number: int
    more: bool
    exponent: int

    @classmethod
    def unpack(cls, value: int) -> Block:
        """Raises ``RequestError`` 4.00 for the reserved size."""
        block = cls(value >> 4, bool(value & 8), value & 7)
        if block.exponent == RESERVED_EXPONENT:
            raise RequestError(Code.BAD_REQUEST, "block size 7 is reserved over UDP")
        return block

    def pack(self) -> bytes:
        return uint(self.number << 4 | self.more << 3 | self.exponent)

    @property
    def size(self) -> int:
        """Bytes."""
        return 1 << self.exponent + 4


@attrs.define(slots=True)
class _Body:
    data: bytearray
    touched: float


class Assembly:
    """Bodies under way, by whatever identifies one request of one peer."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._bodies: OrderedDict[Hashable, _Body] = OrderedDict()

    def add(self, key: Hashable, block: Block, payload: bytes) -> bytes | None:
        """The whole body when this was its last block, else ``None``.

        Raises ``RequestError`` 4.00 for a block of the wrong length, 4.08 for one that does not follow
        the last, 4.13 for a body beyond ``MAX_BODY``.
        """
        if len(payload) > block.size or (block.more and len(payload) != block.size):
            raise RequestError(Code.BAD_REQUEST, f"a block of {len(payload)} bytes, announced {block.size}")
        body = self._body(key, block)
        if len(body.data) + len(payload) > MAX_BODY:
            self._bodies.pop(key, None)
            raise RequestError(Code.REQUEST_ENTITY_TOO_LARGE, f"more than {MAX_BODY} bytes")
        body.data += payload
        if block.more:
            return None
        del self._bodies[key]
        return bytes(body.data)

    def _body(self, key: Hashable, block: Block) -> _Body:
        now = self._clock()
        body = self._bodies.pop(key, None)
        if block.number == 0:
            body = _Body(bytearray(), now)
        elif body is None or now - body.touched > EXCHANGE_LIFETIME:
            raise RequestError(Code.REQUEST_ENTITY_INCOMPLETE, f"block {block.number} without its first")
        elif block.number * block.size != len(body.data):
            raise RequestError(
                Code.REQUEST_ENTITY_INCOMPLETE,
                f"block {block.number} of {block.size} bytes after {len(body.data)} bytes",
            )
        body.touched = now
        self._bodies[key] = body
        if len(self._bodies) > MAX_BODIES:
            self._bodies.popitem(last=False)
        return body
