"""The bytes of a value in TLV, by type (LwM2M Core 1.2, Appendix C)."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

from lwm2m_engine.codecs.codec import Types
from lwm2m_engine.errors import ValueRejected
from lwm2m_engine.paths import Path
from lwm2m_engine.values import ObjLink, ResourceType, Value

WHOLE = frozenset({ResourceType.INTEGER, ResourceType.UNSIGNED_INTEGER, ResourceType.TIME})
WIDTHS = (1, 2, 4, 8)
"""Bytes of a ``WHOLE`` value; other widths up to eight are read, too (devices send three)."""


def _string(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise ValueRejected("not UTF-8", value=data) from None


def _integer(data: bytes) -> int:
    unpack = _SIGNED.get(len(data))
    if unpack is not None:
        return unpack(data)[0]  # type: ignore[no-any-return]
    if 0 < len(data) <= 8:
        return int.from_bytes(data, "big", signed=True)
    raise ValueRejected(f"an Integer of {len(data)} bytes", value=data)


def _unsigned(data: bytes) -> int:
    if 0 < len(data) <= 8:
        return int.from_bytes(data, "big")
    raise ValueRejected(f"an Unsigned Integer of {len(data)} bytes", value=data)


def _float(data: bytes) -> float:
    if len(data) == 4:
        return _FLOAT.unpack(data)[0]  # type: ignore[no-any-return]
    if len(data) == 8:
        return _DOUBLE.unpack(data)[0]  # type: ignore[no-any-return]
    raise ValueRejected(f"a Float of {len(data)} bytes", value=data)


def _boolean(data: bytes) -> bool:
    if data in (b"\x00", b"\x01"):
        return data == b"\x01"
    raise ValueRejected("a Boolean is one byte, 0 or 1", value=data)


def _objlnk(data: bytes) -> ObjLink:
    if len(data) == 4:
        return ObjLink._make(_LINK.unpack(data))
    raise ValueRejected(f"an Objlnk of {len(data)} bytes", value=data)


def _opaque(data: bytes) -> bytes:
    return data


# Twice as fast as int.from_bytes with its keyword.
_SIGNED = {width: struct.Struct(code).unpack for width, code in ((1, ">b"), (2, ">h"), (4, ">i"), (8, ">q"))}
_FLOAT, _DOUBLE, _LINK = struct.Struct(">f"), struct.Struct(">d"), struct.Struct(">HH")

READERS: dict[ResourceType | None, Callable[[bytes], Value]] = {
    ResourceType.STRING: _string,
    ResourceType.CORELNK: _string,
    ResourceType.INTEGER: _integer,
    ResourceType.TIME: _integer,
    ResourceType.UNSIGNED_INTEGER: _unsigned,
    ResourceType.FLOAT: _float,
    ResourceType.BOOLEAN: _boolean,
    ResourceType.OBJLNK: _objlnk,
    ResourceType.OPAQUE: _opaque,
    # Without a model nothing says what the bytes mean.
    ResourceType.NONE: _opaque,
    None: _opaque,
}
"""By type, from bytes to value; each raises ``ValueRejected``."""


UNPACKERS: dict[tuple[ResourceType | None, int], Callable[[bytes, int], tuple[Any]]] = {
    (kind, size): struct.Struct(code).unpack_from
    for kinds, codes in (
        ((ResourceType.INTEGER, ResourceType.TIME), ">b >h >i >q"),
        ((ResourceType.UNSIGNED_INTEGER,), ">B >H >I >Q"),
        ((ResourceType.FLOAT,), ">f >d"),
    )
    for kind in kinds
    for code in codes.split()
    for size in (struct.calcsize(code),)
}
"""By type and length, from bytes and a position to the value alone in a tuple."""


def _packers(codes: str) -> list[Callable[[int], bytes]]:
    """What packs an integer of so many bits."""
    structs = [struct.Struct(f">{code}") for code in codes]
    spare = codes.islower()
    return [next(one.pack for one in structs if bits + spare <= one.size * 8) for bits in range(65 - spare)]


PACK_SIGNED, PACK_UNSIGNED = _packers("bhiq"), _packers("BHIQ")


def write(value: Value, types: Types, path: Path) -> bytes:
    """The shortest bytes that lose nothing; raises ``ValueRejected``."""
    class_ = value.__class__
    if class_ is str:
        return value.encode()  # type: ignore[union-attr]
    if class_ is int:
        if value < 0:  # type: ignore[operator]
            return PACK_SIGNED[(~value).bit_length()](value)  # type: ignore[operator, arg-type]
        bits = value.bit_length()  # type: ignore[union-attr]
        # Only here does the type show: 200 is one byte unsigned and two bytes signed.
        if bits and bits & 7 == 0 and (bits == 64 or types(path) is ResourceType.UNSIGNED_INTEGER):
            return PACK_UNSIGNED[bits](value)  # type: ignore[arg-type]
        return PACK_SIGNED[bits](value)  # type: ignore[arg-type]
    if class_ is float:
        if types(path) is ResourceType.TIME:
            raise ValueRejected(f"{value!r}: TLV carries whole seconds", value=value)
        return _write_float(value)  # type: ignore[arg-type]
    return WRITERS[class_](value)


def _write_float(value: float) -> bytes:
    try:
        short = _FLOAT.pack(value)
    except OverflowError:
        return _DOUBLE.pack(value)
    return short if _FLOAT.unpack(short)[0] == value or value != value else _DOUBLE.pack(value)


WRITERS: dict[type | None, Callable[[Any], bytes]] = {
    str: str.encode,
    float: _write_float,
    bytes: bytes,
    bool: lambda value: b"\x01" if value else b"\x00",
    ObjLink: lambda value: _LINK.pack(*value),
}
