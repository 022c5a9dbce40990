"""Exact conversion between what formats carry and what types want."""

from __future__ import annotations

import base64
import math
import pickle
from enum import IntEnum, StrEnum
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lwm2m_engine.errors import ValueRejected
from lwm2m_engine.values import PLAIN, ObjLink, ResourceType, coerce, from_base64, from_text, to_text, type_of

R = ResourceType


@pytest.mark.parametrize(
    ("value", "kind", "wanted"),
    [
        (1.0, R.INTEGER, 1),
        (-(2**63), R.INTEGER, -(2**63)),
        (2**64 - 1, R.UNSIGNED_INTEGER, 2**64 - 1),
        (3, R.FLOAT, 3.0),
        (1, R.BOOLEAN, True),
        (0.0, R.BOOLEAN, False),
        (bytearray(b"x"), R.OPAQUE, b"x"),
        (1367491215.0, R.TIME, 1367491215),
        (1367491215.5, R.TIME, 1367491215.5),
        ("3:0", R.OBJLNK, ObjLink(3, 0)),
        ("</3>", R.CORELNK, "</3>"),
        (2**64 - 1, None, 2**64 - 1),
        (ObjLink(3, 0), R.NONE, ObjLink(3, 0)),
    ],
)
def test_coerce(value: object, kind: ResourceType | None, wanted: object) -> None:
    result = coerce(value, kind)
    assert (type(result), result) == (type(wanted), wanted)


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (30.5, R.INTEGER),
        (2**63, R.INTEGER),
        (-(2**63) - 1, R.INTEGER),
        (float(2**63), R.INTEGER),
        (True, R.INTEGER),
        ("1", R.INTEGER),
        (-1, R.UNSIGNED_INTEGER),
        (2**64, R.UNSIGNED_INTEGER),
        (float(2**64), R.UNSIGNED_INTEGER),
        (False, R.UNSIGNED_INTEGER),
        (True, R.FLOAT),
        ("1.0", R.FLOAT),
        (10**400, R.FLOAT),
        (2, R.BOOLEAN),
        ("true", R.BOOLEAN),
        ("AQ==", R.OPAQUE),
        (b"x", R.STRING),
        (1, R.STRING),
        (math.nan, R.TIME),
        (math.inf, R.TIME),
        ("3", R.OBJLNK),
        ("3:65536", R.OBJLNK),
        ("+3:0", R.OBJLNK),
        pytest.param(10**5000, R.INTEGER, id="huge-Integer"),
        (2**64, None),
        pytest.param(10**5000, None, id="huge"),
        (None, None),
        ([1], None),
    ],
)
def test_refused(value: object, kind: ResourceType | None) -> None:
    with pytest.raises(ValueRejected) as caught:
        coerce(value, kind)
    assert len(str(caught.value)) < 120


@given(st.integers() | st.floats() | st.text() | st.binary() | st.booleans(), st.sampled_from(R))
def test_coerce_is_idempotent(value: Any, kind: ResourceType) -> None:
    try:
        once = coerce(value, kind)
    except ValueRejected:
        return
    twice = coerce(once, kind)
    assert twice is once or (twice == once and type(twice) is type(once))
    if type(once) is PLAIN.get(kind):
        assert coerce(once, kind) is once


@pytest.mark.parametrize(
    ("text", "kind", "wanted"),
    [
        ("100", R.INTEGER, 100),
        (" -7 ", R.INTEGER, -7),
        ("1e3", R.INTEGER, 1000),
        ("1152921504606846977.0", R.INTEGER, 2**60 + 1),
        ("18446744073709551615", R.UNSIGNED_INTEGER, 2**64 - 1),
        ("9223372036854775807", R.INTEGER, 2**63 - 1),
        ("56.4", R.FLOAT, 56.4),
        ("1", R.BOOLEAN, True),
        ("False", R.BOOLEAN, False),
        ("1367491215.25", R.TIME, 1367491215.25),
        ("65535:65535", R.OBJLNK, ObjLink(65535, 65535)),
        ("AQIDBAU=", R.OPAQUE, b"\x01\x02\x03\x04\x05"),
        ("", R.STRING, ""),
    ],
)
def test_from_text(text: str, kind: ResourceType, wanted: object) -> None:
    value = from_text(text, kind)
    assert (type(value), value) == (type(wanted), wanted)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("", R.INTEGER),
        ("30.5", R.INTEGER),
        ("1_000", R.INTEGER),
        ("٣", R.INTEGER),
        ("9" * 5000, R.INTEGER),
        ("18446744073709551616", R.UNSIGNED_INTEGER),
        ("yes", R.BOOLEAN),
        ("1,5", R.FLOAT),
        ("nan", R.TIME),
        ("3-0", R.OBJLNK),
    ],
)
def test_texts_refused(text: str, kind: ResourceType) -> None:
    with pytest.raises(ValueRejected):
        from_text(text, kind)


