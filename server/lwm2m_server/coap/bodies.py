"""``LongReply``: a reply whose payload is read block by block, and never is in memory as a whole."""

from __future__ import annotations

from typing import Protocol

import attrs

from lwm2m_engine.coap import CoapReply, Code
from lwm2m_engine.errors import RequestError
from lwm2m_server.coap.blocks import Block
from lwm2m_server.coap.options import BLOCK2, ETAG, SIZE2, uint
from lwm2m_server.coap.wire import Option


class Body(Protocol):
    """What is fetched. It is the same as long as its ``etag`` is."""

    @property
    def size(self) -> int:
        """Bytes."""
        ...

    @property
    def etag(self) -> bytes:
        """One to eight bytes."""
        ...

    def read(self, offset: int, size: int) -> bytes:
        """A part of it, shorter at the end. Raises ``RequestError``."""
        ...


@attrs.frozen(slots=True, kw_only=True)
class LongReply(CoapReply):
    """Whoever cuts replies into blocks reads them from ``body``; ``payload`` is empty until then."""

    body: Body


def piece_of(body: Body, wanted: Block) -> tuple[tuple[Option, ...], bytes]:
    """Options and payload of one block (RFC 7959, 2.4): any, in any order, as often as wanted.

    Raises ``RequestError`` 4.00 for a block beyond the end.
    """
    start = wanted.number * wanted.size
    if start >= body.size and start:
        raise RequestError(
            Code.BAD_REQUEST, f"block {wanted.number} of {wanted.size} bytes, of {body.size} bytes"
        )
    payload = body.read(start, wanted.size)
    block = Block(wanted.number, start + wanted.size < body.size, wanted.exponent)
    options: tuple[Option, ...] = ((ETAG, body.etag), (BLOCK2, block.pack()))
    if not start:
        options += ((SIZE2, uint(body.size)),)
    return options, payload
