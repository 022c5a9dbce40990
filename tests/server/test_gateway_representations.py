"""Long replies, given block by block."""

from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lwm2m_engine.coap import CoapReply, Code
from lwm2m_engine.errors import RequestError
from lwm2m_server.coap.blocks import EXCHANGE_LIFETIME, Block
from lwm2m_server.coap.options import BLOCK2, ETAG, SIZE2, number
from lwm2m_server.coap.representations import MAX_BYTES, MAX_KEPT, Representations


@given(st.binary(max_size=3000), st.integers(0, 6))
def test_the_pieces_are_the_whole(payload: bytes, exponent: int) -> None:
    kept, reply = Representations(lambda: 0.0), CoapReply(Code.CONTENT, payload, 112)
    count, received, etags = 0, b"", set()
    while True:
        options, piece = kept.piece("key", reply, Block(count, False, exponent))
        if not options:
            received += piece
            break
        block = Block.unpack(number(options, BLOCK2) or 0)
        assert (block.number, block.exponent) == (count, exponent)
        assert (number(options, SIZE2) == len(payload)) == (count == 0 and len(payload) > block.size)
        etags |= {value for option, value in options if option == ETAG}
        received, count = received + piece, count + 1
        if not block.more:
            break
    assert received == payload
    assert len(etags) == (len(payload) > 16 << exponent)


def test_who_asks_for_no_block_gets_what_fits_or_the_first_kilobyte() -> None:
    kept = Representations(lambda: 0.0)
    assert kept.piece("key", CoapReply(Code.CONTENT, bytes(1024)), None) == ((), bytes(1024))
    assert len(kept) == 0
    options, payload = kept.piece("key", CoapReply(Code.CONTENT, bytes(1025)), None)
    assert (payload, number(options, BLOCK2)) == (bytes(1024), 0x0E)


def test_a_block_beyond_the_end_is_4_00() -> None:
    with pytest.raises(RequestError) as refused:
        Representations(lambda: 0.0).piece("key", CoapReply(Code.CONTENT, bytes(100)), Block(2, False, 2))
    assert refused.value.code == Code.BAD_REQUEST


def test_another_reply_to_the_same_request_has_another_etag() -> None:
    kept = Representations(lambda: 0.0)
    tags = [kept.piece("key", CoapReply(Code.CONTENT, os.urandom(2000)), None)[0][0] for _ in range(2)]
    assert tags[0] != tags[1]
    assert len(kept) == 1


def test_memory_is_bounded_by_number_bytes_and_time() -> None:
    now = 0.0
    kept = Representations(lambda: now)
    for key in range(MAX_KEPT + 10):
        kept.piece(key, CoapReply(Code.CONTENT, bytes(1025)), None)
    assert len(kept) == MAX_KEPT
    assert kept.reply(0) is None
    assert kept.reply(MAX_KEPT) is not None
    large = bytes(MAX_BYTES // 4)
    for key in range(8):
        kept.piece(f"large {key}", CoapReply(Code.CONTENT, large), None)
    assert len(kept) == 4
    now = EXCHANGE_LIFETIME + 1
    assert kept.reply("large 7") is None
    assert len(kept) == 0
