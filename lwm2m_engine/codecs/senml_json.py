"""application/senml+json (110), RFC 8428, section 5; also the JSON reading and writing LwM2M JSON shares."""

from __future__ import annotations

import binascii
import json
import json.encoder
import math
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

from lwm2m_engine.codecs import senml
from lwm2m_engine.codecs.codec import Codec, Scope, Whole, changes, nothing
from lwm2m_engine.entries import Entry
from lwm2m_engine.errors import DecodeError, EncodeError, ValueRejected
from lwm2m_engine.formats import ContentFormat
from lwm2m_engine.paths import Path
from lwm2m_engine.values import INTEGER_RANGE, UNSIGNED_RANGE, ObjLink, from_base64


def load(payload: bytes, *, strict: bool) -> Any:
    """The one JSON value a payload is; raises ``DecodeError``. Numbers keep all their digits."""
    try:
        text = payload.decode("utf-8").strip(_BLANK)
        value, end = _DECODER.raw_decode(text)
        if not _has_no_repeats(value, text):
            value, end = _STRICT_DECODER.raw_decode(text)
        if "\\u" in text:
            # An escape can name half a surrogate pair, which is no character and cannot be stored.
            _ENCODER.encode(value).encode("utf-8")
    except UnicodeDecodeError as error:
        raise DecodeError("not UTF-8", offset=error.start) from None
    except UnicodeEncodeError as error:
        raise DecodeError(f"half a surrogate pair, {error.object[error.start]!r}, is no character") from None
    except json.JSONDecodeError as error:
        raise DecodeError(f"not JSON: {error.msg}", offset=_offset(payload, error.pos)) from None
    except (ValueError, RecursionError) as error:
        raise DecodeError(f"not JSON: {error}") from None
    # A stray comma after the pack is known from a device.
    if end != len(text) and (strict or text[end:].strip(_BLANK) != ","):
        raise DecodeError("text follows the JSON value", offset=_offset(payload, end))
    return value


def assemble(parts: list[str]) -> bytes:
    """The payload of some pieces of JSON, which are used up: one of them may be large."""
    text = "".join(parts)
    parts.clear()
    return text.encode()


quoted = json.encoder.encode_basestring
"""A text as JSON in UTF-8."""


def number(value: float) -> str:
    """A number as JSON; raises ``EncodeError`` for NaN and infinities."""
    if not math.isfinite(value):
        raise EncodeError(f"JSON has no such value: {value}")
    return repr(value)


_BLANK = " \t\r\n"


def _offset(payload: bytes, position: int) -> int:
    """Bytes before a character of the stripped text."""
    text = payload.decode("utf-8")
    leading = len(text) - len(text.lstrip(_BLANK))
    return len(text[: leading + position].encode("utf-8"))


def _number(text: str) -> int | float:
    """A JSON number with a point or an exponent; integers written so stay exact."""
    number = float(text)
    if abs(number) < 2**53:
        return number
    if abs(number) == float("inf"):
        raise ValueError(f"{text[:40]} is out of range")
    if not INTEGER_RANGE[0] <= number < UNSIGNED_RANGE[1]:
        return number
    exact = Decimal(text)
    return Whole(exact) if exact == exact.to_integral_value() else number


def _constant(text: str) -> object:
    raise ValueError(f"{text} is no JSON number")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise ValueError("a field stands twice in a record")
    return fields


def _has_no_repeats(value: object, text: str) -> bool:
    """True where the fields of the records are all the fields there are: none was replaced by another.

    A quotation mark before a colon ends a field name, or stands in a text, so there are at least as many
    of these as fields, unless blanks come between. ``_unique``, which sees each record, is sure and slow.
    """
    records, fields = value, 0
    if isinstance(value, dict):
        records, fields = value.get("e"), len(value)
    if not isinstance(records, list) or any(spaced in text for spaced in _SPACED):
        return False
    try:
        return text.count('":') == fields + sum(map(len, records))
    except TypeError:
        return False


_SPACED = [f"{blank}:" for blank in _BLANK]
_DECODER = json.JSONDecoder(parse_float=_number, parse_constant=_constant)
_STRICT_DECODER = json.JSONDecoder(parse_float=_number, parse_constant=_constant, object_pairs_hook=_unique)
_ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))


# --- the format ---------------------------------------------------------------------------------------


def _read_data(field: object, strict: bool) -> bytes:
    if not isinstance(field, str):
        raise ValueRejected("data is not a text", value=field)
    data = from_base64(field)
    if strict and any(letter in field for letter in "+/="):
        raise ValueRejected("data is not base64url without padding", value=field)
    return data


LABELS = senml.Labels("bn", "bt", "n", "t", "v", "vs", "vb", "vd", "vlo", _read_data)


def decode(payload: bytes, scope: Scope) -> list[Entry]:
    return senml.resolve(_pack(payload, scope), LABELS, scope) or nothing(scope)


def decode_each(payload: bytes, scope_of: Callable[[str], Scope]) -> dict[str, list[Entry]]:
    return senml.resolve_each(_pack(payload, scope_of("")), LABELS, scope_of)


def decode_paths(payload: bytes, scope: Scope) -> list[Path]:
    return senml.resolve_paths(_pack(payload, scope), LABELS, scope)


def _pack(payload: bytes, scope: Scope) -> list[Any]:
    pack = load(payload, strict=scope.strict) if payload else []
    if not isinstance(pack, list):
        raise DecodeError("a SenML pack is an array", offset=0)
    return pack


def encode(entries: Sequence[Entry], scope: Scope) -> bytes:
    parts, opening = [], "[{"
    for pack in senml.packs(changes(entries, scope), scope):
        shared = f'"bn":{quoted(pack.base)},'
        if pack.time is not None:
            shared += f'"bt":{number(pack.time)},'
        for name, value in pack.members:
            if name:
                shared += f'"n":"{name}",'
            class_ = value.__class__
            if class_ is int:
                parts.append(f'{opening}{shared}"v":{value}}}')
            else:
                parts.append(f"{opening}{shared}{_FIELDS[class_](value)}}}")
            opening, shared = ",{", ""
    parts.append("]" if parts else "[]")
    return assemble(parts)


def _data_field(value: bytes) -> str:
    text = binascii.b2a_base64(value, newline=False).translate(_URL_ALPHABET, b"=").decode("ascii")
    return f'"vd":"{text}"'


_URL_ALPHABET = bytes.maketrans(b"+/", b"-_")
_FIELDS: dict[type, Callable[[Any], str]] = {
    str: lambda value: f'"vs":{quoted(value)}',
    bool: lambda value: '"vb":true' if value else '"vb":false',
    float: lambda value: f'"v":{number(value)}',
    bytes: _data_field,
    ObjLink: lambda value: f'"vlo":"{value}"',
    type(None): lambda value: '"v":null',
}


def encode_paths(paths: Sequence[Path], scope: Scope) -> bytes:
    names = (quoted(scope.root + str(path)) for path in paths)
    return assemble(["[", ",".join(f'{{"n":{name}}}' for name in names), "]"])


CODEC = Codec(ContentFormat.SENML_JSON, decode, encode, decode_paths, encode_paths, decode_each)
