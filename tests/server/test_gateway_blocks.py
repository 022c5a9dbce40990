"""Reassembly of blocks within bounds."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lwm2m_engine.coap import Code
from lwm2m_engine.errors import RequestError
from lwm2m_server.coap.blocks import EXCHANGE_LIFETIME, MAX_BODIES, Assembly, Block


@given(st.integers(0, (1 << 20) - 1), st.booleans(), st.integers(0, 6))
def test_a_block_option_is_its_own_inverse(number: int, more: bool, exponent: int) -> None:
    block = Block(number, more, exponent)
    assert Block.unpack(int.from_bytes(block.pack(), "big")) == block
    assert len(block.pack()) <= 3


@given(st.binary(min_size=1, max_size=400), st.integers(0, 3))
def test_a_body_cut_into_blocks_comes_back_whole(body: bytes, exponent: int) -> None:
    assembly = Assembly(lambda: 0.0)
    size = 16 << exponent
    whole = [
        assembly.add(
            "key", Block(start // size, start + size < len(body), exponent), body[start : start + size]
        )
        for start in range(0, len(body), size)
    ]
    assert whole[-1] == body
    assert set(whole[:-1]) <= {None}


def test_a_transfer_may_begin_anew_and_change_to_smaller_blocks() -> None:
    assembly = Assembly(lambda: 0.0)
    assembly.add("key", Block(0, True, 1), b"x" * 32)
    assembly.add("key", Block(0, True, 1), b"a" * 32)
    assembly.add("key", Block(2, True, 0), b"b" * 16)
    assert assembly.add("key", Block(3, False, 0), b"c") == b"a" * 32 + b"b" * 16 + b"c"


def test_an_old_or_displaced_transfer_cannot_go_on() -> None:
    now = 0.0
    assembly = Assembly(lambda: now)
    assembly.add("old", Block(0, True, 0), bytes(16))
    now = EXCHANGE_LIFETIME + 1
    with pytest.raises(RequestError) as late:
        assembly.add("old", Block(1, False, 0), b"")
    for number in range(MAX_BODIES + 1):
        assembly.add(number, Block(0, True, 0), bytes(16))
    with pytest.raises(RequestError) as displaced:
        assembly.add(0, Block(1, False, 0), b"")
    assert late.value.code == displaced.value.code == Code.REQUEST_ENTITY_INCOMPLETE
    assert assembly.add(MAX_BODIES, Block(1, False, 0), b"") == bytes(16)
