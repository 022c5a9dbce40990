"""Data types of LwM2M Resources and the Python values that stand for them (LwM2M Core 1.2, Appendix C).

========================  ==========================================================
LwM2M type                Python value
========================  ==========================================================
String, Corelnk           ``str``
Integer                   ``int``, -2^63 … 2^63-1
Unsigned Integer          ``int``, 0 … 2^64-1
Float                     ``float``
Boolean                   ``bool``
Opaque                    ``bytes``
Time                      ``int`` seconds since 1970-01-01 UTC (``float`` if fractional)
Objlnk                    ``ObjLink``
========================  ==========================================================
"""

from __future__ import annotations

import binascii
import math
from enum import Enum
from typing import NamedTuple, TypeAlias

from lwm2m_engine.errors import ValueRejected
from lwm2m_engine.paths import MAX_ID


class ObjLink(NamedTuple):
    """A reference to an Object Instance, written ``object:instance``; ``65535:65535`` is the null link."""

    object: int
    instance: int

    @classmethod
    def parse(cls, text: str) -> ObjLink:
        """From ``"3:0"``; raises ``ValueRejected``."""
        first, colon, second = text.partition(":")
        if colon and all(part.isascii() and part.isdigit() and len(part) <= 5 for part in (first, second)):
            link = cls(int(first), int(second))
            if link.object <= MAX_ID and link.instance <= MAX_ID:
                return link
        raise ValueRejected(f"{text!r} is not an object link such as 3:0", value=text)

    def __str__(self) -> str:
        return f"{self.object}:{self.instance}"


Value: TypeAlias = bool | int | float | str | bytes | ObjLink


class ResourceType(Enum):
    """The type names of the LwM2M object schema; ``NONE`` is the empty type of executable Resources."""

    STRING = "String"
    INTEGER = "Integer"
    UNSIGNED_INTEGER = "Unsigned Integer"
    FLOAT = "Float"
    BOOLEAN = "Boolean"
    OPAQUE = "Opaque"
    TIME = "Time"
    OBJLNK = "Objlnk"
    CORELNK = "Corelnk"
    NONE = ""

    # Members are singletons. Enum hashes their names in Python, which the codecs would pay per value.
    __hash__ = object.__hash__


INTEGER_RANGE = (-(2**63), 2**63 - 1)
UNSIGNED_RANGE = (0, 2**64 - 1)
TRUE_WORDS = frozenset({"1", "true"})
FALSE_WORDS = frozenset({"0", "false"})


def type_of(value: Value) -> ResourceType:
    """The type a value has without a model."""
    if isinstance(value, bool):
        return ResourceType.BOOLEAN
    if isinstance(value, int):
        return ResourceType.INTEGER if value <= INTEGER_RANGE[1] else ResourceType.UNSIGNED_INTEGER
    if isinstance(value, float):
        return ResourceType.FLOAT
    if isinstance(value, str):
        return ResourceType.STRING
    if isinstance(value, ObjLink):
        return ResourceType.OBJLNK
    return ResourceType.OPAQUE


PLAIN: dict[ResourceType | None, type] = {
    ResourceType.STRING: str,
    ResourceType.CORELNK: str,
    ResourceType.INTEGER: int,
    ResourceType.TIME: int,
    ResourceType.FLOAT: float,
    ResourceType.BOOLEAN: bool,
    ResourceType.OPAQUE: bytes,
    ResourceType.OBJLNK: ObjLink,
}
"""The class of which ``coerce`` hands values back as they are (integers: within ``INTEGER_RANGE``).

For loops to which a call per value matters.
"""


def coerce(value: object, kind: ResourceType | None) -> Value:
    """``value`` as the type ``kind`` wants it, exactly; raises ``ValueRejected`` when it would change.

    Accepts what typed sources (SenML, CBOR, JSON) hand over for a type: an integral float for an
    Integer, an integer for a Float, the text ``"3:0"`` for an Objlnk. ``kind=None`` (no model) keeps
    any LwM2M value.
    """
    if value.__class__ not in _EXACT:
        value = _exact(value)
    if kind is None or kind is ResourceType.NONE:
        return _untyped(value)
    result = _COERCIONS[kind](value)
    if result is None:
        raise ValueRejected(f"{show(value)} is not {_ARTICLE[kind]}", value=value)
    return result


def from_text(text: str, kind: ResourceType | None) -> Value:
    """The value a text stands for (LwM2M Core 1.2, 7.4.2, text/plain); raises ``ValueRejected``."""
    if kind is ResourceType.OPAQUE:
        return from_base64(text)
    if kind is ResourceType.BOOLEAN:
        word = text.strip().lower()
        if word in TRUE_WORDS or word in FALSE_WORDS:
            return word in TRUE_WORDS
        raise ValueRejected(f"{show(text)} is not a Boolean (0, 1, true, false)", value=text)
    if kind in (ResourceType.INTEGER, ResourceType.UNSIGNED_INTEGER, ResourceType.TIME):
        return coerce(_integer_text(text, kind), kind)
    if kind is ResourceType.FLOAT:
        return _float_text(text)
    return coerce(text, kind)


def to_text(value: Value) -> str:
    """The inverse of ``from_text``: Opaque as base64, Boolean as 0 or 1, Objlnk as ``3:0``."""
    if isinstance(value, bool):
        return "1" if value else "0"
    if isinstance(value, bytes):
        return binascii.b2a_base64(value, newline=False).decode("ascii")
    return str(value)


