"""The datagram codec, against itself and against aiocoap's."""

from __future__ import annotations

import aiocoap
from hypothesis import given
from hypothesis import strategies as st

from lwm2m_server.coap import wire

MESSAGES = st.builds(
    wire.Message,
    st.integers(0, 3),
    st.integers(1, 255),
    st.integers(0, 0xFFFF),
    st.binary(max_size=8),
    st.lists(
        # Numbers without a meaning to aiocoap, whose values it leaves as they are.
        st.tuples(st.integers(2000, 65000), st.binary(max_size=300)),
        max_size=6,
    ).map(lambda options: tuple(sorted(options, key=lambda option: option[0]))),
    st.binary(max_size=40),
)


@given(MESSAGES)
def test_decode_is_the_inverse_of_encode(message: wire.Message) -> None:
    assert wire.decode(wire.encode(message)) == message


@given(MESSAGES)
def test_aiocoap_reads_the_same(message: wire.Message) -> None:
    theirs = aiocoap.Message.decode(wire.encode(message))
    assert (theirs.mtype, theirs.code, theirs.mid, theirs.token, theirs.payload) == (
        message.type,
        message.code,
        message.mid,
        message.token,
        message.payload,
    )
    options = tuple((int(option.number), option.encode()) for option in theirs.opt.option_list())
    assert options == message.options


@given(
    st.binary(max_size=80)
    | st.builds(lambda message, cut: wire.encode(message)[:cut], MESSAGES, st.integers(0, 60))
)
def test_whatever_arrives_is_a_message_or_malformed(data: bytes) -> None:
    rejected: list[int | None] = []
    try:
        message = wire.decode(data)
    except wire.Malformed as problem:
        rejected.append(problem.mid)
    else:
        assert wire.decode(wire.encode(message)) == message
    # Only a Confirmable message of version 1 is answered with a Reset.
    assert rejected in ([], [None]) or data[0] >> 4 == 4
