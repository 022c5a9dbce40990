"""application/cbor (60), one value (LwM2M Core 1.2, 7.4.4); CBOR items for the other formats (RFC 8949)."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from functools import cache, partial
from typing import Any

from lwm2m_engine.codecs.codec import Codec, Scope, Whole, incoming_single, outgoing_single
from lwm2m_engine.entries import Entry
from lwm2m_engine.errors import DecodeError
from lwm2m_engine.formats import ContentFormat
from lwm2m_engine.values import ObjLink, ResourceType, Value

MAX_DEPTH = 12
"""Containers within containers; LwM2M CBOR, the deepest format, needs nine."""
_END = b"\x50\x9c\x1e\x8f\x3aend of item\xff"
_ENDED = _END[1:]


@cache
def _loads() -> Callable[[bytes], tuple[Any, Any]]:
    """Imported when first needed; an import statement is not free even when all is there."""
    import cbor2

    return partial(cbor2.loads, max_depth=MAX_DEPTH, allow_duplicate_keys=False, semantic_decoders=_TAGS)


def _errors() -> Any:
    import cbor2

    return cbor2


def load(payload: bytes) -> Any:
    """The one CBOR item a payload is; raises ``DecodeError`` for anything else.

    Tags: bignums, decimal fractions (to a number), and epoch times (to their number).
    """
    if not payload:
        raise DecodeError("an empty payload is no CBOR item", offset=0)
    try:
        # cbor2 does not say where it stopped. As the first of two elements, the second of which we
        # know, an item that is not the whole payload shows.
        item, end = _loads()(b"\x82" + payload + _END)
    except (ValueError, OverflowError, RecursionError, MemoryError, _errors().CBORDecodeError) as error:
        if isinstance(error, _errors().CBORDecodeEOF):
            raise DecodeError("the CBOR item is cut off", offset=len(payload)) from None
        raise DecodeError(f"not CBOR: {error.__cause__ or error}") from None
    if end.__class__ is not bytes or end != _ENDED:
        raise DecodeError("bytes follow the CBOR item")
    return item


def dump(value: Value | None) -> bytes:
    """The shortest CBOR item for a value that loses nothing; an Objlnk as text, ``None`` as null."""
    return DUMPS[value.__class__](value)


def head(major: int, argument: int) -> bytes:
    """The first bytes of an item: its major type and argument, in the shortest form."""
    major <<= 5
    if argument < 24:
        return _HEADS[major | argument]
    if argument < 0x100:
        return bytes((major | 24, argument))
    if argument < 0x10000:
        return struct.pack(">BH", major | 25, argument)
    if argument < 0x100000000:
        return struct.pack(">BI", major | 26, argument)
    return struct.pack(">BQ", major | 27, argument)


_HEADS = [bytes((first,)) for first in range(256)]


def _text(value: str) -> bytes:
    encoded = value.encode()
    length = len(encoded)
    return (_HEADS[0x60 | length] if length < 24 else head(3, length)) + encoded


def _bytes(value: bytes) -> bytes:
    return head(2, len(value)) + value


def _float(value: float) -> bytes:
    for first, width in ((b"\xf9", ">e"), (b"\xfa", ">f")):
        try:
            packed = struct.pack(width, value)
        except OverflowError:
            continue
        if struct.unpack(width, packed)[0] == value or value != value:
            return first + packed
    return b"\xfb" + struct.pack(">d", value)


DUMPS: dict[type | None, Callable[[Any], bytes]] = {
    str: _text,
    int: lambda value: head(0, value) if value >= 0 else head(1, -1 - value),
    bool: lambda value: b"\xf5" if value else b"\xf4",
    float: _float,
    bytes: _bytes,
    ObjLink: lambda value: dump(str(value)),
    type(None): lambda value: b"\xf6",
}
"""``dump`` by the class of the value."""


# --- tags (RFC 8949, 3.4) -----------------------------------------------------------------------------


def _epoch(seconds: object, _: bool) -> int | float:
    if isinstance(seconds, (int, float)) and not isinstance(seconds, bool):
        return seconds
    raise ValueError("an epoch time is a number")


def _decimal(parts: object, _: bool) -> int | float:
    match parts:
        case [int(exponent), int(mantissa)] if abs(exponent) <= 400 and abs(mantissa) < 2**128:
            # A device may write 100 as 1e2 or 10000e-2; an integer is to stay exact.
            if exponent >= 0:
                return Whole(mantissa * 10**exponent)
            whole, rest = divmod(mantissa, 10**-exponent)
            return Whole(whole) if rest == 0 else float(f"{mantissa}e{exponent}")
    raise ValueError("not a decimal fraction of usable size")


def _refuse(item: object, _: bool) -> object:
    raise ValueError("tag not allowed")


_TAGS: dict[int, Callable[[Any, bool], Any]] = {
    1: _epoch,
    4: _decimal,
    # What cbor2 would turn into dates, fractions, shared references, patterns, addresses and sets.
    **dict.fromkeys((0, 5, 25, 28, 29, 30, 35, 36, 37, 100, 256, 258, 260, 261, 1004, 43000, 55799), _refuse),
}


# --- the format ---------------------------------------------------------------------------------------


def decode(payload: bytes, scope: Scope) -> list[Entry]:
    return incoming_single(load(payload), scope)


def encode(entries: Sequence[Entry], scope: Scope) -> bytes:
    path, value = outgoing_single(entries, scope)
    item = dump(value)
    # LwM2M Core 1.2, 7.4.4: a Time is an epoch-based date/time.
    return b"\xc1" + item if scope.types(path) is ResourceType.TIME else item


CODEC = Codec(ContentFormat.CBOR, decode, encode)
