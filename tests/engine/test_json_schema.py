"""JSON Schema of Objects."""

import pytest

from lwm2m_engine.model.json_schema import json_schema
from lwm2m_engine.model.spec import ObjectSpec, ResourceSpec
from lwm2m_engine.values import ResourceType


def schema_of(kind, range="", *, multiple=False, operations="RW"):
    """Of one Resource of this type and range, without what all have."""
    resource = ResourceSpec(7, "Some Thing", "some_thing", kind, operations, multiple, True, range, "m")
    spec = ObjectSpec(40000, "Any", "1.0", "1.0", "urn:oma:lwm2m:x:40000", True, False, {7: resource})
    found = json_schema(spec)["properties"]["some_thing"]
    assert found.pop("title") == "Some Thing"
    assert found.pop("x-lwm2m") == {"id": 7, "operations": operations, "units": "m"}
    return found


INTEGER, FLOAT, STRING, OPAQUE = (
    ResourceType.INTEGER, ResourceType.FLOAT, ResourceType.STRING, ResourceType.OPAQUE
)  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "range", "expected"),
    [
        (INTEGER, "", {"type": "integer", "minimum": -(2**63), "maximum": 2**63 - 1}),
        (ResourceType.UNSIGNED_INTEGER, "", {"type": "integer", "minimum": 0, "maximum": 2**64 - 1}),
        (INTEGER, "0..100", {"type": "integer", "minimum": 0, "maximum": 100}),
        (FLOAT, "0.5..1.0", {"type": "number", "minimum": 0.5, "maximum": 1}),
        (FLOAT, "<7 to >12.5", {"type": "number"}),
        (INTEGER, "16,32,48", {"type": "integer", "enum": [16, 32, 48]}),
        (
            INTEGER,
            "0..247, 255",
            {"type": "integer", "anyOf": [{"minimum": 0, "maximum": 247}, {"minimum": 255, "maximum": 255}]},
        ),
        (
            INTEGER,
            "0: off\n1: on",
            {"type": "integer", "oneOf": [{"const": 0, "title": "off"}, {"const": 1, "title": "on"}]},
        ),
        (STRING, "1..64", {"type": "string", "minLength": 1, "maxLength": 64}),
        (STRING, "1..64 bytes", {"type": "string", "minLength": 1, "maxLength": 64}),
        (STRING, "5..64 bytes", {"type": "string", "minLength": 2, "maxLength": 64}),
        (OPAQUE, "4..7", {"type": "string", "contentEncoding": "base64", "minLength": 8, "maxLength": 12}),
        (
            OPAQUE,
            "0, 16",
            {
                "type": "string",
                "contentEncoding": "base64",
                "anyOf": [{"minLength": 0, "maxLength": 0}, {"minLength": 24, "maxLength": 24}],
            },
        ),
        (ResourceType.BOOLEAN, "", {"type": "boolean"}),
        (ResourceType.TIME, "", {"type": "number"}),
        (ResourceType.OBJLNK, "", {"type": "string", "pattern": "^[0-9]{1,5}:[0-9]{1,5}$"}),
        (ResourceType.CORELNK, "", {"type": "string"}),
        (ResourceType.NONE, "", {}),
    ],
)
def test_values(kind, range, expected):
    assert schema_of(kind, range) == expected


def test_multiple_resources_are_objects_by_instance_id():
    assert schema_of(INTEGER, "0..7", multiple=True) == {
        "type": "object",
        "patternProperties": {"^(0|[1-9][0-9]{0,4})$": {"type": "integer", "minimum": 0, "maximum": 7}},
        "additionalProperties": False,
    }


def test_an_object(catalog):
    schema = json_schema(catalog[3])
    assert (schema["$id"], schema["title"]) == ("urn:oma:lwm2m:oma:3:1.2", "Device")
    assert schema["required"] == ["error_code", "supported_binding_and_modes"]
    assert "reboot" not in schema["properties"]
    assert schema["properties"]["manufacturer"]["x-lwm2m"] == {"id": 0, "operations": "R"}


def test_every_object_has_one(catalog):
    for spec in catalog:
        schema = json_schema(spec)
        assert set(schema["required"]) <= schema["properties"].keys()
