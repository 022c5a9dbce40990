"""Properties all codecs share: what goes out comes back, and no bytes do harm."""

from __future__ import annotations

import json
import math
import random
import struct
import tracemalloc
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import cbor2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lwm2m_engine.codecs import Codec, Codecs, decode, decode_each, decode_paths, encode, encode_paths
from lwm2m_engine.entries import Entry
from lwm2m_engine.errors import CodecError, DecodeError, EncodeError, UnsupportedFormat
from lwm2m_engine.formats import ContentFormat
from lwm2m_engine.paths import Path
from lwm2m_engine.values import ObjLink, ResourceType

pytestmark = pytest.mark.slow

SENML = (
    ContentFormat.SENML_JSON,
    ContentFormat.SENML_CBOR,
    ContentFormat.SENML_ETCH_JSON,
    ContentFormat.SENML_ETCH_CBOR,
)
RECORDS = (*SENML, ContentFormat.OMA_JSON)
LISTS_OF_PATHS = NULLS = (*SENML, ContentFormat.LWM2M_CBOR)
MANY = (*RECORDS, ContentFormat.TLV, ContentFormat.LWM2M_CBOR)
"""Formats for more than one value."""
SINGLE = (ContentFormat.TEXT, ContentFormat.CBOR)
ALL = tuple(ContentFormat)

TYPES = [kind for kind in ResourceType if kind is not ResourceType.NONE]
"""Resource n of the invented Object 1024 has the n-th type; from 100 on, with instances."""

ids = st.integers(0, 65535)
examples = settings(deadline=None, max_examples=60)
values: dict[ResourceType, st.SearchStrategy[Any]] = {
    ResourceType.STRING: st.text(),
    ResourceType.CORELNK: st.sampled_from(["</3>", '</>;rt="oma.lwm2m",</1/0>']),
    ResourceType.INTEGER: st.integers(-(2**63), 2**63 - 1),
    ResourceType.UNSIGNED_INTEGER: st.integers(0, 2**64 - 1),
    ResourceType.FLOAT: st.floats(allow_nan=False, allow_infinity=False),
    ResourceType.BOOLEAN: st.booleans(),
    ResourceType.OPAQUE: st.binary(max_size=300),
    ResourceType.TIME: st.integers(-(2**62), 2**62),
    ResourceType.OBJLNK: st.builds(ObjLink, ids, ids),
}


def types(path: Path) -> ResourceType | None:
    return TYPES[path[2] % 100] if path[0] == 1024 and path[2] % 100 < len(TYPES) else None


@st.composite
def trees(draw: st.DrawFn) -> list[Entry]:
    """Entries of some instances of Object 1024, in order."""
    entries = {}
    for instance in sorted(draw(st.sets(st.integers(0, 65534), max_size=3))):
        for number in sorted(draw(st.sets(st.integers(0, len(TYPES) - 1), max_size=6))):
            value = values[TYPES[number]]
            if draw(st.booleans()):
                entries[1024, instance, number] = draw(value)
            else:
                for member in sorted(draw(st.sets(ids, max_size=3))):
                    entries[1024, instance, number + 100, member] = draw(value)
    return [Entry(Path(path), value) for path, value in entries.items()]


def shown(entries: list[Entry]) -> list[tuple[Any, ...]]:
    return sorted(((path, type(value), value, time) for path, value, time in entries), key=lambda row: row[0])


LEVELS = {
    "root": "/",
    "object": "/1024",
    "instance": "/1024/7",
    "multiple resource": "/1024/7/{multiple}",
    "resource": "/1024/7/{single}",
    "resource instance": "/1024/7/{multiple}/3",
}


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("kind", TYPES, ids=lambda kind: kind.value)
@pytest.mark.parametrize("content_format", MANY, ids=lambda member: member.label)
@settings(deadline=None, max_examples=10)
@given(data=st.data())
def test_every_type_at_every_level(
    content_format: int, kind: ResourceType, level: str, data: st.DataObject
) -> None:
    if content_format == ContentFormat.TLV and level == "root":
        return
    single = TYPES.index(kind)
    at = Path(LEVELS[level].format(single=single, multiple=single + 100))
    everywhere = [Path((1024, 7, single)), *(Path((1024, 7, single + 100, member)) for member in (0, 3, 300))]
    entries = [Entry(path, data.draw(values[kind])) for path in everywhere if path.startswith(at)]
    survive(entries, content_format, at)


