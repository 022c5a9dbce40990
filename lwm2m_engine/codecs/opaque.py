"""application/octet-stream (42): the bytes of one Opaque Resource (LwM2M Core 1.2, 7.4.3)."""

from __future__ import annotations

from collections.abc import Sequence

from lwm2m_engine.codecs.codec import Codec, Scope, incoming_single, outgoing_single
from lwm2m_engine.entries import Entry
from lwm2m_engine.errors import EncodeError
from lwm2m_engine.formats import ContentFormat


def decode(payload: bytes, scope: Scope) -> list[Entry]:
    return incoming_single(payload, scope)


def encode(entries: Sequence[Entry], scope: Scope) -> bytes:
    path, value = outgoing_single(entries, scope)
    if not isinstance(value, bytes):
        raise EncodeError("only Opaque values are bytes", path=path)
    return value


CODEC = Codec(ContentFormat.OPAQUE, decode, encode)
