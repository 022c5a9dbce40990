"""Records of DTLS 1.2: what is sealed opens, nothing else does."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lwm2m_server.coap.dtls.records import (
    ALERT,
    APPLICATION_DATA,
    LARGEST_CONTENT,
    LAST_SEQUENCE,
    TLS12_CID,
    WINDOW,
    Content,
    Protection,
    Record,
    Refused,
    ReplayWindow,
    split,
)
from lwm2m_server.coap.dtls.suites import SUITES, key_block

KEY, SALT = bytes(range(16)), b"salt"
suites = st.sampled_from(sorted(SUITES))
positions = st.integers(0, 2**64 - 1)
cids = st.binary(max_size=20)
contents = st.builds(Content, st.integers(1, 255), st.binary(max_size=200))


def protection(suite: int, key: bytes = KEY) -> Protection:
    return Protection.of(SUITES[suite], key, SALT)


@given(suites, contents, positions, cids, st.integers(0, 40))
def test_what_is_sealed_opens(suite: int, content: Content, position: int, cid: bytes, padding: int) -> None:
    one = protection(suite)
    (record,) = split(one.seal(content, position, cid, padding), len(cid))
    assert (record.position, record.cid) == (position, cid)
    assert (record.epoch, record.sequence) == (position >> 48, position & LAST_SEQUENCE)
    assert record.type == (TLS12_CID if cid else content.type)
    assert one.open(record) == content


@given(suites, contents, positions, cids, st.data())
def test_not_a_bit_of_it_can_be_changed(
    suite: int, content: Content, position: int, cid: bytes, data: st.DataObject
) -> None:
    one = protection(suite)
    sealed = bytearray(one.seal(content, position, cid))
    bit = data.draw(st.integers(0, len(sealed) * 8 - 1))
    sealed[bit // 8] ^= 1 << bit % 8
    for record in split(bytes(sealed), len(cid)):
        with pytest.raises(Refused):
            one.open(record)


@given(suites, contents, positions, cids)
def test_another_key_opens_nothing(suite: int, content: Content, position: int, cid: bytes) -> None:
    (record,) = split(protection(suite).seal(content, position, cid), len(cid))
    with pytest.raises(Refused):
        protection(suite, KEY[::-1]).open(record)


@given(suites, st.binary(max_size=120), st.integers(0, 8))
@example(0xC0A8, b"\x19\xfe\xfd" + bytes(8) + b"cid" + b"\0\0", 3)
def test_any_bytes_are_refused_and_nothing_else_happens(suite: int, data: bytes, cid_length: int) -> None:
    one = protection(suite)
    for record in split(data, cid_length):
        with pytest.raises(Refused):
            one.open(record)


@given(st.lists(st.tuples(contents, positions), max_size=4), st.binary(max_size=30))
def test_several_records_share_a_datagram_and_rubbish_ends_it(
    sent: list[tuple[Content, int]], rubbish: bytes
) -> None:
    one = protection(0xC0A8)
    datagram = b"".join(one.seal(content, position, b"cid") for content, position in sent)
    records = list(split(datagram + b"\0" + rubbish, 3))
    assert [one.open(record) for record in records] == [content for content, _ in sent]


@given(contents, st.integers(0, 255))
def test_the_type_of_a_record_without_cid_is_authentic_too(content: Content, other: int) -> None:
    one = protection(0xC0A8)
    (record,) = split(one.seal(content, 1 << 48))
    if other not in (content.type, TLS12_CID):
        with pytest.raises(Refused):
            one.open(record._replace(type=other))


def test_a_record_as_the_rfc_draws_it() -> None:
    """RFC 9146, 4: type 25, version, epoch, sequence number, the Connection ID, length, content."""
    sealed = protection(0xC0A8).seal(Content(APPLICATION_DATA, b"data"), 1 << 48 | 7, b"\xca\xfe")
    assert sealed[:15] == bytes.fromhex("19 fefd 0001 000000000007 cafe") + (8 + 5 + 8).to_bytes(2, "big")
    assert sealed[15:23] == bytes.fromhex("0001 000000000007"), "explicit nonce (RFC 6655, 3)"
    assert len(sealed) == 15 + 21


def test_additional_data_as_the_rfc_lists_it() -> None:
    """RFC 9146, 5.3; composed here by hand from its list."""
    one = protection(0x00A8)
    cid, position = b"\x01\x02\x03", 1 << 48 | 9
    (record,) = split(one.seal(Content(APPLICATION_DATA, b"payload"), position, cid, padding=2), 3)
    inner = b"payload" + bytes([APPLICATION_DATA]) + b"\0\0"
    aad = (
        b"\xff" * 8  # seq_num_placeholder
        + b"\x19"  # tls12_cid
        + b"\x03"  # cid_length
        + b"\x19"  # tls12_cid
        + b"\xfe\xfd"  # version
        + b"\x00\x01"  # epoch
        + (9).to_bytes(6, "big")  # sequence_number
        + cid
        + len(inner).to_bytes(2, "big")
    )
    nonce = SALT + record.fragment[:8]
    assert one.aead.decrypt(nonce, record.fragment[8:], aad) == inner


def test_nothing_but_padding_is_refused() -> None:
    one = protection(0xC0A8)
    (record,) = split(one.seal(Content(0, b""), 1 << 48, b"cid", padding=30), 3)
    with pytest.raises(Refused, match="padding"):
        one.open(record)


def test_content_that_is_too_long_is_refused() -> None:
    one = protection(0xC0A8)
    (record,) = split(one.seal(Content(ALERT, bytes(LARGEST_CONTENT + 1)), 1 << 48))
    with pytest.raises(Refused, match="more content"):
        one.open(record)
    (record,) = split(one.seal(Content(ALERT, bytes(LARGEST_CONTENT)), 1 << 48))
    assert len(one.open(record).data) == LARGEST_CONTENT


def test_a_record_longer_than_allowed_ends_the_datagram() -> None:
    record = b"\x17\xfe\xfd" + bytes(8) + (2**14 + 2049).to_bytes(2, "big") + bytes(2**14 + 2049)
    assert list(split(record)) == []
    shorter = b"\x17\xfe\xfd" + bytes(8) + (2**14 + 2048).to_bytes(2, "big") + bytes(2**14 + 2048)
    assert list(split(shorter)) == [Record(23, 0, b"", bytes(2**14 + 2048))]


# --- replay ---


@given(st.lists(st.integers(0, 200), max_size=150))
def test_the_window_agrees_with_remembering_everything(sequences: list[int]) -> None:
    window, seen = ReplayWindow(), set()
    for sequence in sequences:
        newest = max(seen, default=-1)
        new = sequence not in seen and sequence > newest - WINDOW
        assert window.is_new(sequence) is new
        if new:
            assert window.mark(sequence) is (sequence > newest)
            seen.add(sequence)


@pytest.mark.parametrize("jump", [1, WINDOW - 1, WINDOW, WINDOW + 1, LAST_SEQUENCE])
def test_the_window_slides_over_any_gap(jump: int) -> None:
    window = ReplayWindow()
    window.mark(0)
    assert window.mark(jump)
    assert not window.is_new(jump)
    assert not window.is_new(0)
    assert window.is_new(jump - 1) is (jump > 1)
    assert window.seen < 2**WINDOW


# --- keys ---


def test_keys_from_secrets() -> None:
    """``P_SHA256`` computed beside it with hashlib alone, from RFC 5246, section 5."""
    import hashlib

    def hmac(key: bytes, data: bytes) -> bytes:
        padded = key.ljust(64, b"\0")
        inner = hashlib.sha256(bytes(byte ^ 0x36 for byte in padded) + data).digest()
        return hashlib.sha256(bytes(byte ^ 0x5C for byte in padded) + inner).digest()

    secret, client, server = b"m" * 48, b"c" * 32, b"s" * 32
    seed = b"key expansion" + server + client
    first = hmac(secret, seed)
    second = hmac(secret, first)
    block = (hmac(secret, first + seed) + hmac(secret, second + seed))[:40]
    assert b"".join(key_block(SUITES[0xC0A8], secret, client, server)) == block