def survive(entries: list[Entry], content_format: int, at: Path, **options: Any) -> None:
    payload = encode(entries, content_format, at=at, types=types)
    for strict in (False, True):
        again = decode(payload, content_format, at=at, types=types, strict=strict, **options)
        assert shown(again) == shown(entries)


@pytest.mark.parametrize("content_format", MANY)
@examples
@given(entries=trees())
def test_round_trip(content_format: int, entries: list[Entry]) -> None:
    survive(entries, content_format, Path("/1024"))


@pytest.mark.parametrize("content_format", NULLS)
@examples
@given(entries=trees(), data=st.data())
def test_nulls_survive(content_format: int, entries: list[Entry], data: st.DataObject) -> None:
    survive(
        [entry._replace(value=None) if data.draw(st.booleans()) else entry for entry in entries],
        content_format,
        Path("/"),
    )


@pytest.mark.parametrize("content_format", sorted(set(ALL) - set(NULLS)))
def test_other_formats_have_no_null(content_format: int) -> None:
    at = Path("/1024/0/0")
    with pytest.raises(EncodeError, match="no value"):
        encode([Entry(at, None)], content_format, at=at)


@pytest.mark.parametrize("content_format", RECORDS)
@examples
@given(entries=trees(), data=st.data())
def test_times_survive(content_format: int, entries: list[Entry], data: st.DataObject) -> None:
    # Milliseconds since 2000: below 2^28 seconds a time would be relative to now.
    times = st.none() | st.integers(946_684_800_000, 4_000_000_000_000).map(lambda ms: ms / 1000)
    timed = [entry._replace(time=data.draw(times)) for entry in entries]
    survive(timed, content_format, Path("/1024"), now=2e9)


@pytest.mark.parametrize("content_format", SINGLE)
@examples
@given(number=st.integers(0, len(TYPES) - 1), data=st.data())
def test_single_round_trip(content_format: int, number: int, data: st.DataObject) -> None:
    entry = Entry(Path((1024, 0, number)), data.draw(values[TYPES[number]]))
    payload = encode([entry], content_format, at=entry.path, types=types)
    assert shown(decode(payload, content_format, at=entry.path, types=types)) == shown([entry])


@examples
@given(value=st.floats())
def test_every_float_survives_in_binary_formats(value: float) -> None:
    entry = Entry(Path("/3303/0/5700"), value)
    binary = (ContentFormat.TLV, ContentFormat.SENML_CBOR, ContentFormat.CBOR, ContentFormat.LWM2M_CBOR)
    for content_format in binary:
        payload = encode([entry], content_format, at=entry.path, types=lambda path: ResourceType.FLOAT)
        (again,) = decode(payload, content_format, at=entry.path, types=lambda path: ResourceType.FLOAT)
        assert struct.pack(">d", again.value) == struct.pack(">d", value) or math.isnan(value)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_json_has_no_such_numbers(value: float) -> None:
    for content_format in (ContentFormat.SENML_JSON, ContentFormat.OMA_JSON):
        with pytest.raises(EncodeError, match="JSON"):
            encode([Entry(Path("/3303/0/5700"), value)], content_format)


@pytest.mark.parametrize("content_format", ALL)
@examples
@given(payload=st.binary(max_size=80), at=st.sampled_from(["/", "/3", "/3/0", "/3/0/6", "/3/0/6/0", "/1024"]))
def test_any_bytes(content_format: int, payload: bytes, at: str) -> None:
    with suppress(DecodeError):
        entries = decode(payload, content_format, at=Path(at), types=types)
        assert all(entry.path.startswith(Path(at)) for entry in entries)


