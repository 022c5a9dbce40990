"""The ClientHello a handshake begins with, as far as it matters before a library gets it (RFC 6347, 4.2)."""

from __future__ import annotations

from typing import NamedTuple

CLIENT_HELLO, HELLO_VERIFY_REQUEST = 1, 3
HEAD = 13 + 12
"""Bytes of the headers of a record and of a handshake message."""
RANDOM = 32
DTLS_1_0 = b"\xfe\xff"
"""The version in a HelloVerifyRequest, whatever will be agreed upon (RFC 6347, 4.2.1)."""


class ClientHello(NamedTuple):
    """One that came in a single fragment."""

    position: bytes
    """Epoch and sequence number of its record."""
    random: bytes
    cookie: bytes
    parameters: bytes
    """What the client must repeat unchanged when it comes back with a cookie: version, random, session id,
    cipher suites and compression methods."""
    extensions: bytes
    """The extension block without its length; empty if there is none."""


def is_client_hello(datagram: bytes) -> bool:
    """True for the beginning of a handshake, complete or not."""
    return len(datagram) > HEAD and datagram[0] == 22 and datagram[13] == CLIENT_HELLO


def parse(datagram: bytes) -> ClientHello | None:
    """``None`` for anything but a whole ClientHello in the first record of epoch 0."""
    if not is_client_hello(datagram) or datagram[1] != 0xFE or datagram[3:5] != b"\0\0":
        return None
    record, length = int.from_bytes(datagram[11:13], "big"), int.from_bytes(datagram[14:17], "big")
    is_whole = datagram[19:22] == b"\0\0\0" and datagram[22:25] == datagram[14:17]
    if not is_whole or record < 12 + length or len(datagram) < HEAD + length:
        return None
    return _body(datagram[3:11], datagram[HEAD : HEAD + length])


def _body(position: bytes, body: bytes) -> ClientHello | None:
    at, spans = 2 + RANDOM, []
    # session_id, cookie, cipher_suites, compression_methods: each behind its length
    for width in (1, 1, 2, 1):
        start = at + width
        at = start + int.from_bytes(body[at:start], "big")
        spans.append(slice(start - width, at))
        if at > len(body) or start > len(body):
            return None
    session, cookie, suites, compression = (body[span] for span in spans)
    extensions = body[at:]
    if extensions and int.from_bytes(extensions[:2], "big") != len(extensions) - 2:
        return None
    parameters = body[: 2 + RANDOM] + session + suites + compression
    return ClientHello(position, body[2 : 2 + RANDOM], cookie[1:], parameters, extensions[2:])
