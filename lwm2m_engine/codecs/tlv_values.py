"""The bytes of a value in TLV, by type (LwM2M Core 1.2, Appendix C)."""

from __future__ import annotations

import struct
from collections.abc import Callable

from lwm2m_engine.errors import ValueRejected
from lwm2m_engine.values import INTEGER_RANGE, ObjLink, ResourceType, Value

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


_WIDTH_BY_BITS = [next(width for width in WIDTHS if bits <= width * 8) for bits in range(65)]


def write(value: Value, kind: ResourceType | None) -> bytes:
    """The shortest bytes that lose nothing; raises ``ValueRejected``."""
    if isinstance(value, str):
        return value.encode("utf-8")
    if isinstance(value, bytes):
        return value
    if isinstance(value, bool):
        return b"\x01" if value else b"\x00"
    if isinstance(value, ObjLink):
        return _LINK.pack(*value)
    if isinstance(value, float):
        return _write_float(value, kind)
    signed = kind is not ResourceType.UNSIGNED_INTEGER and value <= INTEGER_RANGE[1]
    width = _WIDTH_BY_BITS[(value if value >= 0 else ~value).bit_length() + signed]
    return value.to_bytes(width, "big", signed=signed)


def _write_float(value: float, kind: ResourceType | None) -> bytes:
    if kind is ResourceType.TIME:
        raise ValueRejected(f"{value!r}: TLV carries whole seconds", value=value)
    try:
        short = _FLOAT.pack(value)
    except OverflowError:
        return _DOUBLE.pack(value)
    return short if _FLOAT.unpack(short)[0] == value or value != value else _DOUBLE.pack(value)