json_like = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.just("/3/0/9"),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["bn", "bt", "n", "t", "v", "vs", "vb", "vd", "vlo", "e", "sv", "bv"]), inner
        )
    ),
    max_leaves=12,
)


@examples
@given(structure=json_like)
def test_any_structure(structure: object) -> None:
    labels = {"bn": -2, "bt": -3, "n": 0, "t": 6, "v": 2, "vs": 3, "vb": 4, "vd": 8}

    def relabelled(item: object) -> object:
        if isinstance(item, dict):
            return {labels.get(key, key): relabelled(value) for key, value in item.items()}
        return [relabelled(value) for value in item] if isinstance(item, list) else item

    for content_format in (ContentFormat.SENML_JSON, ContentFormat.OMA_JSON):
        harmless(json.dumps(structure).encode(), content_format)
    harmless(cbor2.dumps(relabelled(structure)), ContentFormat.SENML_CBOR)


keys = st.integers(-1, 70_000) | st.integers(0, 30) | st.booleans() | st.just(9.0) | st.just("dev1")
trees_of_keys = st.recursive(
    st.none() | st.integers() | st.text(max_size=3) | st.lists(st.integers(), max_size=2),
    lambda inner: st.dictionaries(keys | st.lists(keys, max_size=5).map(tuple), inner, max_size=3),
    max_leaves=8,
)


@examples
@given(tree=trees_of_keys)
def test_any_tree(tree: object) -> None:
    harmless(cbor2.dumps(tree), ContentFormat.LWM2M_CBOR)


def harmless(payload: bytes, content_format: int) -> None:
    for read in (decode, decode_paths):
        with suppress(CodecError):
            read(payload, content_format)


@pytest.mark.parametrize(
    ("payload", "content_format"),
    [
        (b"[" * 100_000, ContentFormat.SENML_JSON),
        (b'[{"v":' * 20_000, ContentFormat.SENML_JSON),
        (b'[{"bn":"/3/0/9","v":' + b"9" * 100_000 + b"}]", ContentFormat.SENML_JSON),
        (b'[{"bn":"/3/0/9","v":' + b"9" * 4000 + b"}]", ContentFormat.SENML_JSON),
        (b'[{"bn":"/3/0/9","v":1,"bt":' + b"9" * 4000 + b"}]", ContentFormat.SENML_JSON),
        (b'[{"bn":"/3/0/9","v":1e' + b"9" * 400 + b"}]", ContentFormat.SENML_JSON),
        (b"\x81" * 100_000, ContentFormat.SENML_CBOR),
        (b"\xc1" * 100_000, ContentFormat.SENML_CBOR),
        (b"\x9b\x7f" + b"\xff" * 7, ContentFormat.SENML_CBOR),
        (bytes.fromhex("81a221662f332f302f3902c2590fff") + b"\xff" * 4095, ContentFormat.SENML_CBOR),
        (bytes.fromhex("c48200c2 5a000f0000") + b"\xff" * 0xF0000, ContentFormat.CBOR),
        (bytes.fromhex("c4821a7fffffff01"), ContentFormat.CBOR),
        (bytes.fromhex("c5821a7fffffff01"), ContentFormat.CBOR),
        (
            b"".join(b"\x18\x00" + size.to_bytes(3, "big") for size in range(100_000, 0, -5)),
            ContentFormat.TLV,
        ),
        (b"\xa1\x03" * 100_000, ContentFormat.LWM2M_CBOR),
        (b"\xa1\x81" * 100_000, ContentFormat.LWM2M_CBOR),
        (b"\xbb\x7f" + b"\xff" * 7, ContentFormat.LWM2M_CBOR),
        (bytes.fromhex("a1830300c2590fff") + b"\xff" * 4095 + b"\x01", ContentFormat.LWM2M_CBOR),
        (b"\x18\x00\xff\xff\xff", ContentFormat.TLV),
        (b"\x00\x00" * 50_000, ContentFormat.TLV),
    ],
)
def test_hostile(payload: bytes, content_format: int) -> None:
    at = Path("/3") if content_format == ContentFormat.TLV else Path("/3/0/9")
    with pytest.raises(DecodeError):
        decode(payload, content_format, at=at)