def from_base64(text: str) -> bytes:
    """Base64 in either alphabet, padded or not (RFC 4648, 4 and 5); raises ``ValueRejected``.

    Real clients send all four spellings. Tails with stray bits are refused: two texts must not
    stand for the same bytes by accident.
    """
    end = len(text.rstrip("="))
    padding = len(text) - end
    if padding > 2 or (padding and len(text) % 4) or "=" in text[:end]:
        raise ValueRejected(f"{show(text)} is not base64", value=text)
    try:
        data = b"".join([_decoded(text[start : start + _PIECE]) for start in range(0, end, _PIECE)])
    except ValueError:
        raise ValueRejected(f"{show(text)} is not base64", value=text) from None
    last = len(data) % 3
    if last:
        tail = text[end - last - 1 : end].translate(_PLAIN_ALPHABET)
        if binascii.b2a_base64(data[-last:])[: last + 1] != tail.encode():
            raise ValueRejected(f"{show(text)} is not canonical base64", value=text)
    return data


_PIECE = 2**16
"""Characters decoded at a time, whole groups of four: firmware comes this way, and copies of it are large."""
_PLAIN_ALPHABET = str.maketrans("-_", "+/")


def _decoded(piece: str) -> bytes:
    if "-" in piece or "_" in piece:
        piece = piece.translate(_PLAIN_ALPHABET)
    return binascii.a2b_base64(piece + "=" * (-len(piece) % 4), strict_mode=True)


_EXACT = frozenset({bool, int, float, str, bytes, ObjLink})


def _exact(value: object) -> object:
    """Members of an IntEnum and the like as the plain values they are: codecs go by the class."""
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, int):
        return int.__int__(value)
    return float.__float__(value) if isinstance(value, float) else value


def _untyped(value: object) -> Value:
    if isinstance(value, int) and not INTEGER_RANGE[0] <= value <= UNSIGNED_RANGE[1]:
        raise ValueRejected(f"{show(value)} has more than 64 bits", value=value)
    if isinstance(value, (int, float, str, bytes, ObjLink)):
        return value
    raise ValueRejected(f"{type(value).__name__} is no LwM2M value", value=value)


# --- one small function per type: the exact value, or None -----------------------------------------


def _string(value: object) -> Value | None:
    return value if isinstance(value, str) else None


def _integer(value: object) -> int | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**63:
        value = int(value)
    if isinstance(value, int) and INTEGER_RANGE[0] <= value <= INTEGER_RANGE[1]:
        return value
    return None


def _unsigned(value: object) -> int | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**64:
        value = int(value)
    if isinstance(value, int) and UNSIGNED_RANGE[0] <= value <= UNSIGNED_RANGE[1]:
        return value
    return None


def _float(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        return float(value)
    except OverflowError:
        return None


def _boolean(value: object) -> bool | None:
    if isinstance(value, bool):
        return value
    # Some clients write Booleans as the numbers 0 and 1.
    if isinstance(value, (int, float)) and value in (0, 1):
        return bool(value)
    return None


def _opaque(value: object) -> Value | None:
    return bytes(value) if isinstance(value, (bytes, bytearray, memoryview)) else None


def _time(value: object) -> int | float | None:
    if isinstance(value, float) and not value.is_integer():
        return value if math.isfinite(value) else None
    return _integer(value)


def _objlnk(value: object) -> ObjLink | None:
    if isinstance(value, ObjLink):
        return value
    return ObjLink.parse(value) if isinstance(value, str) else None


_COERCIONS = {
    ResourceType.STRING: _string,
    ResourceType.CORELNK: _string,
    ResourceType.INTEGER: _integer,
    ResourceType.UNSIGNED_INTEGER: _unsigned,
    ResourceType.FLOAT: _float,
    ResourceType.BOOLEAN: _boolean,
    ResourceType.OPAQUE: _opaque,
    ResourceType.TIME: _time,
    ResourceType.OBJLNK: _objlnk,
}
_ARTICLE = {
    ResourceType.STRING: "a String",
    ResourceType.CORELNK: "a Corelnk",
    ResourceType.INTEGER: "an Integer of 64 bits",
    ResourceType.UNSIGNED_INTEGER: "an Unsigned Integer of 64 bits",
    ResourceType.FLOAT: "a Float",
    ResourceType.BOOLEAN: "a Boolean",
    ResourceType.OPAQUE: "Opaque bytes",
    ResourceType.TIME: "a Time in seconds",
    ResourceType.OBJLNK: "an object link such as 3:0",
}


def _integer_text(text: str, kind: ResourceType) -> int | float:
    stripped = text.strip()
    digits = stripped[1:] if stripped[:1] in "+-" else stripped
    # 20 digits hold 2^64-1; a bound keeps int() linear for hostile input.
    if digits.isascii() and digits.isdigit() and len(digits) <= 20:
        return int(stripped)
    number = _float_text(text)
    if 2**53 <= abs(number) < 2**64:
        # A float no longer tells neighbours apart: 1152921504606846977.0. Hardly any text needs this.
        from decimal import Decimal

        exact = Decimal(stripped)
        if exact == exact.to_integral_value():
            return int(exact)
    if number.is_integer() or kind is ResourceType.TIME:
        return number
    raise ValueRejected(f"{show(text)} is not {_ARTICLE[kind]}", value=text)


def _float_text(text: str) -> float:
    stripped = text.strip()
    try:
        if len(stripped) > 64 or "_" in stripped or not stripped.isascii():
            raise ValueError
        return float(stripped)
    except ValueError:
        raise ValueRejected(f"{show(text)} is not a number", value=text) from None


def show(value: object) -> str:
    # Python refuses to print integers of thousands of digits.
    text = "a huge integer" if isinstance(value, int) and value.bit_length() > 256 else repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