@given(
    st.one_of(
        st.tuples(st.just(R.STRING), st.text()),
        st.tuples(st.just(R.INTEGER), st.integers(-(2**63), 2**63 - 1)),
        st.tuples(st.just(R.FLOAT), st.floats(allow_nan=False)),
        st.tuples(st.just(R.BOOLEAN), st.booleans()),
        st.tuples(st.just(R.OPAQUE), st.binary()),
        st.tuples(st.just(R.OBJLNK), st.builds(ObjLink, st.integers(0, 65535), st.integers(0, 65535))),
    )
)
def test_texts_come_back(pair: tuple[ResourceType, Any]) -> None:
    kind, value = pair
    assert from_text(to_text(value), kind) == value


@pytest.mark.parametrize(
    ("text", "data"),
    [
        ("", b""),
        ("Zg==", b"f"),
        ("Zg", b"f"),
        ("Zm8=", b"fo"),
        ("Zm9v", b"foo"),
        ("Zm9vYg==", b"foob"),
        ("Zm9vYmE=", b"fooba"),
        ("Zm9vYmFy", b"foobar"),
        ("A+BB", b"\x03\xe0\x41"),
        ("A-BB", b"\x03\xe0\x41"),
        ("/m8=", b"\xfe\x6f"),
        ("_m8", b"\xfe\x6f"),
    ],
)
def test_base64_in_all_four_spellings(text: str, data: bytes) -> None:
    assert from_base64(text) == data


@pytest.mark.parametrize(
    "text",
    [
        "€",
        "ù==",
        "Z€",
        "€ùg==",
        "Z!==",
        "Z,8=",
        "Zm9>",
        ">m9vYg==",
        "Zm<vYmE=",
        "Zm9%YmFy",
        "ABC=",
        "Zh==",
        "Zm9=",
        "Zm9vYi==",
        "Zm9vYmF=",
        "Z",
        "Zg===",
        "=",
        "Zm\n9v",
    ],
)
def test_base64_refused(text: str) -> None:
    with pytest.raises(ValueRejected):
        from_base64(text)


class Level(IntEnum):
    HIGH = 3


class Word(StrEnum):
    YES = "yes"


class Degrees(float):
    pass


@pytest.mark.parametrize("kind", [None, R.INTEGER, R.UNSIGNED_INTEGER, R.FLOAT])
def test_members_of_enumerations_become_plain_values(kind: ResourceType | None) -> None:
    """Codecs go by the class of a value."""
    assert type(coerce(Level.HIGH, kind)) is (float if kind is R.FLOAT else int)
    assert type(coerce(Degrees(3), kind)) is (int if kind in (R.INTEGER, R.UNSIGNED_INTEGER) else float)
    assert type(coerce(Word.YES, R.STRING)) is str


def test_large_base64_is_read_at_once() -> None:
    data = bytes(range(256)) * 40
    for padding in ("", "A", "AA"):
        raw = data + padding.encode()
        for text in (base64.b64encode(raw), base64.urlsafe_b64encode(raw)):
            assert from_base64(text.decode()) == from_base64(text.decode().rstrip("=")) == raw


def test_types_without_a_model() -> None:
    values = [True, 1, 2**63, 1.0, "x", b"x", ObjLink(3, 0)]
    kinds = [R.BOOLEAN, R.INTEGER, R.UNSIGNED_INTEGER, R.FLOAT, R.STRING, R.OPAQUE, R.OBJLNK]
    assert [type_of(value) for value in values] == kinds


def test_types_stay_keys_across_pickling() -> None:
    assert {kind: kind.value for kind in R}[pickle.loads(pickle.dumps(R.OPAQUE))] == "Opaque"