def test_errors_say_where() -> None:
    with pytest.raises(DecodeError) as caught:
        decode(bytes.fromhex("c10958c20d00"), 11542, at=Path("/3/0"))
    error = caught.value
    assert (error.content_format, error.offset, error.path) == (11542, 3, Path("/3/0"))
    with pytest.raises(DecodeError) as caught:
        decode(b'  [{"bn":"/3/0/\xc3\xa4"},,]', 110, at=Path("/3/0"))
    assert caught.value.offset == 20
    with pytest.raises(DecodeError, match=r"record 1: 'x' is not an Integer.*path /1024/0/1"):
        decode(b'[{"bn":"/1024/0/","n":"0","vs":"x"},{"n":"1","vs":"x"}]', 110, types=types)


@pytest.mark.parametrize("content_format", RECORDS)
@pytest.mark.parametrize("time", [1716501300.556635828, 1664832119.123456789, 1664832119])
def test_times_are_as_exact_as_they_came(content_format: int, time: float) -> None:
    """To the quarter of a microsecond that a double tells apart."""
    entries = [Entry(Path("/3303/0/5700"), 21.5, time), Entry(Path("/3303/1/5700"), 22.5, time + 1)]
    assert decode(encode(entries, content_format), content_format) == entries


def test_relative_times_count_from_now() -> None:
    payload = b'[{"bn":"/3/0/9","v":1},{"v":2,"t":-5},{"v":3,"t":0},{"v":4,"t":2000000000}]'
    at = Path("/3/0/9")
    assert [entry.time for entry in decode(payload, 110, at=at, now=1e9)] == [None, 1e9 - 5, 1e9, 2000000000]
    assert [entry.time for entry in decode(payload, 110, at=at)] == [None, -5, 0, 2000000000]


def test_without_a_model_values_keep_their_own_type() -> None:
    payload = (
        b'[{"bn":"/9999/0/","n":"0","vd":"3q2-7A"},{"n":"1","v":2},{"n":"2","v":2.0},{"n":"3","vlo":"3:0"}]'
    )
    assert [entry.value for entry in decode(payload, 110)] == [b"\xde\xad\xbe\xec", 2, 2.0, ObjLink(3, 0)]
    assert [entry.value for entry in decode(b"\xc1\x00\x07", 11542, at=Path("/9999/0"))] == [b"\x07"]


def test_integers_of_more_than_64_bits_are_refused_without_a_model() -> None:
    with pytest.raises(DecodeError, match="64 bits"):
        decode(b'[{"bn":"/9999/0/1","v":18446744073709551616}]', 110)


def test_link_format_is_a_value_of_core_links_only() -> None:
    at = Path((1024, 0, TYPES.index(ResourceType.CORELNK)))
    assert decode(b"</3>", 40, at=at, types=types) == [Entry(at, "</3>")]
    assert encode([Entry(at, "</3>")], 40, at=at, types=types) == b"</3>"
    for elsewhere in ("/1024/0/0", "/1024/0"):
        with pytest.raises(DecodeError):
            decode(b"</3>", 40, at=Path(elsewhere), types=types)
    with pytest.raises(EncodeError):
        encode([Entry(Path("/1024/0/0"), "</3>")], 40, types=types)


