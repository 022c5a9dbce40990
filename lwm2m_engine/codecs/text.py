"""text/plain (0): one value as a text (LwM2M Core 1.2, 7.4.2)."""

from __future__ import annotations

from collections.abc import Sequence

from lwm2m_engine.codecs.codec import Codec, Scope, outgoing_single, single_path
from lwm2m_engine.entries import Entry
from lwm2m_engine.errors import DecodeError, ValueRejected
from lwm2m_engine.formats import ContentFormat
from lwm2m_engine.values import ResourceType, from_text, show, to_text


def decode(payload: bytes, scope: Scope) -> list[Entry]:
    at = single_path(scope)
    kind = scope.types(at)
    try:
        text = payload.decode("utf-8")
        if scope.strict and kind is ResourceType.FLOAT and text.strip("+-").isdigit():
            raise DecodeError(f"{show(text)} is an integer where a Float is due", path=at)
        return [Entry(at, from_text(text, kind))]
    except UnicodeDecodeError as error:
        raise DecodeError("not UTF-8", offset=error.start, path=at) from None
    except ValueRejected as error:
        raise DecodeError(error.reason, path=at) from None


def encode(entries: Sequence[Entry], scope: Scope) -> bytes:
    _, value = outgoing_single(entries, scope)
    return to_text(value).encode("utf-8")


CODEC = Codec(ContentFormat.TEXT, decode, encode)
