"""``Blockwise``: long requests of devices and long replies to them (RFC 7959), between datagram and hub."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import NamedTuple

import attrs

from lwm2m_engine.coap import CoapReply, CoapRequest, Code, is_success
from lwm2m_engine.errors import RequestError
from lwm2m_server.coap.blocks import MAX_BODY, Assembly, Block
from lwm2m_server.coap.bodies import LongReply, piece_of
from lwm2m_server.coap.options import BLOCK1, BLOCK2, SIZE1, number, uint
from lwm2m_server.coap.representations import LARGEST, Representations
from lwm2m_server.coap.wire import Option


class Blocks(NamedTuple):
    """The Block options of a request."""

    block1: Block | None
    block2: Block | None

    @classmethod
    def of(cls, options: tuple[Option, ...]) -> Blocks:
        """Raises ``RequestError`` 4.00 for a reserved block size."""
        first, second = number(options, BLOCK1), number(options, BLOCK2)
        return cls(
            None if first is None else Block.unpack(first), None if second is None else Block.unpack(second)
        )


NONE = Blocks(None, None)


class Blockwise:
    """Puts requests together and cuts replies into pieces, for all peers of one endpoint.

    A transfer is known by peer, method, path and query: its messages may have a token each.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._assembly = Assembly(clock)
        self._representations = Representations(clock)

    def take(
        self, request: CoapRequest, blocks: Blocks, options: tuple[Option, ...], peer: Hashable
    ) -> CoapRequest | CoapReply:
        """The complete request, or what to reply without it.

        Raises ``RequestError`` 4.08 for a block whose beginning is not known, 4.13 for too long a request.
        """
        key = _key(request, peer)
        if blocks.block1 is not None:
            announced = number(options, SIZE1)
            body = self._assembly.add(key, blocks.block1, request.payload, peer=peer, announced=announced)
            return CoapReply(Code.CONTINUE) if body is None else attrs.evolve(request, payload=body)
        if blocks.block2 is None or blocks.block2.number == 0:
            return request
        reply = self._representations.reply(key)
        if reply is not None:
            return reply
        if request.code != Code.GET:
            raise RequestError(Code.REQUEST_ENTITY_INCOMPLETE, "the reply is not known any more")
        return request

    def give(
        self,
        request: CoapRequest,
        blocks: Blocks,
        reply: CoapReply,
        peer: Hashable,
        largest: Block = LARGEST,
    ) -> tuple[tuple[Option, ...], bytes]:
        """The options that go with those of the reply, and as much of its payload as is to be sent.

        Of a refusal that is all, up to a whole block.
        """
        if isinstance(reply, LongReply):
            return piece_of(reply.body, (blocks.block2 or largest).within(largest))
        options: tuple[Option, ...] = ()
        payload = reply.payload
        wanted, largest = (blocks.block2, largest) if is_success(reply.code) else (None, LARGEST)
        if wanted is not None or len(payload) > largest.size:
            wanted = (wanted or largest).within(largest)
            options, payload = self._representations.piece(_key(request, peer), reply, wanted)
        if blocks.block1 is not None:
            options += ((BLOCK1, blocks.block1.pack()),)
        if reply.code == Code.REQUEST_ENTITY_TOO_LARGE:
            options += ((SIZE1, uint(MAX_BODY)),)
        return options, payload


def _key(request: CoapRequest, peer: Hashable) -> Hashable:
    return peer, request.code, request.path, request.query