def test_opaque_is_for_opaque() -> None:
    at = Path((1024, 0, TYPES.index(ResourceType.OPAQUE)))
    assert decode(b"\x00\xff", 42, at=at, types=types) == [Entry(at, b"\x00\xff")]
    assert encode([Entry(at, b"\x00\xff")], 42, at=at, types=types) == b"\x00\xff"
    with pytest.raises(DecodeError):
        decode(b"\x00\xff", 42, at=Path("/1024/0/0"), types=types)
    with pytest.raises(EncodeError):
        encode([Entry(Path("/1024/0/0"), "text")], 42, types=types)


@pytest.mark.parametrize(
    ("entries", "content_format", "at", "reason"),
    [
        ([("/3/0/9", 1), ("/3/0/9", 2)], 112, "/3/0", "given twice"),
        ([("/3/0/9", 1)], 112, "/6/0", "not below /6/0"),
        ([("/3/0", 1)], 112, "/", "only Resources"),
        ([("/3/0/9", None)], 11543, "/", "no value"),
        ([("/1024/0/1", "x")], 112, "/", "not an Integer"),
        ([("/3/0/9", 1, 1e9)], 11542, "/3/0", "no times"),
        ([("/3/0/9", 1)], 11542, "/", "path of the request"),
        ([("/3/0/6", 1), ("/3/0/6/0", 1)], 11542, "/3/0", "both single and with instances"),
        ([("/1024/0/6", 0.5)], 11542, "/1024/0", "whole seconds"),
        ([("/3/0/9", 1), ("/3/0/10", 1)], 0, "/3/0", "one value, not 2"),
        ([("/3/0/6/0", 1)], 0, "/3/0/6", "multiple-instance"),
        ([("/3/0/6/0", 1), ("/3/0/6", 1)], 11542, "/3/0", "both single and with instances"),
        ([("/3/0/9", 1, 1e9)], 11544, "/3/0", "no times"),
        ([("/3/0/6", 1), ("/3/0/6/0", 1)], 11544, "/3/0", "both single and with instances"),
        ([("/3/0/6/0", 1), ("/3/0/6", 1)], 11544, "/3/0", "both single and with instances"),
    ],
)
def test_refused_on_the_way_out(entries: list[Any], content_format: int, at: str, reason: str) -> None:
    facts = [Entry(Path(path), *rest) for path, *rest in entries]
    kinds = {Path("/1024/0/1"): ResourceType.INTEGER, Path("/1024/0/6"): ResourceType.TIME}
    with pytest.raises(EncodeError, match=reason):
        encode(facts, content_format, at=Path(at), types=kinds.get)


@pytest.mark.parametrize("content_format", sorted(set(ALL) - {ContentFormat.OPAQUE}))
def test_half_a_surrogate_pair_is_not_written(content_format: int) -> None:
    at = Path("/1024/0/0")
    with pytest.raises(EncodeError, match="surrogate"):
        encode([Entry(at, "\ud83d")], content_format, at=at)


def test_large_tlv_elements() -> None:
    at = Path("/5/0/0")
    for size in (7, 8, 255, 256, 65535, 65536):
        entry = Entry(at, bytes(size))
        payload = encode([entry], 11542, at=at)
        assert len(payload) == size + 2 + (size > 7) + (size > 255) + (size > 65535)
        assert decode(payload, 11542, at=at) == [entry]
    with pytest.raises(EncodeError, match="more than a TLV element holds"):
        encode([Entry(at, bytes(2**24))], 11542, at=at)


@pytest.mark.parametrize(("old", "new"), [(1541, 0), (1542, 11542), (1543, 11543), (1544, 42)])
def test_numbers_from_before_iana(old: int, new: int) -> None:
    codecs = Codecs()
    assert old in codecs
    assert codecs[old] is codecs[new]


@pytest.mark.parametrize("number", [None, 666, 50, 11545])
def test_unknown_formats(number: Any) -> None:
    assert number not in Codecs()
    for call in (
        lambda: decode(b"", number),
        lambda: encode([], number),
        lambda: decode_paths(b"", number),
        lambda: encode_paths([], number),
    ):
        with pytest.raises(UnsupportedFormat) as caught:
            call()
        assert caught.value.content_format == number


