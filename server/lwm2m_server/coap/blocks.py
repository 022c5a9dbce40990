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
"""Bytes of one request, and of all that one peer has under way; the longest seen need a tenth of it."""
MAX_BODIES = 256
"""Bodies under way at once; the one that waited longest gives way."""
MAX_PEER_BODIES = 4
"""Bodies of one peer; the one that waited longest gives way."""
MAX_BYTES = 16 * 1024 * 1024
"""Bytes of all bodies together; those that waited longest give way."""
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

    def within(self, largest: Block) -> Block:
        """Where the same begins in blocks that are no larger."""
        finer = max(0, self.exponent - largest.exponent)
        return Block(self.number << finer, self.more, self.exponent - finer)


@attrs.define(slots=True, eq=False)
class _Body:
    key: Hashable
    peer: Hashable
    touched: float
    data: bytearray = attrs.field(factory=bytearray)


class Assembly:
    """Bodies under way, by whatever identifies one request of one peer; none above ``longest`` bytes."""

    def __init__(self, clock: Callable[[], float], longest: int = MAX_BODY) -> None:
        self._clock, self._longest = clock, longest
        self._bodies: OrderedDict[Hashable, _Body] = OrderedDict()
        self._peers: dict[Hashable, list[_Body]] = {}
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._bodies)

    def add(
        self,
        key: Hashable,
        block: Block,
        payload: bytes,
        *,
        peer: Hashable = None,
        announced: int | None = None,
    ) -> bytes | None:
        """The whole body when this was its last block, else ``None``.

        ``announced`` is how long the peer says it will be (Size1). A block that is there already is
        taken for what it is. Raises ``RequestError`` 4.00 for a block of the wrong length, 4.08 for one
        that does not follow the last, 4.13 for more than ``longest`` bytes.
        """
        if len(payload) > block.size or (block.more and len(payload) != block.size):
            raise RequestError(Code.BAD_REQUEST, f"a block of {len(payload)} bytes, announced {block.size}")
        self._expire()
        body = self._body(key, block, peer)
        start, end = block.number * block.size, block.number * block.size + len(payload)
        if block.more and payload and body.data[start:end] == payload:
            return None
        if start != len(body.data):
            raise RequestError(
                Code.REQUEST_ENTITY_INCOMPLETE,
                f"block {block.number} of {block.size} bytes after {len(body.data)} bytes",
            )
        taken = sum(len(other.data) for other in self._peers[peer]) if peer is not None else start
        if max(announced or 0, taken + len(payload)) > self._longest:
            self._drop(body)
            raise RequestError(Code.REQUEST_ENTITY_TOO_LARGE, f"more than {self._longest} bytes")
        body.data += payload
        self._bytes += len(payload)
        if not block.more:
            self._drop(body)
            return bytes(body.data)
        while self._bytes > MAX_BYTES:
            self._drop(next(iter(self._bodies.values())))
        return None

    def _body(self, key: Hashable, block: Block, peer: Hashable) -> _Body:
        body = self._bodies.get(key)
        if block.number == 0:
            if body is not None:
                self._drop(body)
            body = self._open(key, peer)
        elif body is None:
            raise RequestError(Code.REQUEST_ENTITY_INCOMPLETE, f"block {block.number} without its first")
        body.touched = self._clock()
        self._bodies.move_to_end(key)
        return body

    def _open(self, key: Hashable, peer: Hashable) -> _Body:
        siblings = self._peers.setdefault(peer, [])
        if peer is not None and len(siblings) >= MAX_PEER_BODIES:
            self._drop(siblings[0])
        elif len(self._bodies) >= MAX_BODIES:
            self._drop(next(iter(self._bodies.values())))
        body = self._bodies[key] = _Body(key, peer, self._clock())
        self._peers.setdefault(peer, []).append(body)
        return body

    def _drop(self, body: _Body) -> None:
        del self._bodies[body.key]
        self._bytes -= len(body.data)
        siblings = self._peers[body.peer]
        siblings.remove(body)
        if not siblings:
            del self._peers[body.peer]

    def _expire(self) -> None:
        oldest = self._clock() - EXCHANGE_LIFETIME
        while self._bodies and (body := next(iter(self._bodies.values()))).touched < oldest:
            self._drop(body)
