"""``lwm2m decode --dump``: which bytes are which entry."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from lwm2m_engine.codecs import Codecs, decode, encode
from lwm2m_engine.entries import Entry
from lwm2m_engine.errors import DecodeError, EncodeError
from lwm2m_engine.formats import ContentFormat
from lwm2m_engine.paths import ROOT, Path
from lwm2m_engine.values import ObjLink
from lwm2m_server.cli.hexview import hexview
from lwm2m_server.cli.spans import spans

VALUES = st.one_of(
    st.booleans(),
    st.integers(-(2**63), 2**64 - 1),
    st.floats(-1e9, 1e9),
    st.text(max_size=30),
    st.binary(max_size=300),
    st.builds(ObjLink, st.integers(0, 65535), st.integers(0, 65535)),
)
PATHS = st.tuples(st.just(3), st.just(0), st.integers(0, 400)).map(Path)
INSTANCES = st.tuples(st.just(3), st.just(0), st.integers(500, 502), st.integers(0, 300)).map(Path)
ENTRIES = st.dictionaries(PATHS | INSTANCES, VALUES, max_size=8).map(
    lambda values: [Entry(path, value) for path, value in values.items()]
)

SINGLE = {ContentFormat.TEXT, ContentFormat.OPAQUE, ContentFormat.CBOR, ContentFormat.LINK_FORMAT}


def dump(payload: bytes, content_format: int, at: Path = ROOT) -> list[str]:
    entries = decode(payload, content_format, at=at)
    found = spans(payload, content_format, entries)
    return list(hexview(payload, found, lambda entry: f"{entry.path} = {entry.value!r}"))


@given(ENTRIES, st.sampled_from(list(Codecs())))
def test_every_byte_and_every_entry_once(entries: list[Entry], content_format: int) -> None:
    at = Path("/3/0")
    try:
        payload = encode(entries, content_format, at=at)
    except EncodeError:
        return
    if content_format in SINGLE:
        at = entries[0].path
    read = decode(payload, content_format, at=at)
    found = spans(payload, content_format, read)
    assert [span.start for span in found] == [0, *(span.stop for span in found)][: len(found)]
    assert not payload or found[-1].stop == len(payload)
    told = [span.entry for span in found if span.entry is not None]
    assert sorted(told, key=lambda entry: entry.path) == sorted(read, key=lambda entry: entry.path)


def test_tlv() -> None:
    payload = bytes.fromhex("08000a 8306 410105 c010 c10964")
    assert dump(payload, ContentFormat.TLV, Path("/3")) == [
        "0000  08 00 0a                 ...       Object Instance 0, 10 bytes",
        "0003  83 06                    ..          multiple Resource 6, 3 bytes",
        "0005  41 01                    A.            Resource Instance 1, 1 byte",
        "0007  05                       .               /3/0/6/1 = b'\\x05'",
        "0008  c0 10                    ..          Resource 16, 0 bytes: /3/0/16 = b''",
        "000a  c1 09                    ..          Resource 9, 1 byte",
        "000c  64                       d             /3/0/9 = b'd'",
    ]


def test_cbor_with_indefinite_lengths_and_a_tag() -> None:
    payload = bytes.fromhex("bf 03 bf 00 bf 09 c11848 0e 7f6161ff ff ff ff")
    assert [line[41:] for line in dump(payload, ContentFormat.LWM2M_CBOR)] == [
        "map",
        "  3",
        "    map",
        "      0",
        "        map",
        "          9",
        "            tag 1: /3/0/9 = 72",
        "              72",
        "          14",
        """            "a": /3/0/14 = 'a'""",
        "        end",
        "    end",
        "end",
    ]


def test_a_record_is_told_with_its_time() -> None:
    payload = b'[ {"bn":"/3/0/9","bt":1,"v":72},\n{"bt":2,"v":73} ]'
    assert stops(payload, ContentFormat.SENML_JSON) == [
        (2, None),
        (31, Entry(Path("/3/0/9"), 72, 1)),
        (33, None),
        (48, Entry(Path("/3/0/9"), 73, 2)),
        (50, None),
    ]


def test_the_records_of_lwm2m_json_stand_in_a_member() -> None:
    payload = '{"bt":5,"bn":"/3/0/","e":[{"n":"0","sv":"]é"}]}'.encode()
    assert stops(payload, ContentFormat.OMA_JSON) == [
        (26, None),
        (46, Entry(Path("/3/0/0"), "]é", 5)),
        (48, None),
    ]


def stops(payload: bytes, content_format: int) -> list[tuple[int, Entry | None]]:
    found = spans(payload, content_format, decode(payload, content_format))
    return [(span.stop, span.entry) for span in found]


def test_one_value_is_all_of_the_payload() -> None:
    at = Path("/3/0/9")
    assert dump(b"72", ContentFormat.TEXT, at) == ["0000  37 32                    72        /3/0/9 = '72'"]
    assert dump(b"\x18\x48", ContentFormat.CBOR, at) == [
        "0000  18 48                    .H        72: /3/0/9 = 72"
    ]


def test_what_cannot_be_told_is_not_told() -> None:
    # A format of a plugin, about which only its codec knows anything.
    entries = [Entry(Path("/3/0/9"), 1), Entry(Path("/3/0/10"), 2)]
    assert [(span.stop, span.entry) for span in spans(b"\x01\x02", 65000, entries)] == [(2, None)]


def test_long_payloads_have_long_offsets() -> None:
    lines = dump(bytes(0x10001), ContentFormat.OPAQUE, Path("/5/0/0"))
    assert lines[0].startswith("00000  00")
    assert lines[-1].startswith("10000  00")


@given(ENTRIES, st.sampled_from(list(Codecs())), st.data())
def test_whatever_decodes_can_be_dumped(
    entries: list[Entry], content_format: int, data: st.DataObject
) -> None:
    """Payloads slightly wrong, some of which are tolerated."""
    at = Path("/3/0")
    try:
        payload = bytearray(encode(entries, content_format, at=at))
    except EncodeError:
        return
    if payload:
        payload[data.draw(st.integers(0, len(payload) - 1))] = data.draw(st.integers(0, 255))
    try:
        read = decode(bytes(payload), content_format, at=at)
    except DecodeError:
        return
    lines = hexview(
        bytes(payload), spans(bytes(payload), content_format, read), lambda entry: str(entry.path)
    )
    digits = "".join(line[6:29].replace(" ", "") for line in lines)
    assert digits == payload.hex()
