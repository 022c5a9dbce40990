"""Values of Resources as JSON, both ways: nothing is lost, and what does not fit is refused with a reason."""

from __future__ import annotations

import math

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lwm2m_engine.errors import ValueRejected
from lwm2m_engine.model.spec import ResourceSpec
from lwm2m_engine.values import ObjLink, ResourceType
from lwm2m_server.store.reports import Omitted, Untyped
from lwm2m_server.telemetry.values import from_json, to_json, typed

T = ResourceType


def spec(kind: ResourceType, *, multiple: bool = False, range: str = "") -> ResourceSpec:
    return ResourceSpec(1, "Thing", "thing", kind, "RW", multiple, False, range)


KINDS = {
    T.STRING: st.text(alphabet=st.characters(exclude_categories=["Cs"])),
    T.INTEGER: st.integers(-(2**63), 2**63 - 1),
    T.UNSIGNED_INTEGER: st.integers(0, 2**64 - 1),
    T.FLOAT: st.floats(),
    T.BOOLEAN: st.booleans(),
    T.OPAQUE: st.binary(),
    T.TIME: st.integers(-(2**50), 2**50),
    T.OBJLNK: st.builds(ObjLink, st.integers(0, 65535), st.integers(0, 65535)),
    T.CORELNK: st.sampled_from(["</3/0>", "</1/0>;ssid=1"]),
}


@given(st.data(), st.sampled_from(list(KINDS)))
def test_every_value_comes_back_as_it_was(data: st.DataObject, kind: ResourceType) -> None:
    value = data.draw(KINDS[kind])
    again = from_json(orjson.loads(orjson.dumps(to_json(value, spec(kind)))), spec(kind))
    assert again.__class__ is value.__class__
    assert again == value or (isinstance(value, float) and math.isnan(value) and math.isnan(again))


@given(st.dictionaries(st.integers(0, 65535), st.integers(-(2**63), 2**63 - 1)))
def test_instances_too(values: dict[int, int]) -> None:
    multiple = spec(T.INTEGER, multiple=True)
    text = to_json(values, multiple)
    assert all(isinstance(id, str) for id in text)
    assert from_json(text, multiple) == values


@pytest.mark.parametrize(
    ("value", "kind", "complaint"),
    [
        (2**63, T.INTEGER, "9223372036854775808 is not an Integer of 64 bits"),
        (-1, T.UNSIGNED_INTEGER, "-1 is not an Unsigned Integer"),
        (1.5, T.INTEGER, "1.5 is not an Integer"),
        (True, T.INTEGER, "True is not an Integer"),
        (1, T.BOOLEAN, "1 is not true or false"),
        ("21.5", T.FLOAT, "'21.5' is not a Float"),
        (7, T.STRING, "7 is not a String"),
        ("%%", T.OPAQUE, "not base64"),
        (b"", T.OPAQUE, "base64"),
        ("soon", T.TIME, "not a Time in milliseconds"),
        ("3", T.OBJLNK, "not an object link"),
        (None, T.STRING, "None is not a String"),
        ([1], T.INTEGER, "not an Integer"),
        ({"0": 1}, T.INTEGER, "Thing has no instances"),
        (1, T.NONE, "Thing has no value"),
    ],
)
def test_what_does_not_fit(value: object, kind: ResourceType, complaint: str) -> None:
    with pytest.raises(ValueRejected, match=complaint):
        from_json(value, spec(kind))


def test_instances_and_ranges_are_checked() -> None:
    multiple = spec(T.INTEGER, multiple=True, range="0..100")
    for value, complaint in (
        (5, "Thing has instances"),
        ({"x": 5}, "'x' is no id"),
        ({"70000": 5}, "'70000' is no id"),
        ({"0": 101}, "Thing: 101 is not in 0..100"),
    ):
        with pytest.raises(ValueRejected, match=complaint):
            from_json(value, multiple)


def test_points_in_time_are_milliseconds() -> None:
    assert to_json(1_800_000_000, spec(T.TIME)) == 1_800_000_000_000
    assert from_json(1_800_000_000_500, spec(T.TIME)) == 1_800_000_000.5


@pytest.mark.parametrize(
    ("value", "kind", "found"),
    [
        (Untyped(11542, b"\x41\xac\x00\x00"), T.FLOAT, 21.5),
        (Untyped(11542, b"\xff"), T.INTEGER, -1),
        (Untyped(11542, b"hot"), T.STRING, "hot"),
        (Untyped(0, "21.5"), T.FLOAT, 21.5),
        (Untyped(0, "AQI="), T.OPAQUE, b"\x01\x02"),
        (Untyped(42, b"\x01"), T.OPAQUE, b"\x01"),
        (Untyped(11542, b"\x01\x02\x03"), T.FLOAT, Untyped(11542, b"\x01\x02\x03")),
        (21.0, T.INTEGER, 21),
        (5, T.FLOAT, 5.0),
        ("3:0", T.OBJLNK, ObjLink(3, 0)),
        ("text", T.INTEGER, "text"),
        (Omitted(70_000), T.OPAQUE, Omitted(70_000)),
    ],
)
def test_a_model_that_comes_later_tells_the_type(value: object, kind: ResourceType, found: object) -> None:
    again = typed(value, kind)  # type: ignore[arg-type]
    assert (again.__class__, again) == (found.__class__, found)


def test_what_has_no_type_yet_is_shown_as_it_came() -> None:
    assert to_json(Untyped(11542, b"hot"), None) == {"contentFormat": 11542, "raw": "aG90"}
    assert to_json(Omitted(70_000), None) == {"omitted": 70_000}
