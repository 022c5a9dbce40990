"""Values and requests against the models: every fault, all together, with its place."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lwm2m_engine.entries import Entry
from lwm2m_engine.errors import ValueRejected
from lwm2m_engine.messages import (
    Cancel,
    Create,
    Delete,
    Discover,
    Execute,
    Observe,
    ObserveComposite,
    ObserveLinks,
    Read,
    ReadAll,
    ReadComposite,
    Write,
    WriteAttributes,
    WriteComposite,
    WriteObject,
    parse,
)
from lwm2m_engine.messages import validate as validate_request
from lwm2m_engine.model.catalog import Catalog
from lwm2m_engine.model.validation import inspect, validate
from lwm2m_engine.paths import ROOT, Path

CATALOG = Catalog.bundled()


def entries(**values):
    """``entries(_3_0_14="+02")`` for readable cases."""
    return [Entry(Path(name.replace("_", "/")), value) for name, value in values.items()]


def faults(call, *arguments, **options):
    """The sentences of all faults; an empty list without any."""
    try:
        call(*arguments, **options)
    except* ValueRejected as group:
        found = [str(fault) for fault in group.exceptions]
    else:
        found = []
    return found


@pytest.mark.parametrize(
    ("values", "at", "operation", "expected"),
    [
        ({"_3_0_14": "+02", "_3_0_15": "Europe/Paris"}, "/3/0", "write", []),
        ({"_3_0_13": 1700000000}, "/3/0/13", "write", []),
        ({"_3_0_0": "Acme"}, "/3/0/0", "write", ["/3/0/0: Manufacturer cannot be written, only read"]),
        ({"_3_0_0": "Acme"}, "/3/0", "read", []),
        ({"_3_0_4": 1}, "/3/0/4", "write", ["/3/0/4: Reboot cannot be written, only executed"]),
        (
            {"_0_0_0": "coap://x"},
            "/0/0",
            "write",
            ["/0/0/0: LWM2M Server URI cannot be written, only set by a"],
        ),
        ({"_3_0_99": 1}, "/3/0", "write", ["/3/0/99: object 3 Device 1.2 has no such resource"]),
        ({"_3_1_14": "x"}, "/3/1", "write", ["/3/1: object 3 Device has only instance 0"]),
        (
            {"_3_0_13": "now", "_3_0_14": 2},
            "/3/0",
            "write",
            [
                "/3/0/13: 'now' is not a Time in seconds (Current Time)",
                "/3/0/14: 2 is not a String (UTC Offset)",
            ],
        ),
        (
            {"_3_0_14_1": "x"},
            "/3/0/14",
            "write",
            ["/3/0/14/1: UTC Offset is a single value without instances"],
        ),
        ({"_3_0_11": 1}, "/3/0/11", "read", ["/3/0/11: Error Code has instances, and the path names none"]),
        ({"_3_0_11_0": 1, "_3_0_11_1": 2}, "/3/0/11", "read", []),
        ({"_3_0": "x"}, "/", "write", ["/3/0: values stand at Resources and Resource Instances"]),
        ({"_3_0_14": "x"}, "/4", "write", ["/3/0/14: it does not lie below /4"]),
        ({"_3_0_14": None}, "/3/0", "write", ["/3/0/14: there is no value"]),
        ({"_3442_0_1110_1": None}, "/", "write", []),
        ({"_3442_0_1110_1": None}, "/3442/0", "replace", ["/3442/0/1110/1: there is no value"]),
        ({"_65000_0_1": b"whatever", "_65000_0_2_3": 5}, "/65000/0", "replace", []),
        (
            {"_65000_0_1": 2**70},
            "/65000/0",
            "write",
            ["/65000/0/1: 1180591620717411303424 has more than 64 bits"],
        ),
        ({"_2_0_3": 33}, "/2", "create", []),
        (
            {"_2_12_3": 33, "_2_13_0": 5},
            "/2",
            "create",
            ["/2/13: Access Control Owner (resource 3) is mandatory"],
        ),
        ({}, "/2", "create", ["/2: Access Control Owner (resource 3) is mandatory"]),
        ({"_2_0_3": 33, "_2_0_0": 5}, "/2/0", "create", []),
        (
            {"_5_0_2": 1},
            "/5",
            "create",
            ["/5/0: Package (", "/5/0: Package URI (", "/5/0/2: Update can be executed and holds no"],
        ),
        (
            {"_1_0_2": 5},
            "/1/0",
            "replace",
            [
                "/1/0: Lifetime (resource 1) is mandatory",
                "/1/0: Notification Storing When Disabled or Offline (resource 6) is mandatory",
                "/1/0: Binding (resource 7) is mandatory",
            ],
        ),
        ({"_1_0_2": 5}, "/1/0", "write", []),
        ({}, "/3/0/4", "execute", []),
        ({}, "/3/0/0", "execute", ["/3/0/0: Manufacturer cannot be executed, only read"]),
        ({}, "/3/0/13", "execute", ["/3/0/13: Current Time cannot be executed, only read and written"]),
        ({}, "/3/0/4", "read", ["/3/0/4: Reboot cannot be read, only executed"]),
        ({}, "/3/0/11", "read", []),
        ({}, "/3/0/11/0", "read", []),
        ({}, "/3/0/9/0", "read", ["/3/0/9/0: Battery Level is a single value without instances"]),
        ({}, "/3/0", "read", []),
        ({}, "/", "read", []),
        ({}, "/65000/1/2", "execute", []),
    ],
)
def test_faults(values, at, operation, expected):
    found = faults(validate, entries(**values), CATALOG, Path(at), operation)
    assert len(found) == len(expected)
    assert [text for text, start in zip(found, expected, strict=True) if not text.startswith(start)] == []


def test_all_faults_come_together_in_order_of_their_paths():
    given = [
        Entry(Path("/3303/0/5700"), "warm"),
        Entry(Path("/3/0/99"), 1),
        Entry(Path("/3/0/14"), "+02"),
        Entry(Path("/3/0/14"), "+03"),
        Entry(Path("/3/0/0"), 5),
    ]
    with pytest.raises(ExceptionGroup, match="write /") as caught:
        validate(given, CATALOG)
    assert [str(fault) for fault in caught.value.exceptions] == [
        "/3/0/0: Manufacturer cannot be written, only read",
        "/3/0/0: 5 is not a String (Manufacturer)",
        "/3/0/14: given twice",
        "/3/0/99: object 3 Device 1.2 has no such resource",
        "/3303/0/5700: Sensor Value cannot be written, only read",
        "/3303/0/5700: 'warm' is not a Float (Sensor Value)",
    ]
    assert {fault.path for fault in caught.value.exceptions} == {entry.path for entry in given}


def test_values_of_several_times_are_not_given_twice():
    given = [Entry(Path("/3/0/9"), level, float(level)) for level in (90, 80, 70)]
    assert validate(given, CATALOG, Path("/3"), "read") == ()


def test_a_range_is_a_doubt_unless_it_is_to_be_strict():
    given = entries(_1_0_1=300, _3_0_9=300)
    doubts = validate(given, CATALOG, operation="read")
    assert [str(doubt) for doubt in doubts] == ["/3/0/9: 300 is not in 0..100 (Battery Level)"]
    assert faults(validate, given, CATALOG, operation="read", strict_ranges=True) == [str(doubts[0])]
    findings = inspect(entries(_3_0_9="full"), CATALOG, ROOT, "read")
    assert (len(findings.faults), findings.doubts) == (1, ())


def test_the_device_s_version_of_an_object_decides():
    """Mute Send came with version 1.1 of the Server object."""
    given = entries(_1_0_23=True)
    assert faults(validate, given, CATALOG) == []
    assert faults(validate, given, CATALOG.view("1.0", {1: "1.0"})) == [
        "/1/0/23: object 1 LwM2M Server 1.0 has no such resource"
    ]


@pytest.mark.parametrize(
    ("text", "version", "expected"),
    [
        ("PUT /3/0/14 +02:00", None, []),
        ("PUT /3/0/0 Acme", None, ["/3/0/0: Manufacturer cannot be written, only read"]),
        ('PUT /1/0 {"1": 60}', None, ["/1/0: Notification", "/1/0: Binding"]),
        ('POST /1/0 {"1": 60}', None, []),
        (
            'PUT /1 {"0": {"1": 60, "6": true, "7": "U"}, "1": {"0": 2}}',
            None,
            ["/1/1: L", "/1/1: N", "/1/1: B", "/1/1/0: "],
        ),
        ('POST /2 {"0": 12}', None, ["/2/0: Access Control Owner"]),
        ("POST /3/0/4", None, []),
        ("POST /3/0/0", None, ["/3/0/0: Manufacturer cannot be executed"]),
        ("GET /3/0/4", None, ["/3/0/4: Reboot cannot be read"]),
        ("GET /", None, []),
        ("FETCH /3/0/0,/3/0/4", None, ["/3/0/4: Reboot cannot be read"]),
        ("OBSERVE /3/0/9,/5/0/0", None, ["/5/0/0: Package cannot be read"]),
        ("OBSERVE /3/0/9?pmin=5&con=1", "1.2", []),
        ("OBSERVE /3/0/9?pmin=5&con=1", "1.1", ["/3/0/9: con came with LwM2M 1.2, the device speaks 1.1"]),
        ("PUT /3/0/9?epmin=5", "1.0", ["/3/0/9: epmin came with LwM2M 1.1"]),
        ("PUT /5/0/2?pmin=5", None, ["/5/0/2: Update cannot be read, only executed"]),
        ("PUT /22 </3/0/9>;con=1,</5/0/2>", "1.0", ["/3/0/9: con came", "/5/0/2: Update cannot be read"]),
        (
            'IPATCH / {"/3/0/14": "+02:00", "/3/0/0": "Acme"}',
            None,
            ["/3/0/0: Manufacturer cannot be written"],
        ),
        ("DISCOVER /3", None, []),
        ("CANCEL /3/0/9", None, []),
        ("DELETE /2/0", None, []),
        ("DELETE /2/0/2/7", None, []),
        ("DELETE /3/0/11/0", None, ["/3/0/11: Error Code cannot be written, only read"]),
    ],
)
def test_requests_are_checked_before_they_are_sent(text, version, expected):
    found = faults(validate_request, parse(text, CATALOG), CATALOG, version=version)
    assert len(found) == len(expected), found
    assert [text for text, start in zip(found, expected, strict=True) if not text.startswith(start)] == []


def test_types_of_attributes_are_checked_for_requests_made_in_code():
    request = WriteAttributes(Path("/3/0/0"), (("gt", "5"),))
    assert faults(validate_request, request, CATALOG) == [
        "/3/0/0: gt is for numbers, and the Resource is String"
    ]


def test_doubts_of_a_request_are_told():
    request = parse("PUT /1/0/0 0", CATALOG)
    assert faults(validate_request, request, CATALOG) == [
        "/1/0/0: Short Server ID cannot be written, only read"
    ]
    request = parse('IPATCH / {"/3311/0/5851": 200, "/3/0/14": "+02"}', CATALOG)
    doubts = validate_request(request, CATALOG)
    assert [str(doubt) for doubt in doubts] == ["/3311/0/5851: 200 is not in 0..100 (Dimmer)"]
    assert faults(validate_request, request, CATALOG, strict_ranges=True) == [str(doubts[0])]


PATHS = st.builds(
    lambda ids: Path(ids[: 1 + len(ids) % 4]),
    st.tuples(
        st.sampled_from([0, 1, 2, 3, 5, 3303, 65000]),
        st.integers(0, 2),
        st.integers(0, 30),
        st.integers(0, 3),
    ),
) | st.lists(st.integers(0, 30), max_size=4).map(Path)
VALUES = st.none() | st.integers() | st.floats() | st.text(max_size=5) | st.binary(max_size=5) | st.booleans()
ENTRIES = st.lists(st.builds(Entry, PATHS, VALUES, st.none() | st.floats(0, 9)), max_size=5).map(tuple)
ATTRIBUTES = st.lists(
    st.tuples(st.sampled_from(["pmin", "gt", "edge", "dim", "nonsense"]), st.none() | st.text(max_size=3)),
    max_size=3,
).map(tuple)
REQUESTS = (
    st.builds(Write, PATHS, ENTRIES, st.booleans())
    | st.builds(Create, PATHS, ENTRIES)
    | st.builds(WriteComposite, ENTRIES)
    | st.builds(WriteObject, PATHS, st.lists(st.builds(Write, PATHS, ENTRIES), max_size=2).map(tuple))
    | st.builds(Execute, PATHS)
    | st.builds(Read, PATHS)
    | st.builds(Observe, PATHS, ATTRIBUTES)
    | st.builds(WriteAttributes, PATHS, ATTRIBUTES)
    | st.builds(ObserveLinks, st.lists(st.tuples(PATHS, ATTRIBUTES), max_size=2).map(tuple))
    | st.builds(ReadComposite, st.lists(PATHS, max_size=3).map(tuple))
    | st.builds(ObserveComposite, st.lists(PATHS, max_size=3).map(tuple))
    | st.builds(Delete, PATHS)
    | st.builds(Discover, PATHS)
    | st.builds(Cancel, PATHS)
    | st.just(ReadAll())
)


@given(REQUESTS, st.sampled_from([None, "1.0", "1.1", "1.2"]), st.booleans())
def test_any_request_is_fine_or_its_faults_have_sentences(request, version, strict):
    for fault in faults(validate_request, request, CATALOG, version=version, strict_ranges=strict):
        assert ": " in fault
