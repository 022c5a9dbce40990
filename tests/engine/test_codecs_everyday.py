"""The short way gives what the long way gives. Which one is taken depends on how types are looked up."""

from __future__ import annotations

import tomllib
from pathlib import Path as File
from typing import Any

import cbor2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lwm2m_engine import Catalog
from lwm2m_engine.codecs import decode, encode, lwm2m_cbor_everyday, senml_cbor, tlv_everyday
from lwm2m_engine.codecs.codec import Scope
from lwm2m_engine.codecs.senml_everyday import Everyday
from lwm2m_engine.entries import Entry
from lwm2m_engine.errors import CodecError
from lwm2m_engine.formats import ContentFormat
from lwm2m_engine.paths import Path
from lwm2m_engine.type_lookup import ObjectTypes, TypeLookup
from lwm2m_engine.values import ObjLink, ResourceType

TYPES = [kind for kind in ResourceType if kind is not ResourceType.NONE]
KNOWN = ObjectTypes({number: TYPES[number % len(TYPES)] for number in (*range(18), 300, 301, 5700, 5701)})
"""Of Object 1024; of all others nothing is known."""
LOOKUP = TypeLookup(lambda object_id: KNOWN if object_id == 1024 else None)
PLACES = [
    Path(text) for text in ("/", "/1024", "/1024/0", "/1024/0/6", "/1024/0/5700", "/1024/0/6/0", "/3/0")
]
MANY = (ContentFormat.TLV, ContentFormat.LWM2M_CBOR, ContentFormat.SENML_CBOR, ContentFormat.SENML_JSON)

examples = settings(deadline=None, max_examples=200)
resource_ids = st.sampled_from([*range(12), 300, 5700])
instance_ids = st.sampled_from([0, 1, 255, 256, 65534, 65535])
numbers = st.sampled_from([0, 1, -1, 127, 128, 255, -129, 2**31, -(2**63), 2**63, 2**64 - 1, 2**64])
values = st.one_of(
    numbers, st.booleans(), st.floats(allow_nan=False), st.text(max_size=9), st.binary(max_size=9), st.none(),
    st.builds(ObjLink, st.integers(0, 65535), st.integers(0, 65535)),
)  # fmt: skip


def long_way(path: Path) -> ResourceType | None:
    return LOOKUP(path)


def outcome(work: Any, *arguments: Any, **options: Any) -> Any:
    try:
        result = work(*arguments, **options)
    except CodecError as error:
        return type(error), error.reason, error.path, error.offset
    if isinstance(result, bytes):
        return result
    return [
        (type(entry), type(path), path, type(value), value, time)
        for entry in result
        for path, value, time in [entry]
    ]


def same_both_ways(payload: bytes, content_format: int, at: Path) -> None:
    short = outcome(decode, payload, content_format, at=at, types=LOOKUP)
    assert short == outcome(decode, payload, content_format, at=at, types=long_way)


@st.composite
def entries(draw: st.DrawFn, at: Path) -> list[Entry]:
    """Nearly always what can be written, and now and then what cannot."""
    object_, instance = at[0] if at else 1024, at[1] if len(at) > 1 else 0
    found = []
    for _ in range(draw(st.integers(0, 5))):
        ids = [object_, draw(instance_ids) if draw(st.integers(0, 9)) == 9 else instance]
        ids.append(at[2] if len(at) > 2 and draw(st.integers(0, 9)) else draw(resource_ids))
        if draw(st.booleans()):
            ids.append(draw(instance_ids))
        if len(ids) > 1 and ids[1] == 65535:
            ids[1] = 0
        kind = KNOWN[ids[2]]
        value = draw(GOOD[kind] if draw(st.integers(0, 9)) else values)
        time = None if draw(st.integers(0, 9)) else 1e9
        found.append(Entry(Path(ids), value, time))
    return found


GOOD: dict[ResourceType, st.SearchStrategy[Any]] = {
    ResourceType.STRING: st.text(max_size=300),
    ResourceType.CORELNK: st.just("</3>"),
    ResourceType.INTEGER: st.integers(-(2**63), 2**63 - 1) | st.integers(-300, 300),
    ResourceType.UNSIGNED_INTEGER: st.integers(0, 2**64 - 1) | st.integers(0, 300),
    ResourceType.FLOAT: st.floats(allow_nan=False, allow_infinity=False),
    ResourceType.BOOLEAN: st.booleans(),
    ResourceType.OPAQUE: st.binary(max_size=300),
    ResourceType.TIME: st.integers(0, 2**33),
    ResourceType.OBJLNK: st.builds(ObjLink, st.integers(0, 65535), st.integers(0, 65535)),
}