def test_all_objects_have_a_name_and_no_key() -> None:
    everything = [Path("/")]
    assert decode_paths(encode_paths(everything, 112), 112) == everything
    with pytest.raises(EncodeError, match=r"no key for all Objects.*11544"):
        encode_paths(everything, 11544)


def test_paths_outside_the_root() -> None:
    payload = encode_paths([Path("/3")], 112, root="/lwm2m")
    with pytest.raises(DecodeError, match="not below /other"):
        decode_paths(payload, 112, root="/other")


def test_not_every_format_lists_paths() -> None:
    with pytest.raises(UnsupportedFormat, match="list of paths"):
        encode_paths([Path("/3")], 11542)
    with pytest.raises(UnsupportedFormat, match="list of paths"):
        decode_paths(b"", 0)


def test_a_plugin_adds_and_replaces() -> None:
    hello = Codec(65001, lambda payload, scope: [Entry(scope.at, payload)], lambda entries, scope: b"hello")
    codecs = Codecs().extended([hello, Codec(0, hello.decode, hello.encode)])
    at = Path("/9/0/0")
    assert codecs.decode(b"x", 65001, at=at) == codecs.decode(b"x", 0, at=at) == [Entry(at, b"x")]
    assert 65001 not in Codecs()
    assert set(codecs) == {*Codecs(), 65001}


@examples
@given(
    paths=st.lists(st.builds(Path, st.lists(st.integers(0, 65534), min_size=1, max_size=4)), unique=True),
    content_format=st.sampled_from(LISTS_OF_PATHS),
)
def test_paths_round_trip(paths: list[Path], content_format: int) -> None:
    for root in ("/", "/lwm2m"):
        payload = encode_paths(paths, content_format, root=root)
        assert decode_paths(payload, content_format, root=root) == paths


def test_entries_survive_a_change_of_format() -> None:
    """What TLV says untyped stays bytes, whatever it travels in."""
    entries = [Entry(Path("/9999/0/1"), b"\x01\x02")]
    payload = encode(entries, 110)
    assert decode(payload, 110) == entries


@pytest.mark.parametrize("number", [ContentFormat.SENML_JSON, ContentFormat.OMA_JSON])
def test_half_a_surrogate_pair_is_no_text(number):
    record = {
        ContentFormat.SENML_JSON: '[{"n":"/3/0/0","vs":"%s"}]',
        ContentFormat.OMA_JSON: '{"e":[{"n":"/3/0/0","sv":"%s"}]}',
    }
    whole = decode((record[number] % r"\ud83d\ude00").encode(), number)
    assert whole[0].value == "\U0001f600"
    with pytest.raises(DecodeError):
        decode((record[number] % r"\ud83d").encode(), number)


# --- large values -------------------------------------------------------------------------------------

LARGE = 2**20
CARRY_OPAQUE = [member for member in ContentFormat if member is not ContentFormat.LINK_FORMAT]


@pytest.mark.parametrize("content_format", CARRY_OPAQUE, ids=lambda member: member.label)
def test_memory_of_a_large_opaque(content_format: int) -> None:
    """At most four times the value beside what the caller holds, in either direction."""
    entry = Entry(Path((1024, 0, TYPES.index(ResourceType.OPAQUE))), random.Random(1).randbytes(LARGE))
    payload, peak = measured(lambda: encode([entry], content_format, at=entry.path, types=types))
    assert peak <= 4 * LARGE, f"encode: {peak / LARGE:.1f} times the value"
    entries, peak = measured(lambda: decode(payload, content_format, at=entry.path, types=types))
    assert peak <= 4 * LARGE, f"decode: {peak / LARGE:.1f} times the value"
    assert entries == [entry]


