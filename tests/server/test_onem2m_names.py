"""The tables agree with themselves, and managed kinds become management objects."""

import pytest

from lwm2m_engine.values import ObjLink
from lwm2m_server.onem2m.names import (
    ATTRIBUTES,
    BY_MGD,
    LONG,
    SHORT,
    TYPES,
    UnknownName,
    long_key,
    managed,
    short_name,
    type_of_key,
)


def test_a_short_name_means_itself():
    assert all(SHORT[short] == short for short in ATTRIBUTES)


def test_in_a_type_both_forms_of_every_attribute_mean_it():
    for row in TYPES:
        for short in row.attributes:
            assert short_name(short, row.attributes) == short_name(LONG[short], row.attributes) == short


def test_every_attribute_of_a_type_has_a_name():
    assert {name for row in TYPES for name in row.attributes} <= ATTRIBUTES.keys()


def test_all_specialisations_are_there():
    assert set(BY_MGD) == {*range(1001, 1011), *range(1028, 1032)}


@pytest.mark.parametrize("key", ["m2m:dvi", "deviceInfo", "m2m:deviceInfo"])
def test_a_type_has_one_row_under_all_its_keys(key):
    assert type_of_key(key) is BY_MGD[1007]


def test_keys_in_long_form():
    assert [long_key(key) for key in ("m2m:nod", "m2m:crds", "acme:other")] == [
        "node",
        "credentials",
        "acme:other",
    ]


def test_a_managed_kind_becomes_a_management_object():
    made = managed("m2m:battery", {"batteryLevel": 72})
    assert (made.key, made.mgd, made.attributes) == ("m2m:bat", 1006, {"btl": 72})
    made = managed("m2m:dvi", {"dlb": "x", "location": "geo:1,2"})
    assert (made.key, made.mgd, made.attributes) == ("m2m:dvi", 1007, {"dlb": "x", "loc": "geo:1,2"})


def test_a_self_defined_kind_keeps_its_attributes_and_values_become_json():
    made = managed("acme:valve", {"opening": 3, "image": b"\x00\x01", "link": ObjLink(3, 0)})
    assert (made.key, made.mgd) == ("acme:valve", 0)
    assert made.attributes == {"opening": 3, "image": "AAE=", "link": "3:0"}


@pytest.mark.parametrize(
    ("kind", "attributes", "hint"),
    [
        ("m2m:batery", {}, "m2m:battery"),
        ("battery ", {}, "m2m:battery"),
        ("m2m:nod", {}, "m2m:nod"),
        ("m2m:battery", {"batteryLevl": 1}, "batteryLevel"),
        ("m2m:battery", {"deviceName": "x"}, "deviceName"),
    ],
)
def test_a_name_that_does_not_exist_is_refused_with_the_nearest_one(kind, attributes, hint):
    with pytest.raises(UnknownName, match=hint):
        managed(kind, attributes)
