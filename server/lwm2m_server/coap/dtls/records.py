"""DTLS 1.2 records (RFC 6347, 4.1), with and without a Connection ID (RFC 9146): pure functions."""

from __future__ import annotations

from collections.abc import Iterator
from struct import Struct
from typing import NamedTuple

import attrs
from cryptography.exceptions import InvalidTag

from lwm2m_server.coap.dtls.suites import SALT, Aead, Suite

CHANGE_CIPHER_SPEC, ALERT, HANDSHAKE, APPLICATION_DATA = 20, 21, 22, 23
TLS12_CID = 25
"""The type on the outside of a record with a Connection ID; its real one is encrypted."""
VERSION = 0xFEFD
LARGEST_CONTENT = 2**14
LARGEST_FRAGMENT = LARGEST_CONTENT + 2048
LAST_SEQUENCE = 2**48 - 1
"""Sequence numbers must not wrap (RFC 6347, 4.1)."""
NONCE = 8
"""Bytes of the explicit part of a nonce."""
WINDOW = 64
"""How far behind the newest record an older one is still taken."""

_PLACEHOLDER = b"\xff" * 8
_HEAD = Struct(">BHQ")
"""Type, version, epoch and sequence number: what records of both forms begin with."""
_LENGTH = Struct(">H")
_AAD = Struct(">QBHH")
_CID_AAD = Struct(">8sBBBHQ")


class Refused(ValueError):
    """A record is to be dropped without an answer (RFC 6347, 4.1.2.7)."""


class Exhausted(Exception):
    """All sequence numbers of an epoch are used up: only a new handshake can go on."""


class Record(NamedTuple):
    """One record as it was received. ``position`` is epoch and sequence number, 16 and 48 bits."""

    type: int
    position: int
    cid: bytes
    fragment: bytes

    def encode(self) -> bytes:
        """As it was on the wire."""
        head = _HEAD.pack(self.type, VERSION, self.position) + self.cid
        return head + _LENGTH.pack(len(self.fragment)) + self.fragment

    @property
    def epoch(self) -> int:
        return self.position >> 48

    @property
    def sequence(self) -> int:
        return self.position & LAST_SEQUENCE


class Content(NamedTuple):
    """What a record protected."""

    type: int
    data: bytes


def cleave(datagram: bytes) -> tuple[bytes, bytes]:
    """The records of epoch 0 that a datagram begins with, and whatever follows them."""
    at = 0
    while at + 13 <= len(datagram) and datagram[at + 3 : at + 5] == b"\0\0":
        at += 13 + int.from_bytes(datagram[at + 11 : at + 13], "big")
    return datagram[:at], datagram[at:]


def split(datagram: bytes, cid_length: int = 0) -> Iterator[Record]:
    """The records of a datagram, up to the first that is none: what follows it cannot be found.

    ``cid_length`` is that of the Connection IDs the receiver gave out (RFC 9146, 4).
    """
    at, end = 0, len(datagram)
    while at + 13 <= end:
        kind, version, position = _HEAD.unpack_from(datagram, at)
        body = at + 11 + (cid_length if kind == TLS12_CID else 0)
        if version != VERSION or body + 2 > end:
            return
        (length,) = _LENGTH.unpack_from(datagram, body)
        cid = datagram[at + 11 : body]
        at = body + 2 + length
        if length > LARGEST_FRAGMENT or at > end:
            return
        yield Record(kind, position, cid, datagram[body + 2 : at])


@attrs.frozen
class Protection:
    """Seals and opens the records of one direction with an AEAD suite (RFC 5246, 6.2.3.3)."""

    aead: Aead = attrs.field(repr=False)
    salt: bytes = attrs.field(repr=False)
    tag: int

    @classmethod
    def of(cls, suite: Suite, key: bytes, salt: bytes) -> Protection:
        """With the key and the implicit part of the nonce of this direction."""
        if len(salt) != SALT:
            raise ValueError(f"the implicit part of a nonce has {SALT} bytes, not {len(salt)}")
        return cls(suite.aead(key), salt, suite.tag)

    def seal(self, content: Content, position: int, cid: bytes = b"", padding: int = 0) -> bytes:
        """A record. With a Connection ID of the peer's its type is encrypted, and zeros may follow it."""
        kind, data = content
        if cid:
            data = b"%b%c%b" % (data, kind, bytes(padding))
            head = _HEAD.pack(TLS12_CID, VERSION, position) + cid
            aad = _cid_aad(position, cid, len(data))
        else:
            head = _HEAD.pack(kind, VERSION, position)
            aad = _AAD.pack(position, kind, VERSION, len(data))
        nonce = position.to_bytes(NONCE, "big")
        sealed = self.aead.encrypt(self.salt + nonce, data, aad)
        return b"".join((head, _LENGTH.pack(NONCE + len(sealed)), nonce, sealed))

    def open(self, record: Record) -> Content:
        """What is in it; raises ``Refused`` unless it is authentic."""
        kind, position, cid, fragment = record
        length = len(fragment) - NONCE - self.tag
        if length < 0:
            raise Refused("a fragment shorter than what protects it")
        if kind == TLS12_CID:
            aad = _cid_aad(position, cid, length)
        else:
            aad = _AAD.pack(position, kind, VERSION, length)
        try:
            data = self.aead.decrypt(self.salt + fragment[:NONCE], fragment[NONCE:], aad)
        except InvalidTag:
            raise Refused("not authentic") from None
        return _unpadded(data) if kind == TLS12_CID else _bounded(kind, data)


def _cid_aad(position: int, cid: bytes, length: int) -> bytes:
    """RFC 9146, 5.3."""
    head = _CID_AAD.pack(_PLACEHOLDER, TLS12_CID, len(cid), TLS12_CID, VERSION, position)
    return head + cid + _LENGTH.pack(length)


def _unpadded(inner: bytes) -> Content:
    """``DTLSInnerPlaintext``: content, its type, and any number of zeros (RFC 9146, 4)."""
    content = inner.rstrip(b"\0")
    if not content:
        raise Refused("nothing but padding")
    return _bounded(content[-1], content[:-1])


def _bounded(kind: int, data: bytes) -> Content:
    if len(data) > LARGEST_CONTENT:
        raise Refused("more content than a record may have")
    return Content(kind, data)


@attrs.define
class ReplayWindow:
    """Which sequence numbers of an epoch were seen (RFC 6347, 4.1.2.6).

    Ask ``is_new`` before a record is opened, and ``mark`` it only after it proved authentic.
    """

    newest: int = -1
    seen: int = 0
    """Bit n stands for the record n before the newest."""

    def is_new(self, sequence: int) -> bool:
        behind = self.newest - sequence
        return behind < 0 or (behind < WINDOW and not self.seen >> behind & 1)

    def mark(self, sequence: int) -> bool:
        """True if the record is newer than all before it."""
        ahead = sequence - self.newest
        if ahead <= 0:
            self.seen |= 1 << -ahead
            return False
        # A shift by more than the window would make a number of any size, only to cut it off again.
        self.seen = (self.seen << min(ahead, WINDOW) | 1) & (1 << WINDOW) - 1
        self.newest = sequence
        return True
