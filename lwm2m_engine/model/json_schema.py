"""JSON Schema (2020-12) of an Object: one Object Instance as JSON, by generated names.

Opaque is base64, an Objlnk the text ``3:0``, a multiple Resource an object by Resource Instance ID. Resources
that are executed have no value and are not in it.
"""

from __future__ import annotations

from typing import Any, TypeAlias

from lwm2m_engine.model.classes import valued
from lwm2m_engine.model.ranges import Intervals, Labels, Lengths, Values
from lwm2m_engine.model.spec import ObjectSpec, ResourceSpec
from lwm2m_engine.values import INTEGER_RANGE, UNSIGNED_RANGE, ResourceType

Schema: TypeAlias = dict[str, Any]

DIALECT = "https://json-schema.org/draft/2020-12/schema"

_ID = "^(0|[1-9][0-9]{0,4})$"
_TYPES: dict[ResourceType, Schema] = {
    ResourceType.STRING: {"type": "string"},
    ResourceType.CORELNK: {"type": "string"},
    ResourceType.INTEGER: {"type": "integer"},
    ResourceType.UNSIGNED_INTEGER: {"type": "integer"},
    ResourceType.FLOAT: {"type": "number"},
    ResourceType.TIME: {"type": "number"},
    ResourceType.BOOLEAN: {"type": "boolean"},
    ResourceType.OPAQUE: {"type": "string", "contentEncoding": "base64"},
    ResourceType.OBJLNK: {"type": "string", "pattern": "^[0-9]{1,5}:[0-9]{1,5}$"},
    ResourceType.NONE: {},
}
_BOUNDS: dict[ResourceType, Schema] = {
    kind: {"minimum": low, "maximum": high}
    for kind, (low, high) in (
        (ResourceType.INTEGER, INTEGER_RANGE),
        (ResourceType.UNSIGNED_INTEGER, UNSIGNED_RANGE),
    )
}


def json_schema(spec: ObjectSpec) -> Schema:
    """The schema; ranges are those of the definition, which devices do not always keep to."""
    resources = list(valued(spec))
    return {
        "$schema": DIALECT,
        "$id": spec.urn,
        "title": spec.name,
        "description": f"Object {spec.id} version {spec.version}",
        "type": "object",
        "properties": {resource.attribute: _property(resource) for resource in resources},
        "required": [resource.attribute for resource in resources if resource.mandatory],
        "additionalProperties": False,
    }


def _property(spec: ResourceSpec) -> Schema:
    facts = {"id": spec.id, "operations": spec.operations, "units": spec.units}
    head = {"title": spec.name, "x-lwm2m": {name: fact for name, fact in facts.items() if fact != ""}}
    value = _TYPES[spec.type] | (_allowed(spec) or _BOUNDS.get(spec.type, {}))
    if not spec.multiple:
        return head | value
    return head | {"type": "object", "patternProperties": {_ID: value}, "additionalProperties": False}


def _allowed(spec: ResourceSpec) -> Schema:
    match spec.allowed:
        case Intervals(intervals):
            return _one_of([{"minimum": one.low, "maximum": one.high} for one in intervals])
        case Values(values):
            return {"enum": list(values)}
        case Labels(labels):
            return {"oneOf": [{"const": value, "title": label} for value, label in labels.items()]}
        case Lengths(intervals, unit):
            lengths = [_characters(one.low, one.high, spec.type, unit) for one in intervals]
            return _one_of([{"minLength": low, "maxLength": high} for low, high in lengths])
        case _:
            return {}


def _one_of(schemas: list[Schema]) -> Schema:
    return schemas[0] if len(schemas) == 1 else {"anyOf": schemas}


def _characters(low: float, high: float, kind: ResourceType, unit: str) -> tuple[int, int]:
    """The length of the JSON text: three bytes are four of base64, a character has up to four in UTF-8."""
    low, high = int(low), int(high)
    if kind is ResourceType.OPAQUE:
        return -(-low // 3) * 4, -(-high // 3) * 4
    return (-(-low // 4), high) if unit == "bytes" else (low, high)
