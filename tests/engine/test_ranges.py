"""RangeEnumeration: every syntax of the registry, what it allows, and that nothing breaks it."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lwm2m_engine.model.catalog import Catalog
from lwm2m_engine.model.ranges import Intervals, Labels, Lengths, Unparsed, Values, parse_range
from lwm2m_engine.values import ObjLink, ResourceType

INTEGER, UNSIGNED, FLOAT = ResourceType.INTEGER, ResourceType.UNSIGNED_INTEGER, ResourceType.FLOAT
STRING, OPAQUE, TIME = ResourceType.STRING, ResourceType.OPAQUE, ResourceType.TIME

BUTTON = "0: RELEASE\n\t\t1: CLICK\n\t\t2: HOLD\n\t\t3: DOUBLE-CLICK\n\t\t255: STUCK"

SYNTAXES = [
    ("0..100", INTEGER, Intervals, "0..100", [0, 100], [-1, 101]),
    ("-1..1", FLOAT, Intervals, "-1..1", [-1.0, 0.5], [1.001]),
    ("0 .. 10", INTEGER, Intervals, "0..10", [3], [11]),
    ("0.000001..1.0", FLOAT, Intervals, "0.000001..1", [0.000001, 1.0], [0.0000009]),
    ("0..18446744073709551615", UNSIGNED, Intervals, "0..18446744073709551615", [2**64 - 1], [-1]),
    ("1..864000", TIME, Intervals, "1..864000", [1], [0]),
    ("0..255 bytes", STRING, Lengths, "0..255 bytes", ["", "é" * 127], ["é" * 128]),
    ("1..64 Bytes", STRING, Lengths, "1..64 bytes", ["a"], [""]),
    ("0..255", STRING, Lengths, "0..255 characters", ["é" * 255], ["é" * 256]),
    ("0..255", OPAQUE, Lengths, "0..255 bytes", [b"\0" * 255], [b"\0" * 256]),
    ("12", STRING, Lengths, "0..12 characters", ["", "001122334455"], ["0011223344556"]),
    ("6", OPAQUE, Lengths, "0..6 bytes", [b"123456"], [b"1234567"]),
    ("255", INTEGER, Intervals, "0..255", [0, 255], [256, -1]),
    ("32 bytes", STRING, Lengths, "0..32 bytes", ["x" * 32], ["x" * 33]),
    ("1 bytes", INTEGER, Intervals, "-128..255", [-128, 255], [-129, 256]),
    ("2 bytes", INTEGER, Intervals, "-32768..65535", [65535], [65536]),
    ("8-Bits", INTEGER, Intervals, "-128..255", [200], [300]),
    ("16-bit", INTEGER, Intervals, "-32768..65535", [-32768], [70000]),
    ("8 bit", UNSIGNED, Intervals, "0..255", [255], [256]),
    ("8 bit", OPAQUE, Lengths, "0..1 bytes", [b"\1"], [b"\1\2"]),
    ("2 Instances", INTEGER, Unparsed, "2 Instances", [7, -7], []),
    ("16,32,48", OPAQUE, Lengths, "16, 32, 48 bytes", [b"k" * 16, b"k" * 48], [b"k" * 17, b""]),
    ("16-32-48 bytes", OPAQUE, Lengths, "16, 32, 48 bytes", [b"k" * 32], [b"k" * 33]),
    ("10,26", STRING, Lengths, "10, 26 characters", ["k" * 26], ["k" * 11]),
    ("0 or 26 Bytes", STRING, Lengths, "0, 26 bytes", ["", "k" * 26], ["k"]),
    ("5, 10, 15, 20", INTEGER, Values, "5, 10, 15, 20", [5, 20], [6]),
    ("0,1,2", INTEGER, Values, "0, 1, 2", [1], [3]),
    ("0..247, 255", INTEGER, Intervals, "0..247, 255", [247, 255], [248, 256]),
    ("0..3, 99", INTEGER, Intervals, "0..3, 99", [99], [4]),
    ("0; 3.8..20.5", FLOAT, Intervals, "0, 3.8..20.5", [0.0, 20.5], [0.1, 20.6]),
    ("1...15", INTEGER, Intervals, "1..15", [15], [0]),
    ("0-255", INTEGER, Intervals, "0..255", [17], [256]),
    ("0-255 bytes", STRING, Lengths, "0..255 bytes", ["x"], ["x" * 256]),
    ("[1:4]", INTEGER, Intervals, "1..4", [4], [5]),
    ("-30..-120", INTEGER, Intervals, "-120..-30", [-120, -30, -77], [-29, -121]),
    (
        BUTTON,
        UNSIGNED,
        Labels,
        "0: RELEASE, 1: CLICK, 2: HOLD, 3: DOUBLE-CLICK, 255: STUCK",
        [0, 255],
        [4],
    ),
    ("0=off; 1=on", INTEGER, Labels, "0: off, 1: on", [1], [2]),
    ("ON;OFF", FLOAT, Unparsed, "ON;OFF", [3.5], []),
    ("<7 to >12.5", INTEGER, Unparsed, "<7 to >12.5", [-5], []),
    ("0..65535", ResourceType.BOOLEAN, Unparsed, "0..65535", [True], []),
    ("", INTEGER, Unparsed, "", [-5], []),
    (" \n\t ", INTEGER, Unparsed, "", [-5], []),
]


@pytest.mark.parametrize(("text", "kind", "sort", "shown", "good", "bad"), SYNTAXES)
def test_every_syntax_that_occurs(text, kind, sort, shown, good, bad):
    found = parse_range(text, kind)
    assert type(found) is sort
    assert str(found) == shown
    assert [value for value in good if found.check(value) is not None] == []
    assert [value for value in bad if found.check(value) is None] == []


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("0: A\n0: B", INTEGER),
        ("1:4", INTEGER),
        ("0: 5", INTEGER),
        ("0..4 bytes", INTEGER),
        ("65 bits", INTEGER),
        ("8 bits", FLOAT),
        ("8 characters", INTEGER),
        ("0..8 bits", OPAQUE),
        ("0..8 characters", OPAQUE),
        ("-1..8", STRING),
        ("0.5..8", STRING),
        ("-5", INTEGER),
        ("1,,2", INTEGER),
        ("1..2..3", INTEGER),
        ("0..100 %", INTEGER),
        ("9" * 400, INTEGER),
        ("9" * 310 + ".5", FLOAT),
        ("0..1, " * 3000 + "7", INTEGER),
        ("see the core specification", INTEGER),
    ],
)
def test_what_cannot_be_read_allows_everything(text, kind):
    assert parse_range(text, kind) == Unparsed(text)
    assert parse_range(text, kind).check(-1e300) is None


@pytest.mark.parametrize(
    ("text", "kind", "value", "fault"),
    [
        ("0..100", INTEGER, 300, "300 is not in 0..100"),
        ("0..100", INTEGER, "50", "'50' is not in 0..100"),
        ("0..1", INTEGER, True, "True is not in 0..1"),
        ("0..100", FLOAT, float("nan"), "nan is not in 0..100"),
        ("5, 10", INTEGER, 7, "7 is none of 5, 10"),
        ("1..3", STRING, "long", "a length of 4 is not in 1..3 characters"),
        ("1..3", STRING, 5, "5 has no length"),
        ("0: off\n1: on", INTEGER, 2, "2 is none of 0: off, 1: on"),
        ("0..1", INTEGER, 1 << 300, "a huge integer is not in 0..1"),
    ],
)
def test_faults_are_sentences(text, kind, value, fault):
    assert parse_range(text, kind).check(value) == fault


def test_bounds_hold_for_floats_of_32_bits():
    """0.1 as a device sends it in 32 bits is 0.10000000149."""
    assert parse_range("0..0.1", FLOAT).check(0.10000000149011612) is None
    assert parse_range("0..0.1", FLOAT).check(0.1000001) is not None
    assert parse_range("0.1, 0.5", FLOAT).check(0.10000000149011612) is None
    assert parse_range("1..2", FLOAT).check(1e300) is not None
    assert parse_range(f"0..1{'0' * 300}", FLOAT).check(1e301) is not None
    assert parse_range(f"0..1{'0' * 309}", FLOAT).check(float("inf")) is not None


def test_labels_are_there_for_whoever_shows_values():
    found = parse_range(BUTTON, UNSIGNED)
    assert isinstance(found, Labels)
    assert found.labels == {0: "RELEASE", 1: "CLICK", 2: "HOLD", 3: "DOUBLE-CLICK", 255: "STUCK"}


def test_a_resource_knows_what_it_allows():
    level = Catalog.bundled()[3]["battery_level"]
    assert str(level.allowed) == "0..100"
    assert level.allowed.check(300) == "300 is not in 0..100"
    assert level.allowed.check(100) is None


def test_the_whole_registry_is_read():
    catalog = Catalog.bundled()
    resources = [
        resource
        for newest in catalog
        for version in catalog.versions(newest.id)
        for resource in catalog[newest.id, version].resources.values()
    ]
    kinds = Counter(type(resource.allowed).__name__ for resource in resources if resource.range)
    assert kinds == {"Intervals": 727, "Lengths": 126, "Unparsed": 9, "Labels": 7, "Values": 2}
    unparsed = {resource.range for resource in resources if resource.range} & {
        str(resource.allowed) for resource in resources if isinstance(resource.allowed, Unparsed)
    }
    assert unparsed == {"2 Instances", "<7 to >12.5", "ON;OFF", "0..65535"}
    assert sum(not resource.range for resource in resources) == len(resources) - 871


KINDS = st.sampled_from(ResourceType)
HUGE = st.tuples(st.sampled_from(["1", "-9"]), st.integers(295, 312), st.sampled_from(["", ".5"]))
NUMBERS = (
    HUGE.map(lambda parts: parts[0] + "9" * parts[1] + parts[2])
    | st.integers().map(str)
    | st.decimals(allow_nan=False, allow_infinity=False).map(lambda d: f"{d:f}")
)
SEPARATORS = st.sampled_from(
    ["..", "...", "-", ", ", ";", ":", "=", " or ", "\n", " ", "[", "]", "bit", " bytes", "8-Bits", "on", "."]
)
TEXTS = st.text(max_size=60) | st.lists(NUMBERS | SEPARATORS, max_size=9).map("".join)
VALUES = (
    st.integers()
    | st.floats()
    | st.booleans()
    | st.text(max_size=20)
    | st.binary(max_size=20)
    | st.builds(ObjLink, st.integers(0, 65535), st.integers(0, 65535))
)


@given(TEXTS, KINDS)
def test_what_is_printed_means_the_same(text, kind):
    found = parse_range(text, kind)
    assert parse_range(str(found), kind) == found


@given(TEXTS, KINDS, VALUES)
def test_any_value_can_be_checked(text, kind, value):
    fault = parse_range(text, kind).check(value)
    assert fault is None or len(fault) > 0


@given(st.integers(-(2**63), 2**63 - 1), st.integers(-(2**63), 2**63 - 1), st.integers(-(2**63), 2**63 - 1))
def test_an_interval_allows_what_lies_between_its_bounds(first, second, value):
    inside = min(first, second) <= value <= max(first, second)
    assert (parse_range(f"{first}..{second}", INTEGER).check(value) is None) is inside
