"""Entries to typed objects and back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lwm2m_engine.codecs import decode, encode
from lwm2m_engine.entries import Entry, latest
from lwm2m_engine.errors import PathError, UnknownObject, ValueRejected
from lwm2m_engine.formats import ContentFormat
from lwm2m_engine.model.catalog import Catalog
from lwm2m_engine.model.classes import ObjectInstance, object_class
from lwm2m_engine.model.spec import ObjectSpec, ResourceSpec
from lwm2m_engine.paths import Path
from lwm2m_engine.values import ObjLink, ResourceType

AT = Path("/3/0")


def entries(values):
    return [Entry(Path(path), value) for path, value in values.items()]


def refusals(call, *args, **more):
    """(path, reason) of each fault."""
    with pytest.raises(ExceptionGroup) as caught:
        call(*args, **more)
    assert {type(fault) for fault in caught.value.exceptions} == {ValueRejected}
    return [(str(fault.path), fault.reason) for fault in caught.value.exceptions]


def misuse(call, *args, **more):
    """Path and reason of what cannot be done with any values."""
    with pytest.raises(ValueRejected) as caught:
        call(*args, **more)
    return str(caught.value.path), caught.value.reason


def test_an_object_instance(catalog):
    values = {"/3/0/0": "ACME", "/3/0/9": 42, "/3/0/6/0": 1, "/3/0/6/5": 5, "/3/0/22/0": ObjLink(3, 0)}
    device = catalog.structure(entries(values), at=AT)
    assert repr(device) == (
        "Device(manufacturer='ACME', available_power_sources={0: 1, 5: 5}, battery_level=42, "
        "ext_dev_info={0: ObjLink(object=3, instance=0)})"
    )
    assert device.memory_free is None
    assert type(device) is catalog.classes["Device"]


def test_an_object(catalog):
    values = {"/1/7/1": 300, "/1/0/0": 1, "/1/0/1": 60}
    server = catalog.classes["LwM2MServer"]
    expected = {7: server(lifetime=300), 0: server(short_server_id=1, lifetime=60)}
    assert catalog.structure(entries(values), at=Path("/1")) == expected
    assert catalog.structure(entries(values), at=Path("/1"), into=dict[int, server]) == expected
    assert catalog.structure([], at=Path("/1")) == {}


def test_nothing_reported_is_an_empty_object(catalog):
    assert catalog.structure([], at=AT) == catalog.classes["Device"]()


def test_a_version_by_its_class(catalog):
    old = catalog.classes["Device_1_0"]
    assert catalog.structure(entries({"/3/0/9": 42}), at=AT, into=old) == old(battery_level=42)


def test_the_newest_entry_of_a_path_counts(catalog):
    path = Path("/3/0/9")
    history = [Entry(path, 3, 30.0), Entry(path, 2, 20.0), Entry(path, 1, 10.0)]
    assert catalog.structure(history, at=AT).battery_level == 3


def test_what_the_definition_does_not_have_is_kept(catalog):
    values = {"/3/0/9": 42, "/3/0/77": b"raw", "/3/0/78/0": 1, "/3/0/78/9": "x", "/3/0/4": True}
    device = catalog.structure(entries(values), at=AT)
    assert device == catalog.classes["Device"](
        battery_level=42, extra={77: b"raw", 78: {0: 1, 9: "x"}, 4: True}
    )
    assert latest(catalog.unstructure(device, at=AT)) == latest(entries(values))


def test_values_get_the_type_of_their_resource(catalog):
    device = catalog.structure(entries({"/3/0/9": 42.0, "/3/0/22/0": "3:0"}), at=AT)
    assert (device.battery_level, device.ext_dev_info) == (42, {0: ObjLink(3, 0)})
    assert type(device.battery_level) is int


def test_ranges_are_not_checked(catalog):
    assert catalog.structure(entries({"/3/0/9": 900}), at=AT).battery_level == 900


def test_all_faults_with_their_paths(catalog):
    values = {
        "/3/0/0": 4,
        "/3/0/1": "fine",
        "/3/0/9/0": 42,
        "/3/0/6": 1,
        "/3/0/22/0": "3",
        "/3/1/0": "ACME",
        "/3/0": "ACME",
        "/3/0/2": None,
    }
    assert refusals(catalog.structure, entries(values), at=AT) == [
        ("/3/0/0", "4 is not a String"),
        ("/3/0/9/0", "battery_level is a single Resource"),
        ("/3/0/6", "available_power_sources is a multiple Resource"),
        ("/3/0/22/0", "'3' is not an object link such as 3:0"),
        ("/3/1/0", "not below /3/0"),
        ("/3/0", "neither a Resource's value nor one of a Resource Instance"),
        ("/3/0/2", "neither a Resource's value nor one of a Resource Instance"),
    ]


def test_a_single_fault_is_a_group_too(catalog):
    assert refusals(catalog.structure, entries({"/3/0/0": 4}), at=AT) == [("/3/0/0", "4 is not a String")]


@pytest.mark.parametrize("order", [["/3/0/77", "/3/0/77/1"], ["/3/0/77/1", "/3/0/77"]])
def test_an_unknown_resource_is_single_or_multiple(catalog, order):
    same = 5
    reason = "the Resource and an instance of it cannot both have a value"
    values = dict.fromkeys(order, same)
    assert refusals(catalog.structure, entries(values), at=AT) == [(order[1], reason)]


@pytest.mark.parametrize(
    ("at", "reason"),
    [
        ("/", "neither an Object nor an Object Instance"),
        ("/3/0/9", "neither an Object nor an Object Instance"),
        ("/4/0", "Device is Object 3"),
        ("/3", "an Object is a dict of typed objects by Object Instance ID"),
    ],
)
def test_places_that_do_not_go_with_a_class(catalog, at, reason):
    device = catalog.classes["Device"]
    assert misuse(catalog.structure, [], at=Path(at), into=device) == (at, reason)
    assert misuse(catalog.unstructure, device(), at=Path(at)) == (at, reason)


@pytest.mark.parametrize("at", ["/", "/3/0/9"])
def test_places_without_class(catalog, at):
    reason = "neither an Object nor an Object Instance"
    assert misuse(catalog.structure, [], at=Path(at)) == (at, reason)
    assert misuse(catalog.unstructure, {}, at=Path(at)) == (at, reason)


def test_an_instance_is_no_dict(catalog):
    reason = "an Object Instance is one typed object"
    device = catalog.classes["Device"]
    assert misuse(catalog.structure, [], at=AT, into=dict[int, device]) == ("/3/0", reason)
    assert misuse(catalog.unstructure, {0: device()}, at=AT) == ("/3/0", reason)


@pytest.mark.parametrize("into", [int, dict, dict[int, int], ObjectInstance, "Device", list[int]])
def test_into_what_is_no_class(catalog, into):
    path, reason = misuse(catalog.structure, [], at=AT, into=into)
    assert (path, reason) == ("/3/0", f"{into!r} is neither a typed object's class nor a dict[int, class]")


def test_a_dict_has_integers_for_keys(catalog):
    device = catalog.classes["Device"]
    assert misuse(catalog.structure, [], at=Path("/3"), into=dict[str, device])


def test_an_unknown_object(catalog):
    with pytest.raises(UnknownObject):
        catalog.structure([], at=Path("/33333/0"))


def test_entries_come_in_order_of_path(catalog):
    server = catalog.classes["LwM2MServer"]
    objects = {7: server(lifetime=300, binding="U"), 0: server(extra={99: {3: 1, 2: 0}}, lifetime=60.0)}
    assert catalog.unstructure(objects, at=Path("/1")) == entries(
        {"/1/0/1": 60, "/1/0/99/2": 0, "/1/0/99/3": 1, "/1/7/1": 300, "/1/7/7": "U"}
    )


def test_faults_of_attributes(catalog):
    device = catalog.classes["Device"](
        manufacturer=4,
        battery_level={0: 42},
        available_power_sources=5,
        battery_status="full",
        ext_dev_info={0: ObjLink(3, 0), 1: 3},
        extra={77: object()},
    )
    assert refusals(catalog.unstructure, device, at=AT) == [
        ("/3/0/0", "4 is not a String"),
        (
            "/3/0/6",
            "available_power_sources is a multiple Resource: its values are a dict by Resource Instance ID",
        ),
        ("/3/0/9", "{0: 42} is not an Integer of 64 bits"),
        ("/3/0/20", "'full' is not an Integer of 64 bits"),
        ("/3/0/22/1", "3 is not an object link such as 3:0"),
        ("/3/0/77", "object is no LwM2M value"),
    ]


@pytest.mark.parametrize("id", [-1, 65536, "0", True, None])
def test_ids_that_are_none(catalog, id):
    device = catalog.classes["Device"]
    for broken in (device(available_power_sources={id: 1}), device(extra={id: 1})):
        with pytest.raises(ExceptionGroup) as caught:
            catalog.unstructure(broken, at=AT)
        assert [type(fault) for fault in caught.value.exceptions] == [PathError]


# --- any object there may be -----------------------------------------------------------------------

VALUES = {
    ResourceType.STRING: st.text(),
    ResourceType.CORELNK: st.text(),
    ResourceType.INTEGER: st.integers(-(2**63), 2**63 - 1),
    ResourceType.UNSIGNED_INTEGER: st.integers(0, 2**64 - 1),
    ResourceType.FLOAT: st.floats(allow_nan=False),
    ResourceType.BOOLEAN: st.booleans(),
    ResourceType.OPAQUE: st.binary(),
    ResourceType.TIME: st.integers(0, 2**40),
    ResourceType.OBJLNK: st.builds(ObjLink, st.integers(0, 65535), st.integers(0, 65535)),
    ResourceType.NONE: st.integers(0, 9) | st.text(),
}
ids = st.integers(0, 65535)


@st.composite
def objects(draw):
    """A class of any shape, and an instance of it."""
    kinds = draw(st.dictionaries(ids, st.tuples(st.sampled_from(ResourceType), st.booleans()), max_size=6))
    resources = {
        id: ResourceSpec(id, f"R {id}", f"r_{id}", kind, "RW", multiple, False)
        for id, (kind, multiple) in sorted(kinds.items())
    }
    spec = ObjectSpec(40000, "Any", "1.0", "1.0", "urn:oma:lwm2m:x:40000", True, False, resources)
    values = {}
    for id, (kind, multiple) in kinds.items():
        value = VALUES[kind]
        if multiple:
            value = st.dictionaries(ids, value, min_size=1, max_size=3)
        values[f"r_{id}"] = draw(st.none() | value)
    unknown = st.sampled_from(sorted({1, 2, 65535} - kinds.keys()) or [0])
    extra = st.dictionaries(unknown, st.text() | st.dictionaries(ids, st.integers(0, 9), min_size=1))
    values["extra"] = {} if {1, 2, 65535} <= kinds.keys() else draw(extra)
    return spec, object_class(spec)(**values)


@given(objects())
def test_structure_is_the_inverse_of_unstructure(pair):
    spec, value = pair
    catalog = Catalog([spec])
    at = Path("/40000/3")
    found = catalog.unstructure(value, at=at)
    assert catalog.structure(found, at=at) == value
    assert found == sorted(found)
    assert catalog.unstructure(catalog.structure(found, at=Path("/40000")), at=Path("/40000")) == found


@pytest.mark.parametrize(
    "content_format", [ContentFormat.TLV, ContentFormat.SENML_CBOR, ContentFormat.SENML_JSON]
)
def test_through_a_payload(catalog, content_format):
    device = catalog.classes["Device"](
        manufacturer="ACME", battery_level=42, available_power_sources={0: 1, 1: 5}, utc_offset="+01:00"
    )
    payload = encode(catalog.unstructure(device, at=AT), content_format, at=AT, types=catalog.types)
    assert catalog.structure(decode(payload, content_format, at=AT, types=catalog.types), at=AT) == device
