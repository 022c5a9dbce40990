"""CoAP messages in a byte stream."""

from __future__ import annotations

import pytest
from aiocoap.transports.tcp import _decode_message, _extract_message_size
from hypothesis import given
from hypothesis import strategies as st

from lwm2m_server.coap import frames, wire

OPTIONS = st.lists(st.tuples(st.integers(0, 300), st.binary(max_size=20)), max_size=4).map(
    lambda options: tuple(sorted(options, key=lambda option: option[0]))
)
PAYLOADS = st.one_of(st.binary(max_size=20), st.sampled_from([12, 13, 267, 268, 269, 300]).map(bytes))


@given(st.integers(1, 255), st.binary(max_size=8), OPTIONS, PAYLOADS)
def test_what_is_written_is_read(code, token, options, payload):
    data = frames.encode(code, token, options, payload)
    frame = frames.measure(data, 0)
    assert frame == (0, frame.code, len(data))
    message = frames.decode(data, frame)
    assert message == wire.Message(wire.CON, code, 0, token, options, payload)


@given(st.lists(st.tuples(st.integers(1, 255), st.binary(max_size=8), PAYLOADS), min_size=1, max_size=4))
def test_messages_follow_each_other(messages):
    stream = b"".join(frames.encode(code, token, (), payload) for code, token, payload in messages)
    at, found = 0, []
    while (frame := frames.measure(stream, at)) is not None:
        message = frames.decode(stream, frame)
        found.append((message.code, message.token, message.payload))
        at = frame.end
    assert found == messages


@pytest.mark.parametrize("size", [0, 11, 12, 13, 267, 268, 269, 65803, 65804, 65805, 1_000_000])
def test_every_length_is_written_as_another_implementation_reads_it(size):
    data = frames.encode(69, b"tok", (), bytes(size))
    assert sum(_extract_message_size(data)) == len(data)
    message = _decode_message(data)
    assert (message.code, message.token, message.payload) == (69, b"tok", bytes(size))


@given(st.binary(max_size=6))
def test_an_unfinished_head_says_nothing_yet(data):
    frame = frames.measure(data, 0)
    known = _extract_message_size(data)
    assert (frame is None) == (known is None)
    if frame is not None:
        assert frame.size == sum(known)


def test_an_empty_message_has_nothing_that_counts():
    data = bytes.fromhex("310074ffff00")
    frame = frames.measure(data, 0)
    assert frame.size == 6
    assert frames.decode(data, frame) == wire.Message(wire.CON, wire.EMPTY, 0)


def test_a_token_of_nine_bytes_is_malformed():
    data = bytes((0x09, 69)) + bytes(9)
    with pytest.raises(wire.Malformed):
        frames.decode(data, frames.measure(data, 0))
