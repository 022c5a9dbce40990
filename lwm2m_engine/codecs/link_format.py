"""application/link-format (40) as the value of a Corelnk Resource.

Everywhere else link-format says what a device *has*, not what it measures: the answers to Discover and
the object lists of Register and Update are read by ``lwm2m_engine.links``.
"""

from __future__ import annotations

from collections.abc import Sequence

from lwm2m_engine.codecs import text
from lwm2m_engine.codecs.codec import Codec, Scope, outgoing_single
from lwm2m_engine.entries import Entry
from lwm2m_engine.errors import DecodeError, EncodeError
from lwm2m_engine.formats import ContentFormat
from lwm2m_engine.values import ResourceType


def decode(payload: bytes, scope: Scope) -> list[Entry]:
    if len(scope.at) < 3:
        raise DecodeError("links describe a device and carry no values", path=scope.at)
    entries = text.decode(payload, scope)
    if scope.types(scope.at) not in (ResourceType.CORELNK, None):
        raise DecodeError("only Corelnk values are links", path=scope.at)
    return entries


def encode(entries: Sequence[Entry], scope: Scope) -> bytes:
    path, value = outgoing_single(entries, scope)
    if not isinstance(value, str) or scope.types(path) not in (ResourceType.CORELNK, None):
        raise EncodeError("only Corelnk values are links", path=path)
    return value.encode("utf-8")


CODEC = Codec(ContentFormat.LINK_FORMAT, decode, encode)
