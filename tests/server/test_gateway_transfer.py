"""Block-wise transfer as a state machine."""

from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lwm2m_engine.coap import CoapReply, CoapRequest, Code
from lwm2m_server.coap.blocks import Block
from lwm2m_server.coap.transfer import MAX_RESTARTS, Answer, Part, Transfer, TransferBroken

READ = CoapRequest(Code.GET, ("3",), accept=110)


def write(payload: bytes, code: int = Code.PUT) -> CoapRequest:
    return CoapRequest(code, ("5", "0", "0"), (), payload, 42)


def content(payload: bytes, block: Block | None = None, **more: object) -> Answer:
    return Answer(CoapReply(Code.CONTENT, payload, 110), None, block, **more)  # type: ignore[arg-type]


def taken(block: Block, code: int = Code.CONTINUE) -> Answer:
    return Answer(CoapReply(code), block)


def part(step: Part | CoapReply) -> Part:
    assert isinstance(step, Part)
    return step


@given(st.binary(max_size=5000), st.lists(st.integers(0, 6), min_size=1, max_size=8))
def test_whatever_sizes_a_device_asks_for_it_gets_every_byte_once(payload: bytes, sizes: list[int]) -> None:
    transfer, received, count = Transfer(write(payload)), b"", 0
    step: Part | CoapReply = transfer.begin()
    while isinstance(step, Part):
        block = step.block1
        received += step.payload
        if block is None:
            step = transfer.proceed(Answer(CoapReply(Code.CHANGED)))
            continue
        assert block.number * block.size == len(received) - len(step.payload)
        assert (step.size1 is not None) == (block.number == 0)
        wanted = min(block.exponent, sizes[min(count, len(sizes) - 1)])
        count += 1
        answer = Code.CONTINUE if block.more else Code.CHANGED
        step = transfer.proceed(taken(block._replace(exponent=wanted), answer))
        assert (transfer.sent, transfer.total) == (len(received), len(payload))
    assert step == CoapReply(Code.CHANGED)
    assert received == payload


@given(st.binary(max_size=5000), st.lists(st.integers(0, 6), min_size=1, max_size=8))
def test_whatever_sizes_a_device_gives_its_answer_is_complete(payload: bytes, sizes: list[int]) -> None:
    transfer, start, count, exponent = Transfer(READ), 0, 0, 6
    transfer.begin()
    while True:
        exponent = min(exponent, sizes[min(count, len(sizes) - 1)])
        size = 16 << exponent
        block = Block(start // size, start + size < len(payload), exponent)
        step = transfer.proceed(content(payload[start : start + size], block, etag=b"e"))
        if isinstance(step, CoapReply):
            break
        assert step.block2 is not None
        start, exponent, count = step.block2.number * step.block2.size, step.block2.exponent, count + 1
    assert step == CoapReply(Code.CONTENT, payload, 110)


def test_short_requests_and_answers_are_no_transfers() -> None:
    transfer = Transfer(write(bytes(1024)))
    assert transfer.begin() == Part(bytes(1024))
    assert transfer.total == 0
    assert transfer.proceed(Answer(CoapReply(Code.CHANGED))) == CoapReply(Code.CHANGED)


def test_smaller_blocks_asked_for_with_4_13_begin_anew() -> None:
    transfer = Transfer(write(bytes(3000)))
    transfer.begin()
    hint = Answer(CoapReply(Code.REQUEST_ENTITY_TOO_LARGE), Block(0, False, 2))
    assert part(transfer.proceed(hint)) == Part(bytes(64), Block(0, True, 2), None, 3000)
    assert transfer.proceed(hint) == hint.reply, "that is what it got"


def test_a_short_request_can_be_too_long_for_one_message_of_the_device() -> None:
    transfer = Transfer(write(bytes(100)))
    transfer.begin()
    hint = Answer(CoapReply(Code.REQUEST_ENTITY_TOO_LARGE), Block(0, False, 1))
    assert part(transfer.proceed(hint)).block1 == Block(0, True, 1)


def test_a_device_that_takes_less_than_there_is_has_the_last_word() -> None:
    transfer = Transfer(write(bytes(3000)))
    transfer.begin()
    refusal = Answer(CoapReply(Code.REQUEST_ENTITY_TOO_LARGE), Block(0, False, 2), size1=2000)
    assert transfer.proceed(refusal) == refusal.reply


def test_a_device_that_forgot_the_beginning_gets_it_again_a_few_times() -> None:
    transfer = Transfer(write(bytes(3000)))
    transfer.begin()
    forgotten = Answer(CoapReply(Code.REQUEST_ENTITY_INCOMPLETE))
    for _ in range(MAX_RESTARTS):
        assert part(transfer.proceed(taken(Block(0, True, 6)))).block1 == Block(1, True, 6)
        assert part(transfer.proceed(forgotten)).block1 == Block(0, True, 6)
        assert transfer.sent == 0
    transfer.proceed(taken(Block(0, True, 6)))
    with pytest.raises(TransferBroken, match="again and again"):
        transfer.proceed(forgotten)


def test_a_device_may_answer_each_block_for_itself() -> None:
    transfer = Transfer(write(bytes(2000)))
    transfer.begin()
    assert part(transfer.proceed(taken(Block(0, False, 6), Code.CHANGED))).block1 == Block(1, False, 6)
    assert transfer.proceed(taken(Block(1, False, 6), Code.CHANGED)) == CoapReply(Code.CHANGED)


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (taken(Block(1, True, 6)), "block 1 acknowledged instead of 0"),
        (Answer(CoapReply(Code.CHANGED)), "took the first block for the whole"),
        (content(bytes(16), Block(1, True, 0)), "took the first block for the whole"),
    ],
)
def test_an_answer_that_contradicts_the_block_sent(answer: Answer, reason: str) -> None:
    transfer = Transfer(write(bytes(3000)))
    transfer.begin()
    with pytest.raises(TransferBroken, match=reason):
        transfer.proceed(answer)


