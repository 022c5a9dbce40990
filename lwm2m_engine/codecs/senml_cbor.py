"""application/senml+cbor (112), RFC 8428, section 6."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

from lwm2m_engine.codecs import cbor, senml
from lwm2m_engine.codecs.codec import Codec, Scope, changes, nothing
from lwm2m_engine.codecs.senml_everyday import Everyday
from lwm2m_engine.entries import Entry
from lwm2m_engine.errors import DecodeError, ValueRejected
from lwm2m_engine.formats import ContentFormat
from lwm2m_engine.paths import Path
from lwm2m_engine.values import ObjLink


def _read_data(field: object, strict: bool) -> bytes:
    if not isinstance(field, bytes):
        raise ValueRejected("data is not a byte string", value=field)
    return field


LABELS = senml.Labels(-2, -3, 0, 6, 2, 3, 4, 8, "vlo", _read_data)
_BASE_NAME, _BASE_TIME, _NAME = cbor.dump(-2), cbor.dump(-3), cbor.dump(0)
_NUMBER, _STRING, _BOOLEAN, _DATA, _LINK = (
    cbor.dump(2),
    cbor.dump(3),
    cbor.dump(4),
    cbor.dump(8),
    cbor.dump("vlo"),
)


_everyday = Everyday(LABELS)


def decode(payload: bytes, scope: Scope) -> list[Entry]:
    records = _pack(payload)
    everyday = _everyday.read(records, scope) if records else None
    return everyday or senml.resolve(records, LABELS, scope) or nothing(scope)


def decode_each(payload: bytes, scope_of: Callable[[str], Scope]) -> dict[str, list[Entry]]:
    return senml.resolve_each(_pack(payload), LABELS, scope_of)


def decode_paths(payload: bytes, scope: Scope) -> list[Path]:
    return senml.resolve_paths(_pack(payload), LABELS, scope)


def _pack(payload: bytes) -> list[Any]:
    pack = cbor.load(payload) if payload else []
    if not isinstance(pack, list):
        raise DecodeError("a SenML pack is an array", offset=0)
    return pack


def encode(entries: Sequence[Entry], scope: Scope) -> bytes:
    records = []
    for pack in senml.packs(changes(entries, scope), scope):
        shared, fields = _BASE_NAME + cbor.dump(pack.base), 2
        if pack.time is not None:
            shared, fields = shared + _BASE_TIME + cbor.dump(pack.time), 3
        for name, value in pack.members:
            if name:
                shared, fields = shared + _name(name), fields + 1
            label = _LABELS.get(value.__class__, _NUMBER)
            records.append(_MAPS[fields] + shared + label + cbor.dump(value))
            shared, fields = b"", 1
    return cbor.head(4, len(records)) + b"".join(records)


@lru_cache(maxsize=4096)
def _name(name: str) -> bytes:
    return _NAME + cbor.dump(name)


_MAPS = [cbor.head(5, fields) for fields in range(5)]
_LABELS = {str: _STRING, bool: _BOOLEAN, bytes: _DATA, ObjLink: _LINK}


def encode_paths(paths: Sequence[Path], scope: Scope) -> bytes:
    records = [b"\xa1" + _NAME + cbor.dump(scope.root + str(path)) for path in paths]
    return cbor.head(4, len(records)) + b"".join(records)


CODEC = Codec(ContentFormat.SENML_CBOR, decode, encode, decode_paths, encode_paths, decode_each)
