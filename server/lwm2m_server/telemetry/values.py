"""Values of Resources as JSON has them, both ways, nothing lost.

Integers have all their 64 bits, points in time are milliseconds since 1970-01-01 UTC, Opaque is base64, an
object link is ``"3:0"``. JSON knows no infinity: these are texts, as in JavaScript. A Resource with
instances is an object, ``{"0": …, "1": …}``.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping
from typing import Any, Final, TypeAlias

from lwm2m_engine.codecs import tlv_values
from lwm2m_engine.errors import ValueRejected
from lwm2m_engine.formats import ContentFormat
from lwm2m_engine.model.spec import ResourceSpec
from lwm2m_engine.paths import MAX_ID
from lwm2m_engine.values import PLAIN, ObjLink, ResourceType, Value, coerce, from_base64, from_text, show
from lwm2m_server.store.reports import Omitted, Reported, Untyped

Whole: TypeAlias = Value | Mapping[int, Value]
"""Of a Resource: its value, or those of its instances."""

NUMBERS: Final[Mapping[str, float]] = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}
MILLISECOND: Final = 1000


def to_json(value: Reported | Mapping[int, Reported], spec: ResourceSpec | None) -> Any:
    """``spec`` tells points in time from numbers, and what there was no model for when it was told."""
    if isinstance(value, Mapping):
        return {str(id): to_json(one, spec) for id, one in sorted(value.items())}
    kind = spec.type if spec is not None else None
    return plain(typed(value, kind), kind)


def from_json(value: Any, spec: ResourceSpec | None) -> Whole:
    """Checks type and range; raises ``ValueRejected``. Without ``spec`` any value of JSON will do."""
    if isinstance(value, dict):
        if spec is not None and not spec.multiple:
            raise ValueRejected(f"{spec.name} has no instances", value=value)
        return {_id(id): _value(one, spec) for id, one in value.items()}
    if spec is not None and spec.multiple:
        example = '{"0": …}'
        raise ValueRejected(f"{spec.name} has instances: {example} is due, not {show(value)}", value=value)
    return _value(value, spec)


def typed(value: Reported, kind: ResourceType | None) -> Reported:
    """A value as the models have it today, whatever was known of it when it came. What does not fit them
    stays as it was told."""
    if kind is None or value.__class__ is PLAIN.get(kind) or isinstance(value, Omitted):
        return value
    try:
        return _read(value, kind) if isinstance(value, Untyped) else coerce(value, kind)
    except ValueRejected:
        return value


def plain(value: Reported, kind: ResourceType | None) -> Any:
    """As JSON has it; what never became a value is an object."""
    match value:
        case bool():
            return value
        case int():
            return value * MILLISECOND if kind is ResourceType.TIME else value
        case float():
            return _number(value * MILLISECOND if kind is ResourceType.TIME else value)
        case bytes():
            return base64.b64encode(value).decode("ascii")
        case ObjLink():
            return str(value)
        case Untyped(format, data):
            raw = data.encode() if isinstance(data, str) else data
            return {"contentFormat": format, "raw": base64.b64encode(raw).decode("ascii")}
        case Omitted(size):
            return {"omitted": size}
        case _:
            return value


def _number(value: float) -> Any:
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def _read(value: Untyped, kind: ResourceType) -> Value:
    """Raises ``ValueRejected``."""
    if isinstance(value.data, str):
        return from_text(value.data, kind)
    if value.format == ContentFormat.TLV:
        return tlv_values.READERS[kind](value.data)
    return coerce(value.data, kind)


def _value(value: Any, spec: ResourceSpec | None) -> Value:
    if spec is None:
        if isinstance(value, (bool, int, float, str)):
            return coerce(value, None)
        raise ValueRejected(f"{show(value)} is no value of a Resource", value=value)
    if spec.type is ResourceType.NONE:
        raise ValueRejected(f"{spec.name} has no value", value=value)
    found = _of_type(value, spec.type)
    problem = spec.allowed.check(found)
    if problem is not None:
        raise ValueRejected(f"{spec.name}: {problem}", value=value)
    return found


def _of_type(value: Any, kind: ResourceType) -> Value:
    if kind is ResourceType.OPAQUE:
        if not isinstance(value, str):
            raise ValueRejected(f"{show(value)} is not Opaque bytes in base64", value=value)
        return from_base64(value)
    if kind is ResourceType.TIME:
        return _moment(value)
    if kind is ResourceType.FLOAT and isinstance(value, str) and value in NUMBERS:
        return NUMBERS[value]
    if kind is ResourceType.BOOLEAN and not isinstance(value, bool):
        raise ValueRejected(f"{show(value)} is not true or false", value=value)
    return coerce(value, kind)


def _moment(value: Any) -> Value:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise ValueRejected(f"{show(value)} is not a Time in milliseconds", value=value)
    if isinstance(value, int) and value % MILLISECOND == 0:
        return coerce(value // MILLISECOND, ResourceType.TIME)
    return coerce(value / MILLISECOND, ResourceType.TIME)


def _id(text: str) -> int:
    if text.isascii() and text.isdigit() and len(text) <= 5 and int(text) <= MAX_ID:
        return int(text)
    raise ValueRejected(f"{show(text)} is no id of a Resource Instance", value=text)