def measured(work: Callable[[], Any]) -> tuple[Any, int]:
    work()
    tracemalloc.start()
    try:
        result = work()
        return result, tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("value", [-1.8446744073709552e19, 1.8446744073709552e19, 1e300, -9.3e18])
@pytest.mark.parametrize("number", [ContentFormat.SENML_JSON, ContentFormat.OMA_JSON])
def test_numbers_beyond_64_bits_stay_floats(value, number):
    entries = [Entry(Path("/9999/0/1"), value)]
    assert decode(encode(entries, number), number) == entries


FLOAT = Path("/3303/0/5700")


@pytest.mark.parametrize(
    ("payload", "content_format", "is_integer"),
    [
        (b"21", ContentFormat.TEXT, True),
        (b"-21", ContentFormat.TEXT, True),
        (b"21.0", ContentFormat.TEXT, False),
        (b"2e3", ContentFormat.TEXT, False),
        (b'[{"n":"/3303/0/5700","v":21}]', ContentFormat.SENML_JSON, True),
        (b'[{"n":"/3303/0/5700","v":1e17}]', ContentFormat.SENML_JSON, False),
        (b'{"bn":"/3303/0/5700","e":[{"v":21}]}', ContentFormat.OMA_JSON, True),
        (bytes.fromhex("15"), ContentFormat.CBOR, True),
        (bytes.fromhex("c48201 02"), ContentFormat.CBOR, False),
        (bytes.fromhex("c48221 1903e8"), ContentFormat.CBOR, False),
        (bytes.fromhex("81a2006c2f333330332f302f353730300215"), ContentFormat.SENML_CBOR, True),
        (bytes.fromhex("a183190ce70019164415"), ContentFormat.LWM2M_CBOR, True),
    ],
)
def test_only_the_strict_refuse_integers_for_floats(
    payload: bytes, content_format: int, is_integer: bool
) -> None:
    def float_type(path: Path) -> ResourceType:
        return ResourceType.FLOAT

    (entry,) = decode(payload, content_format, at=FLOAT, types=float_type)
    assert type(entry.value) is float
    if is_integer:
        with pytest.raises(DecodeError, match="an integer where a Float is due"):
            decode(payload, content_format, at=FLOAT, types=float_type, strict=True)
    else:
        assert decode(payload, content_format, at=FLOAT, types=float_type, strict=True) == [entry]
    (untyped,) = decode(payload, content_format, at=FLOAT)
    assert type(untyped.value) in (int, float, str)


@examples
@given(
    value=st.floats(allow_nan=False, allow_infinity=False),
    content_format=st.sampled_from((*RECORDS, *SINGLE)),
)
def test_written_floats_are_floats_to_the_strict(value: float, content_format: int) -> None:
    payload = encode([Entry(FLOAT, value)], content_format, at=FLOAT, types=lambda path: ResourceType.FLOAT)
    (entry,) = decode(payload, content_format, at=FLOAT, types=lambda path: ResourceType.FLOAT, strict=True)
    assert type(entry.value) is float
    assert entry.value == value


# --- end devices behind a gateway (Object 25) ----------------------------------------------------------

PREFIXED = (*SENML, ContentFormat.LWM2M_CBOR)
OBJECT = Path("/1024")
PREFIXES = ["/dev0", "/lwm2m/dev0", "/dev0/", "/d-1.x"]


@pytest.mark.parametrize("root", PREFIXES)
@pytest.mark.parametrize("content_format", PREFIXED, ids=lambda member: member.label)
@examples
@given(entries=trees())
def test_prefixes_there_and_back(content_format: int, root: str, entries: list[Entry]) -> None:
    survive_below(entries, content_format, root)
    for entry in entries[:1]:
        survive_below([entry], content_format, root, at=entry.path)


