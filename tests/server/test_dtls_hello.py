"""Cookies: what is said to strangers, and what it takes to be one no more."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lwm2m_server.coap.dtls.cookies import PERIOD, Cookies
from lwm2m_server.coap.dtls.hello import ClientHello, is_client_hello, parse

HERE, THERE = ("192.0.2.1", 5000), ("192.0.2.1", 5001)
HELLO = bytes.fromhex(
    "16feff0000000000000007007d010000710000000000000071fefd864ca528e30042057beb51e3a68343cb70a74f0bee72f0"
    "d2b9de6acef7fafd9700000002c0a801000045ff01000100002300000016000000170000000d0030002e0403050306030807"
    "08080809080a080b080408050806040105010601030302030301020103020202040205020602"
)
"""What OpenSSL 4.0 begins with, one suite offered."""


def _hello() -> ClientHello:
    hello = parse(HELLO)
    assert hello is not None
    return hello


def _with_cookie(hello: ClientHello, datagram: bytes) -> ClientHello:
    return hello._replace(cookie=datagram[-datagram[27] :])


def test_a_hello_is_taken_apart() -> None:
    hello = _hello()
    assert hello.position == bytes(7) + b"\x07"
    assert hello.random == HELLO[27:59]
    assert hello.cookie == b""
    assert hello.parameters == HELLO[25:59] + b"\x00\x00\x02\xc0\xa8\x01\x00"
    assert len(hello.extensions) == 0x45


@given(st.integers(0, len(HELLO) - 1))
def test_a_part_of_a_hello_is_none(length: int) -> None:
    assert parse(HELLO[:length]) is None


@given(st.integers(0, len(HELLO) - 1), st.integers(0, 255))
def test_whatever_a_byte_is_changed_into_nothing_breaks(position: int, value: int) -> None:
    data = bytearray(HELLO)
    data[position] = value
    hello = parse(bytes(data))
    assert hello is None or len(hello.random) == 32


@given(st.binary(max_size=200))
def test_noise_is_no_hello(data: bytes) -> None:
    assert parse(data) is None or is_client_hello(data)


def test_a_fragment_of_a_hello_is_not_taken() -> None:
    """What comes in pieces would have to be kept before the cookie."""
    data = bytearray(HELLO)
    data[14:17] = (0x171).to_bytes(3, "big")
    assert parse(bytes(data)) is None


def test_the_request_is_smaller_than_the_hello_and_repeats_its_number() -> None:
    datagram = Cookies().request(_hello(), HERE, 0.0)
    assert len(datagram) < len(HELLO)
    assert datagram[:3] == b"\x16\xfe\xff"
    assert datagram[3:11] == HELLO[3:11]
    assert datagram[13] == 3
    assert len(datagram) == 13 + int.from_bytes(datagram[11:13], "big")


def test_a_cookie_is_good_for_its_address_and_hello_and_not_for_long() -> None:
    cookies, hello, now = Cookies(), _hello(), 5 * PERIOD
    brought = _with_cookie(hello, cookies.request(hello, HERE, now))
    assert cookies.are_good(brought, HERE, now)
    assert cookies.are_good(brought, HERE, now + PERIOD)
    assert not cookies.are_good(brought, HERE, now + 2 * PERIOD)
    assert not cookies.are_good(brought, HERE, now + 256 * PERIOD)
    assert not cookies.are_good(brought, THERE, now)
    assert not cookies.are_good(brought._replace(parameters=hello.parameters + b"x"), HERE, now)
    assert not Cookies().are_good(brought, HERE, now)
    assert not cookies.are_good(hello, HERE, now)


@pytest.mark.parametrize("length", [0, 1, 15, 17, 255])
def test_a_cookie_of_another_length_is_not_good(length: int) -> None:
    assert not Cookies().are_good(_hello()._replace(cookie=bytes(length)), HERE, 0.0)
