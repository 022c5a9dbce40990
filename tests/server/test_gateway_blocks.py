"""Reassembly of blocks within bounds."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lwm2m_engine.coap import Code
from lwm2m_engine.errors import RequestError
from lwm2m_server.coap.blocks import (
    EXCHANGE_LIFETIME,
    MAX_BODIES,
    MAX_BODY,
    MAX_BYTES,
    MAX_PEER_BODIES,
    Assembly,
    Block,
)


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


def fill(assembly: Assembly, key: object, size: int, peer: object = None) -> None:
    """All but the last block."""
    for number in range(size // 1024):
        assembly.add(key, Block(number, True, 6), bytes(1024), peer=peer)


def test_a_repeated_block_is_there_already_and_a_missing_one_can_still_come() -> None:
    assembly = Assembly(lambda: 0.0)
    for number, letter in ((0, b"a"), (1, b"b"), (1, b"b"), (0, b"a"), (1, b"b")):
        assert assembly.add("key", Block(number, True, 0), letter * 16) is None
    with pytest.raises(RequestError) as gap:
        assembly.add("key", Block(3, True, 0), b"d" * 16)
    assert gap.value.code == Code.REQUEST_ENTITY_INCOMPLETE
    with pytest.raises(RequestError):
        assembly.add("key", Block(1, True, 0), b"B" * 16)
    assembly.add("key", Block(2, True, 0), b"c" * 16)
    assert assembly.add("key", Block(3, False, 0), b"d") == b"a" * 16 + b"b" * 16 + b"c" * 16 + b"d"


def test_what_is_announced_to_be_too_long_is_refused_with_its_first_block() -> None:
    assembly = Assembly(lambda: 0.0)
    with pytest.raises(RequestError) as refused:
        assembly.add("key", Block(0, True, 6), bytes(1024), announced=MAX_BODY + 1)
    assert refused.value.code == Code.REQUEST_ENTITY_TOO_LARGE
    assert len(assembly) == 0


def test_one_peer_cannot_take_the_room_of_others() -> None:
    assembly = Assembly(lambda: 0.0)
    assembly.add("other", Block(0, True, 0), bytes(16), peer="other")
    for number in range(MAX_BODIES + 1):
        assembly.add(number, Block(0, True, 0), bytes(16), peer="greedy")
    assert len(assembly) == MAX_PEER_BODIES + 1
    assert assembly.add("other", Block(1, False, 0), b"", peer="other") == bytes(16)


def test_the_bodies_of_one_peer_are_no_longer_than_one_may_be() -> None:
    assembly = Assembly(lambda: 0.0)
    fill(assembly, "one", MAX_BODY // 2, "peer")
    with pytest.raises(RequestError) as refused:
        fill(assembly, "two", MAX_BODY // 2 + 1024, "peer")
    assert refused.value.code == Code.REQUEST_ENTITY_TOO_LARGE


def test_all_bodies_together_are_bounded() -> None:
    assembly = Assembly(lambda: 0.0)
    peers = MAX_BYTES // MAX_BODY + 1
    for peer in range(peers):
        fill(assembly, peer, MAX_BODY, peer)
    assert len(assembly) == peers - 1
    with pytest.raises(RequestError):
        assembly.add(0, Block(256, False, 6), b"", peer=0)


def test_bodies_nobody_continues_are_forgotten() -> None:
    now = 0.0
    assembly = Assembly(lambda: now)
    for number in range(3):
        assembly.add(number, Block(0, True, 0), bytes(16), peer=number)
    now = EXCHANGE_LIFETIME + 1
    assembly.add("new", Block(0, True, 0), bytes(16))
    assert len(assembly) == 1
