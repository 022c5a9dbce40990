"""CoAP messages in a byte stream (RFC 8323, 3.2): no Message ID, no type, a length in front."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple

from lwm2m_server.coap import wire
from lwm2m_server.coap.wire import Message, Option

CSM, PING, PONG, RELEASE, ABORT = range(0xE1, 0xE6)
"""Signaling codes 7.01 to 7.05 (RFC 8323, 5)."""
MAX_MESSAGE_SIZE, BLOCK_WISE = 2, 4
"""Options of a CSM."""
CUSTODY: Final = 2
"""Option of Ping and Pong."""
BAD_CSM_OPTION: Final = 2
"""Option of Abort."""
OVERHEAD: Final = 128
"""Bytes a message may need besides its payload: header, token, and options as this server sends them."""

_EXTENSION = (*[0] * 13, 1, 2, 4)
"""Bytes of the extended length, by the length nibble."""
_BASE = (*[0] * 13, 13, 269, 65805)


class Frame(NamedTuple):
    """Where a message stands in a buffer: its first byte, its Code, and the first byte after it."""

    start: int
    code: int
    end: int

    @property
    def size(self) -> int:
        return self.end - self.start


def measure(data: bytes | bytearray, start: int) -> Frame | None:
    """The message that begins at ``start``, whether it is complete or not; ``None`` while nobody knows."""
    if start >= len(data):
        return None
    length, token = data[start] >> 4, data[start] & 15
    code = start + 1 + _EXTENSION[length]
    if code > len(data):
        return None
    if length > 12:
        length = _BASE[length] + int.from_bytes(data[start + 1 : code], "big")
    return Frame(start, code, code + 1 + token + length)


def decode(data: bytes | bytearray, frame: Frame) -> Message:
    """A complete message, as a Confirmable one: the stream is reliable. Raises ``wire.Malformed``.

    An Empty message has nothing that counts (3.4).
    """
    code = data[frame.code]
    if code == wire.EMPTY:
        return Message(wire.CON, wire.EMPTY, 0)
    # Behind the length it is what a datagram is behind its Message ID.
    head = bytes((wire.VERSION << 6 | data[frame.start] & 15, code, 0, 0))
    return wire.decode(head + data[frame.code + 1 : frame.end])


def encode(code: int, token: bytes = b"", options: Iterable[Option] = (), payload: bytes = b"") -> bytes:
    """A message as bytes of the stream."""
    behind = wire.encode(Message(wire.CON, code, 0, token, tuple(options), payload))[4:]
    length = len(behind) - len(token)
    if length < 13:
        head = bytes((length << 4 | len(token), code))
    elif length < 269:
        head = bytes((13 << 4 | len(token), length - 13, code))
    elif length < 65805:
        head = bytes((14 << 4 | len(token), *(length - 269).to_bytes(2, "big"), code))
    else:
        head = bytes((15 << 4 | len(token), *(length - 65805).to_bytes(4, "big"), code))
    return head + behind
