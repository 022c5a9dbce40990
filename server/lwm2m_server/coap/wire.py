"""CoAP messages as datagrams (RFC 7252, section 3): the codec both ends of the server's own code use."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple, TypeAlias

CON, NON, ACK, RST = range(4)
EMPTY = 0
VERSION = 1
MAX_TOKEN = 8
MAX_OPTION = 65535

Option: TypeAlias = tuple[int, bytes]


class Malformed(ValueError):
    """A datagram is no CoAP message.

    ``mid`` is the Message ID a Reset has to carry, or ``None`` where none may be sent (RFC 7252, 4.2
    and 4.3: only a Confirmable message of our version is rejected, everything else ignored).
    """

    def __init__(self, reason: str, mid: int | None = None) -> None:
        super().__init__(reason)
        self.mid = mid


class Message(NamedTuple):
    """One datagram. ``options`` are in order of their numbers, values as on the wire."""

    type: int
    code: int
    mid: int
    token: bytes = b""
    options: tuple[Option, ...] = ()
    payload: bytes = b""

    @property
    def is_request(self) -> bool:
        return 0 < self.code < 32

    @property
    def is_response(self) -> bool:
        return 64 <= self.code < 192


def reset(mid: int) -> bytes:
    """An empty Reset message."""
    return b"\x70\x00" + mid.to_bytes(2, "big")


def acknowledgement(mid: int) -> bytes:
    """An empty Acknowledgement."""
    return b"\x60\x00" + mid.to_bytes(2, "big")


def decode(data: bytes) -> Message:
    """Raises ``Malformed``."""
    if len(data) < 4 or data[0] >> 6 != VERSION:
        raise Malformed("not a CoAP message of version 1")
    kind, token_length = data[0] >> 4 & 3, data[0] & 15
    code, mid = data[1], data[2] << 8 | data[3]
    rejectable = mid if kind == CON else None
    if code == EMPTY and len(data) != 4:
        raise Malformed("an empty message with content", rejectable)
    at = 4 + token_length
    if token_length > MAX_TOKEN or at > len(data):
        raise Malformed("no such token length", rejectable)
    try:
        options, payload = _decode_options(data, at)
    except (IndexError, ValueError):
        raise Malformed("options or payload are cut off", rejectable) from None
    return tuple.__new__(Message, (kind, code, mid, data[4:at], options, payload))


def _decode_options(data: bytes, at: int) -> tuple[tuple[Option, ...], bytes]:
    options: list[Option] = []
    number, end = 0, len(data)
    while at < end:
        first = data[at]
        at += 1
        if first == 0xFF:
            if at == end:
                raise ValueError("payload marker without payload")
            return tuple(options), data[at:]
        delta, length = first >> 4, first & 15
        if delta > 12:
            delta, at = _extended(delta, data, at)
        if length > 12:
            length, at = _extended(length, data, at)
        number += delta
        if at + length > end or number > MAX_OPTION:
            raise ValueError("option beyond the end")
        options.append((number, data[at : at + length]))
        at += length
    return tuple(options), b""


def _extended(nibble: int, data: bytes, at: int) -> tuple[int, int]:
    if nibble == 13:
        return data[at] + 13, at + 1
    if nibble == 14:
        return (data[at] << 8 | data[at + 1]) + 269, at + 2
    raise ValueError("reserved nibble 15")


def encode(message: Message) -> bytes:
    """Options may come in any order; those with the same number keep theirs."""
    kind, code, mid, token, options, payload = message
    return assemble(kind, code, mid, token, encode_options(options), payload)


def assemble(kind: int, code: int, mid: int, token: bytes, options: bytes, payload: bytes) -> bytes:
    """A datagram whose options are encoded already."""
    head = bytes((VERSION << 6 | kind << 4 | len(token), code, mid >> 8, mid & 0xFF))
    if payload:
        return b"".join((head, token, options, b"\xff", payload))
    return head + token + options


def encode_options(options: Iterable[Option]) -> bytes:
    """In order of their numbers."""
    out = bytearray()
    previous = 0
    for number, value in sorted(options, key=_number):
        delta, more_delta = _nibble(number - previous)
        length, more_length = _nibble(len(value))
        out.append(delta << 4 | length)
        out += more_delta
        out += more_length
        out += value
        previous = number
    return bytes(out)


def _number(option: Option) -> int:
    return option[0]


def _nibble(value: int) -> tuple[int, bytes]:
    if value < 13:
        return value, b""
    if value < 269:
        return 13, bytes((value - 13,))
    return 14, (value - 269).to_bytes(2, "big")