def survive_below(entries: list[Entry], content_format: int, root: str, at: Path = OBJECT) -> None:
    payload = encode(entries, content_format, at=at, types=types, root=root)
    again = decode(payload, content_format, at=at, types=types, root=root, strict=True)
    assert shown(again) == shown(entries)
    each = decode_each(payload, content_format, types=lambda prefix: types, strict=True)
    assert {prefix: shown(found) for prefix, found in each.items()} == (
        {root.rstrip("/"): shown(entries)} if entries else {}
    )
    paths = [entry.path for entry in entries]
    listed = encode_paths(paths, content_format, root=root)
    assert decode_paths(listed, content_format, root=root) == paths


@pytest.mark.parametrize("content_format", PREFIXED, ids=lambda member: member.label)
def test_a_forgotten_prefix_is_tolerated_and_another_is_not(content_format: int) -> None:
    entries = [Entry(Path("/3303/0/5700"), 21.5), Entry(Path("/3303/0/5701"), "Cel")]
    payload = encode(entries, content_format, at=Path("/3303/0"))
    assert decode(payload, content_format, at=Path("/3303/0"), root="/dev0") == entries
    with pytest.raises(DecodeError):
        decode(payload, content_format, at=Path("/3303/0"), root="/dev0", strict=True)
    other = encode(entries, content_format, at=Path("/3303/0"), root="/dev1")
    for root in ("/dev0", "/", "/dev1/dev0", "/dev"):
        with pytest.raises(DecodeError):
            decode(other, content_format, at=Path("/3303/0"), root=root)


@pytest.mark.parametrize("content_format", [ContentFormat.SENML_JSON, ContentFormat.SENML_ETCH_JSON])
def test_values_of_a_gateway_are_not_those_of_an_end_device(content_format: int) -> None:
    payload = b'[{"n":"/dev0/3303/0/5700","v":1},{"n":"/3303/0/5700","v":2}]'
    with pytest.raises(DecodeError):
        decode(payload, content_format, root="/dev0")
    assert decode_each(payload, content_format) == {
        "/dev0": [Entry(FLOAT, 1)],
        "/": [Entry(FLOAT, 2)],
    }


def test_each_device_has_its_types_and_the_times_of_the_pack() -> None:
    payload = (
        b'[{"bn":"/dev0/3303/0/","bt":1e9,"n":"5700","v":1},{"n":"5701","v":2,"t":1},'
        b'{"bn":"/3303/0/5700","v":3},{"bn":"","n":"/lwm2m/dev0/3303/0/5700","v":4}]'
    )
    kinds = {"/": ResourceType.INTEGER}
    each = decode_each(payload, 110, types=lambda root: lambda path: kinds.get(root, ResourceType.FLOAT))
    assert {root: shown(entries) for root, entries in each.items()} == {
        "/dev0": [(FLOAT, float, 1.0, 1e9), (Path("/3303/0/5701"), float, 2.0, 1e9 + 1)],
        "/": [(FLOAT, int, 3, 1e9)],
        "/lwm2m/dev0": [(FLOAT, float, 4.0, 1e9)],
    }


@pytest.mark.parametrize(
    ("payload", "content_format", "reason"),
    [
        (b"[3]", 110, "record 0 is no map"),
        (b'[{"bn":3,"v":1}]', 110, "a name is no text"),
        (b'[{"n":"/dev0/3/0","v":1}]', 110, "no Resource"),
        (b'[{"n":"/dev0/3/0/9"}]', 110, "no value"),
        (bytes.fromhex("a1646465763001"), 11544, "no path"),
        (bytes.fromhex("01"), 11544, "is a map"),
    ],
)
def test_each_device_refused(payload: bytes, content_format: int, reason: str) -> None:
    with pytest.raises(DecodeError, match=reason) as caught:
        decode_each(payload, content_format)
    assert caught.value.content_format == content_format


def test_formats_without_prefixes() -> None:
    assert decode_each(b"", 11544) == decode_each(b"", 110) == {}
    for content_format in (0, 60, 11542, 11543):
        with pytest.raises(UnsupportedFormat, match="no prefixes"):
            decode_each(b"", content_format)