@pytest.mark.parametrize("content_format", MANY, ids=lambda member: member.label)
@examples
@given(at=st.sampled_from(PLACES[:-1]), data=st.data())
def test_written_the_same_and_read_the_same(content_format: int, at: Path, data: st.DataObject) -> None:
    some = data.draw(entries(at))
    payload = outcome(encode, some, content_format, at=at, types=LOOKUP)
    assert payload == outcome(encode, some, content_format, at=at, types=long_way)
    if isinstance(payload, bytes):
        same_both_ways(payload, content_format, at)
        changed = bytearray(payload)
        for _ in range(data.draw(st.integers(1, 3))):
            where = data.draw(st.integers(0, len(changed)))
            changed[where : where + data.draw(st.integers(0, 2))] = data.draw(st.binary(max_size=2))
        same_both_ways(bytes(changed), content_format, at)


keys = st.sampled_from(
    [1024, 0, 1, 6, 11, 300, 5700, True, 1.0, -1, 65535, 65536, "dev1", None, b"", (), (1024, 0)]
)
trees = st.recursive(
    values.filter(lambda value: not isinstance(value, ObjLink)),
    lambda inner: st.dictionaries(keys | st.lists(keys, max_size=3).map(tuple), inner, max_size=4),
    max_leaves=8,
)


@examples
@given(tree=trees, at=st.sampled_from(PLACES), wrapped=st.integers(0, 2))
def test_any_tree(tree: Any, at: Path, wrapped: int) -> None:
    item = (tree, {(1024, 0): tree}, {1024: {0: tree}})[wrapped]
    same_both_ways(cbor2.dumps(item), ContentFormat.LWM2M_CBOR, at)


elements = st.recursive(
    st.binary(max_size=9),
    lambda inner: st.lists(
        st.tuples(st.sampled_from([0x00, 0x40, 0x80, 0xC0]), st.sampled_from([0, 1, 6, 300, 65535]), inner),
        max_size=4,
    ).map(lambda rows: b"".join(tlv_everyday.heads(*row[:2])[len(row[2])] + row[2] for row in rows)),
    max_leaves=8,
)


@examples
@given(payload=elements | st.binary(max_size=40), at=st.sampled_from(PLACES))
def test_any_elements(payload: bytes, at: Path) -> None:
    same_both_ways(payload, ContentFormat.TLV, at)


labels = st.sampled_from([-2, 0, 2, 3, 4, -3, 6, 8, "vlo", 5, False, 2.0, "x", "x_"])
names = st.sampled_from(
    ["/1024/0/", "1024/0/", "/1024/0/6", "6", "6/0", "300", "/3/0/1", "", "x", 6, b"6", (6,)]
)
fields = st.tuples(labels, names | values.filter(lambda value: not isinstance(value, ObjLink)))
records = st.lists(st.lists(fields, max_size=3).map(dict) | st.sampled_from([6, "6", [0, 2]]), max_size=3)


@examples
@given(pack=records, at=st.sampled_from(PLACES))
def test_any_records(pack: Any, at: Path) -> None:
    """The second time, what came of the first is remembered."""
    for item in (pack, [{-2: "/1024/0/", 0: "6", 3: "x"}, *pack]) * 2:
        same_both_ways(cbor2.dumps(item), ContentFormat.SENML_CBOR, at)


def test_everyday_payloads_go_the_short_way(catalog: Catalog) -> None:
    """Of the vectors nearly all that are decoded at an Object Instance: long and short ids, floats, links."""
    scope = Scope(at=Path("/3303/0"), types=catalog.types)
    temperature = [Entry(Path("/3303/0/5700"), 21.5), Entry(Path("/3303/0/5701"), "Cel")]
    payload = tlv_everyday.write(temperature, scope)
    assert payload is not None
    assert tlv_everyday.read(payload, scope) == temperature
    payload = lwm2m_cbor_everyday.write(temperature, scope)
    assert payload is not None
    assert lwm2m_cbor_everyday.read(cbor2.loads(payload), scope) == temperature
    payload = senml_cbor.encode(temperature, scope)
    assert Everyday(senml_cbor.LABELS).read(cbor2.loads(payload), scope) == temperature


def test_vectors_both_ways(catalog: Catalog) -> None:
    """With the registry's types, which are looked up by Object."""
    for name in ("tlv", "lwm2m_cbor", "senml_cbor", "senml_json"):
        file = tomllib.loads((File(__file__).parents[1] / "vectors" / f"{name}.toml").read_text("utf-8"))
        for row in file["vector"]:
            payload = bytes.fromhex(row["hex"]) if "hex" in row else row.get("text", "").encode()
            at = Path(row.get("path", "/"))
            short = outcome(decode, payload, file["format"], at=at, types=catalog.types)
            long = outcome(decode, payload, file["format"], at=at, types=lambda path: catalog.types(path))
            assert short == long, row["id"]