def test_a_device_cannot_ask_for_more_than_there_is() -> None:
    transfer = Transfer(write(bytes(2000)))
    transfer.begin()
    transfer.proceed(taken(Block(0, True, 6)))
    with pytest.raises(TransferBroken, match="more than there is"):
        transfer.proceed(taken(Block(1, False, 6)))


def test_an_answer_that_changes_is_read_from_the_beginning() -> None:
    transfer = Transfer(READ)
    transfer.begin()
    transfer.proceed(content(bytes(64), Block(0, True, 2), etag=b"1"))
    assert transfer.proceed(content(bytes(64), Block(1, True, 2), etag=b"2")) == Part(b"")
    transfer.proceed(content(b"b" * 64, Block(0, True, 2), etag=b"2"))
    assert transfer.proceed(content(b"c", Block(1, False, 2), etag=b"2")) == CoapReply(
        Code.CONTENT, b"b" * 64 + b"c", 110
    )


def test_an_answer_that_keeps_changing_is_given_up() -> None:
    transfer = Transfer(READ)
    transfer.begin()
    for count in range(MAX_RESTARTS):
        transfer.proceed(content(bytes(64), Block(0, True, 2), etag=b"%d" % count))
        transfer.proceed(content(bytes(64), Block(1, True, 2), etag=b"x"))
    transfer.proceed(content(bytes(64), Block(0, True, 2), etag=b"y"))
    with pytest.raises(TransferBroken, match="changed while it was fetched, again and again"):
        transfer.proceed(content(bytes(64), Block(1, True, 2), etag=b"z"))


def test_an_execute_is_not_repeated_for_the_sake_of_its_answer() -> None:
    transfer = Transfer(write(b"", Code.POST))
    transfer.begin()
    transfer.proceed(content(bytes(64), Block(0, True, 2), etag=b"1"))
    with pytest.raises(TransferBroken, match="changed"):
        transfer.proceed(content(bytes(64), Block(1, True, 2), etag=b"2"))


@pytest.mark.parametrize(
    ("answers", "reason"),
    [
        ([content(bytes(64), Block(0, True, 2), size2=1001)], "an answer of 1001 bytes; 1000 are taken"),
        ([content(bytes(512), Block(number, True, 5)) for number in range(2)], "an answer of 1024 bytes"),
        ([content(bytes(64), Block(3, True, 2))], "begins with block 3"),
        ([content(bytes(64), Block(0, True, 2)), content(bytes(64), Block(2, True, 2))], "after 64 bytes"),
        ([content(bytes(63), Block(0, True, 2))], "a block of 63 bytes, announced 64"),
        ([content(bytes(65), Block(0, False, 2))], "a block of 65 bytes, announced 64"),
    ],
)
def test_an_answer_too_long_or_in_disorder(answers: list[Answer], reason: str) -> None:
    transfer = Transfer(READ, largest=1000)
    transfer.begin()
    *before, last = answers
    for answer in before:
        transfer.proceed(answer)
    with pytest.raises(TransferBroken, match=reason):
        transfer.proceed(last)


def test_an_answer_that_fits_or_fails_meanwhile_is_the_answer() -> None:
    for reply in (CoapReply(Code.CONTENT, b"short", 110), CoapReply(Code.NOT_FOUND, b"gone")):
        transfer = Transfer(READ)
        transfer.begin()
        transfer.proceed(content(bytes(64), Block(0, True, 2)))
        assert transfer.proceed(Answer(reply)) == reply


def test_more_blocks_than_have_a_number() -> None:
    transfer = Transfer(write(bytes((16 << 20) + 1)))
    transfer.begin()
    with pytest.raises(TransferBroken, match="too many for blocks of 16"):
        transfer.proceed(taken(Block(0, True, 0)))


@given(st.integers(1025, 4000))
def test_a_long_request_can_have_a_long_answer(size: int) -> None:
    payload, body = os.urandom(size), os.urandom(100)
    transfer = Transfer(write(payload, Code.FETCH))
    step, received = transfer.begin(), b""
    while step.block1 is not None and step.block1.more:
        received += step.payload
        step = part(transfer.proceed(taken(step.block1)))
    received += step.payload
    first = content(body[:64], Block(0, True, 2))._replace(block1=step.block1)
    assert part(transfer.proceed(first)) == Part(b"", None, Block(1, False, 2))
    assert transfer.proceed(content(body[64:], Block(1, False, 2))) == CoapReply(Code.CONTENT, body, 110)
    assert received == payload
