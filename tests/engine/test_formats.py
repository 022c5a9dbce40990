"""Content-Formats by number, label and media type."""

from __future__ import annotations

import pytest

from lwm2m_engine.errors import UnsupportedFormat
from lwm2m_engine.formats import PRE_IANA, ContentFormat


@pytest.mark.parametrize("member", ContentFormat)
def test_every_name_finds_its_format(member: ContentFormat) -> None:
    names = (member.label, member.media_type, int(member), str(int(member)), member.name, f" {member.label} ")
    assert {ContentFormat.named(name) for name in names} == {member}


def test_numbers_are_those_of_iana() -> None:
    numbers = (0, 40, 42, 60, 110, 112, 320, 322, 11542, 11543, 11544)
    assert tuple(map(int, ContentFormat)) == numbers
    assert ContentFormat(11542) is ContentFormat.TLV


@pytest.mark.parametrize(
    ("old", "label"), [(1541, "text"), (1542, "tlv"), (1543, "oma-json"), (1544, "opaque")]
)
def test_numbers_from_before_iana(old: int, label: str) -> None:
    assert ContentFormat.named(old).label == PRE_IANA[old].label == label


@pytest.mark.parametrize("name", ["", "xml", "666", 666, "-1", "application/json", "²", "9" * 5000])
def test_unknown(name: str | int) -> None:
    with pytest.raises(UnsupportedFormat):
        ContentFormat.named(name)


def test_which_version_brought_what() -> None:
    by_version: dict[str, set[str]] = {}
    for member in ContentFormat:
        by_version.setdefault(member.since, set()).add(member.label)
    assert by_version == {
        "1.0": {"text", "link-format", "opaque", "tlv", "oma-json"},
        "1.1": {"cbor", "senml-json", "senml-cbor"},
        "1.2": {"senml-etch-json", "senml-etch-cbor", "lwm2m-cbor"},
    }