def test_more_than_what_is_kept() -> None:
    """What is worked out once is not kept for ever more paths, lengths and integers."""
    at = Path("/1024/0")
    many = [Entry(Path((1024, 0, 6, member)), member * 70_000) for member in range(300)]
    numbers = [Entry(Path("/1024/0/1"), value) for value in range(5000)]
    for content_format in MANY:
        payload = encode(many, content_format, at=at, types=LOOKUP)
        assert decode(payload, content_format, at=at, types=LOOKUP) == many
        same_both_ways(payload, content_format, at)
    for entry in numbers:
        payload = encode([entry, Entry(Path("/1024/0/0"), "")], ContentFormat.LWM2M_CBOR, at=at, types=LOOKUP)
        assert decode(payload, ContentFormat.LWM2M_CBOR, at=at, types=LOOKUP)[0] == entry


def test_names_of_a_whole_fleet() -> None:
    """What packs looked like is not remembered for ever more names and labels."""
    everyday = Everyday(senml_cbor.LABELS)
    for instance in range(3000):
        at, pack = Path((1024, instance)), [{-2: f"/1024/{instance}/", 0: "0", 3: "x"}]
        assert everyday.read(pack, Scope(at, LOOKUP)) == [Entry(at / 0, "x")]
    for length in range(300):
        pack = [{-2: "/1024/0/6/", 0: str(member), 4: True} for member in range(length + 1)]
        found = everyday.read(pack, Scope(Path("/1024/0"), LOOKUP))
        assert found is None if length > 100 else found is None or len(found) == length + 1


@pytest.mark.parametrize(
    "text",
    [
        "bf0dbf181abf01182a0215ffff2ebfffff",
        "a18219040000a106a280000100",
        "a1820300a1ed09",
        "a1820365a0",
        "a11a000100008000",
        "a182031a0001000000",
        "a18203190000a0",
    ],
)
def test_ids_out_of_range_are_refused_both_ways(text: str) -> None:
    for at in PLACES:
        same_both_ways(bytes.fromhex(text), ContentFormat.LWM2M_CBOR, at)
    tree = {(1024, 70_000): {1: 1}}
    same_both_ways(cbor2.dumps(tree), ContentFormat.LWM2M_CBOR, Path("/1024"))
    same_both_ways(cbor2.dumps({(1024, 65535): {1: 1}}), ContentFormat.LWM2M_CBOR, Path("/"))


def test_a_multiple_resource_alone_shares_the_key_of_its_instance() -> None:
    entries = [Entry(Path("/1024/0/6/1"), 1), Entry(Path("/1024/0/6/2"), 2)]
    payload = encode(entries, ContentFormat.LWM2M_CBOR, at=Path("/1024/0"), types=LOOKUP)
    assert cbor2.loads(payload) == {(1024, 0, 6): {1: 1, 2: 2}}
    assert payload == encode(entries, ContentFormat.LWM2M_CBOR, at=Path("/1024/0"), types=long_way)


@pytest.mark.parametrize(
    "trees",
    [
        [{(1024, 0): {1: 1, 6: {0: 2}}}, {(1024, 0): {1: 1, 6: 2}}],
        [{(1024, 0): {1: 1, 6: 2}}, {(1024, 0): {1: 1, 6: {0: 2}}}],
        [{(1024, 0): {1: 1}}, {(1024, 0): {True: 1}}, {(1024, 0): {1.0: 1}}, {(1024, False): {1: 1}}],
        [{(1024, 0): {(6, 1): 1}}, {(1024, 0): {(6, True): 1}}],
        [{(1024, 0): {6: {1: 1, 2: 2}}}, {(1024, 0): {6: {True: 1, 2: 2}}}, {(1024, 0): {6: {1: 1}}}],
        [{(1024, 0): {1: 1}}, {(1024, 0): {1: 1.0}}, {(1024, 0): {1: None}}, {(1024, 0): {1: "1"}}],
        [{(1024, 0): {1: 1}}, {(1024, 0): {1: 2**63}}, {(1024, 0): {1: -(2**63) - 1}}],
        [{(1024, 0): {1: 1}, 1024: {0: {1: 2}}}, {(1024, 0): {1: 1}, 1024: {1: {1: 2}}}],
        [{(1024, 0): {(6, 1): 1, 6: {1: 1}}}, {(1024, 0): 5}, {(1024, 0, 1): 1}, {(1024, 0): {}}],
        [{(1024, 0): {}}, {(1024, 65535): {}}, {(True, 0): {}}, {(1024, 0): {6: {}}}],
    ],
)
def test_what_resembles_the_payload_before(trees: list[Any]) -> None:
    """What is remembered of a payload holds for the next only if ids and values are of the same kind."""
    for tree in (*trees, *reversed(trees)):
        for at in (Path("/"), Path("/1024/0")):
            same_both_ways(cbor2.dumps(tree), ContentFormat.LWM2M_CBOR, at)


def test_more_forms_than_are_kept() -> None:
    for instance in range(1100):
        at = Path((1024, instance))
        payload = cbor2.dumps({(1024, instance): {1: instance}})
        entries = decode(payload, ContentFormat.LWM2M_CBOR, at=at, types=LOOKUP)
        assert entries == [Entry(Path((1024, instance, 1)), instance)]
