"""``CompactSession``: an established DTLS session without the library that did its handshake."""

from __future__ import annotations

from struct import Struct
from struct import error as StructError
from typing import NamedTuple

import attrs

from lwm2m_server.coap.dtls.engine import Traffic
from lwm2m_server.coap.dtls.records import (
    LAST_SEQUENCE,
    TLS12_CID,
    WINDOW,
    Content,
    Exhausted,
    Protection,
    Record,
    Refused,
    ReplayWindow,
)
from lwm2m_server.coap.dtls.suites import SALT, SUITES, KeyBlock

EPOCH = 1
"""Of both directions after the first handshake; a renegotiation, which would count on, is refused."""
FIRST = EPOCH << 48
"""The position of the first protected record."""

_FIXED = Struct(">HQqQBB")
"""Suite, next position, window, and the lengths of both Connection IDs."""


class Opened(NamedTuple):
    """An authentic record that was not seen before."""

    type: int
    data: bytes
    is_newest: bool
    """Newer than all before it: only then its source may become the peer's address (RFC 9146, 6)."""


@attrs.define
class CompactSession:
    """The server's side: keys, sequence numbers, replay window and Connection IDs.

    ``cid`` is what the client puts into its records, ``peer_cid`` what goes into ours; both are empty
    without RFC 9146. ``suite`` is a key of ``SUITES``; ``position`` is epoch and number of the next
    record to send.
    """

    suite: int
    keys: KeyBlock = attrs.field(repr=False)
    cid: bytes = b""
    peer_cid: bytes = b""
    position: int = FIRST
    window: ReplayWindow = attrs.field(factory=ReplayWindow)
    _reads: Protection = attrs.field(init=False, repr=False, eq=False)
    _writes: Protection = attrs.field(init=False, repr=False, eq=False)

    def __attrs_post_init__(self) -> None:
        suite = SUITES[self.suite]
        self._reads = Protection.of(suite, self.keys.client_key, self.keys.client_salt)
        self._writes = Protection.of(suite, self.keys.server_key, self.keys.server_salt)

    @classmethod
    def of(cls, traffic: Traffic, cid: bytes) -> CompactSession:
        """What goes on where a library stopped; nothing older than the newest record is taken."""
        window = ReplayWindow(traffic.newest - FIRST, (1 << WINDOW) - 1)
        return cls(traffic.suite, traffic.keys, cid, traffic.peer_cid, traffic.position, window)

    def traffic(self) -> Traffic:
        """All of it but the Connection ID of the client's records."""
        return Traffic(self.suite, self.keys, self.position, FIRST + self.window.newest, self.peer_cid)

    def open(self, record: Record) -> Opened:
        """What the client sent; raises ``Refused``."""
        sequence = record.position - FIRST
        if not 0 <= sequence <= LAST_SEQUENCE:
            raise Refused("another epoch")
        # Without its Connection ID a record is as invalid as with a wrong one (RFC 9146, 4 and 5).
        if record.cid != self.cid or (record.type == TLS12_CID) is not bool(self.cid):
            raise Refused("another Connection ID")
        if not self.window.is_new(sequence):
            raise Refused("seen before, or too old to tell")
        content = self._reads.open(record)
        return Opened(content.type, content.data, self.window.mark(sequence))

    def seal(self, kind: int, data: bytes) -> bytes:
        """A record for the client; raises ``Exhausted`` when there is no number left for it."""
        position = self.position
        if position - FIRST > LAST_SEQUENCE:
            raise Exhausted("no sequence number is left")
        self.position = position + 1
        return self._writes.seal(Content(kind, data), position, self.peer_cid)

    def own(self, record: Record) -> Content:
        """What is in a record that the library sealed for the client; raises ``Refused``."""
        return self._writes.open(record)

    # --- across a restart ---

    def dump(self) -> bytes:
        """All of it, keys in clear: to be encrypted where it is kept."""
        window = self.window
        fixed = _FIXED.pack(
            self.suite, self.position, window.newest, window.seen, len(self.cid), len(self.peer_cid)
        )
        return b"".join((fixed, *self.keys, self.cid, self.peer_cid))

    @classmethod
    def load(cls, data: bytes) -> CompactSession:
        """What ``dump`` gave; raises ``ValueError``."""
        try:
            number, position, newest, seen, own, peers = _FIXED.unpack_from(data)
            key = SUITES[number].key
        except (KeyError, StructError) as error:
            raise ValueError("not a session") from error
        parts, at = [], _FIXED.size
        for length in (key, key, SALT, SALT, own, peers):
            parts.append(data[at : at + length])
            at += length
        if at != len(data):
            raise ValueError("not a session")
        return cls(number, KeyBlock(*parts[:4]), parts[4], parts[5], position, ReplayWindow(newest, seen))
