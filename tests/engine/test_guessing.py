"""Guessing the Content-Format of a payload."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lwm2m_engine.codecs import Codec, Codecs, decode, encode
from lwm2m_engine.entries import Entry
from lwm2m_engine.errors import EncodeError
from lwm2m_engine.formats import ContentFormat
from lwm2m_engine.guessing import guesses
from lwm2m_engine.model.catalog import Catalog
from lwm2m_engine.paths import ROOT, Path

DEVICE = [
    Entry(Path("/3/0/0"), "Open Mobile Alliance"),
    Entry(Path("/3/0/6/0"), 1),
    Entry(Path("/3/0/6/1"), 5),
    Entry(Path("/3/0/9"), 100),
]


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    return Catalog.bundled()


@pytest.mark.parametrize("number", list(Codecs()))
def test_what_the_codecs_write_is_recognized(number: int, catalog: Catalog) -> None:
    for at, entries in ((Path("/3/0"), DEVICE), (Path("/3/0/9"), DEVICE[3:]), (Path("/7/0/0"), [])):
        values = entries or [Entry(at, b"\x00\xff")]
        try:
            payload = encode(values, number, at=at, types=catalog.types)
        except EncodeError:
            continue
        found = guesses(payload, at=at, types=catalog.types)
        assert number in [guess.content_format for guess in found]
        # A format that says the same in the same way may come first (SenML and SenML-ETCH).
        assert list(found[0].entries) == values


def test_one_candidate_for_a_payload_with_structure(catalog: Catalog) -> None:
    (guess,) = guesses(bytes.fromhex("c10948"), at=Path("/3/0"), types=catalog.types)
    assert (guess.content_format, guess.strict) == (ContentFormat.TLV, True)
    assert guess.entries == (Entry(Path("/3/0/9"), 72),)


def test_formats_that_name_their_objects_need_no_path(catalog: Catalog) -> None:
    payload = b'{"bn":"/3/0/","e":[{"n":"9","v":72}]}'
    (guess,) = guesses(payload, types=catalog.types)
    assert guess.content_format == ContentFormat.OMA_JSON
    assert guesses(bytes.fromhex("c10948"), types=catalog.types) == []


def test_the_tolerated_is_less_likely_than_the_allowed(catalog: Catalog) -> None:
    # Three bytes are no width of an integer, but devices send them.
    payload = bytes.fromhex("c309000048")
    (guess,) = guesses(payload, at=Path("/3/0"), types=catalog.types)
    assert guess.strict is False
    assert guess.entries == (Entry(Path("/3/0/9"), 72),)


@pytest.mark.parametrize(
    ("payload", "path", "first", "others"),
    [
        # 0x37 0x32 is no CBOR item; 0x38 0x30 is -49.
        (b"72", "/3/0/9", ContentFormat.TEXT, set()),
        (b"80", "/3/0/9", ContentFormat.TEXT, {ContentFormat.CBOR}),
        (b"\x18\x48", "/3/0/9", ContentFormat.CBOR, set()),
        # A text of CBOR whose length happens to be a letter.
        (b"eleven", "/3/0/0", ContentFormat.CBOR, {ContentFormat.TEXT}),
        (b"twelve", "/3/0/0", ContentFormat.TEXT, set()),
        (b"</3/0/9>", "/9/0/11", ContentFormat.LINK_FORMAT, {ContentFormat.TEXT}),
        (b"\x00\x01\x02", "/5/0/0", ContentFormat.OPAQUE, set()),
        (b"AAEC", "/5/0/0", ContentFormat.TEXT, {ContentFormat.OPAQUE}),
    ],
)
def test_single_values(payload: bytes, path: str, first: int, others: set[int], catalog: Catalog) -> None:
    found = [guess.content_format for guess in guesses(payload, at=Path(path), types=catalog.types)]
    assert found[0] == first
    assert others <= set(found)


def test_links_only_where_there_is_a_link() -> None:
    found = {guess.content_format for guess in guesses(b"</3/0/9>", at=Path("/9999/0/1"))}
    assert ContentFormat.LINK_FORMAT in found
    found = {guess.content_format for guess in guesses(b"3/0/9", at=Path("/9999/0/1"))}
    assert ContentFormat.LINK_FORMAT not in found


def test_known_resources_speak_for_a_format(catalog: Catalog) -> None:
    own = Codec(65000, lambda payload, scope: [Entry(Path("/9999/0/0"), 1)], lambda entries, scope: b"")
    codecs = Codecs().extended([own])
    payload = b'[{"bn":"/3/0/9","v":72}]'
    found = guesses(payload, types=catalog.types, codecs=codecs)
    assert found[0].content_format == ContentFormat.SENML_JSON
    assert found[-1].content_format == 65000


def test_lists_of_paths() -> None:
    paths = [Path("/3/0"), Path("/4/0/1")]
    for number in (ContentFormat.SENML_JSON, ContentFormat.SENML_CBOR):
        payload = Codecs().encode_paths(paths, number)
        found = guesses(payload)
        assert (found[0].content_format, found[0].listed) == (number, True)
        assert found[0].entries == tuple(Entry(path, None) for path in paths)
        assert guesses(payload, at=Path("/3")) == []


def test_nothing_to_guess_from() -> None:
    assert guesses(b"", at=Path("/3/0")) == []
    assert guesses(b"\xff\xff", at=ROOT) == []


@given(st.binary(max_size=40), st.sampled_from(["/", "/3", "/3/0", "/3/0/6", "/3/0/9"]))
def test_every_guess_is_what_its_codec_reads(payload: bytes, path: str) -> None:
    at = Path(path)
    for guess in guesses(payload, at=at):
        if not guess.listed:
            assert decode(payload, guess.content_format, at=at, strict=guess.strict) == list(guess.entries)
