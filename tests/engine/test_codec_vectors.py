"""Every wire vector in ``tests/vectors/*.toml``, decoded, encoded, cut off and changed.

A file has ``format`` (Content-Format number), perhaps ``types`` ("object/resource" = type, for Objects that
are in no registry), and vectors of

- ``id``, ``source``, perhaps ``note``;
- ``path``, the path of the request (missing: the payload is a list of paths);
- ``hex`` or ``text``, the payload;
- ``entries`` as [path, value] or [path, value, time] ({ hex = … }, { link = … }, { null = true } for
  values that TOML lacks), or ``paths``, or ``reject`` = "decode" | "encode";
- ``encodes``: the encoder makes exactly this payload of the entries;
- ``strict`` = "refused": accepted, but not by the strict decoder;
- ``each``: the entries of each device behind a gateway, by prefix;
- ``root``: the alternate path, or the prefix of a device behind a gateway;
- ``type``: the payload is the inside of a TLV element of this type; ``untyped``: no model is known.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path as File
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lwm2m_engine import Catalog
from lwm2m_engine.codecs import decode, decode_each, decode_paths, encode, encode_paths
from lwm2m_engine.codecs.codec import Types, untyped
from lwm2m_engine.entries import Entry
from lwm2m_engine.errors import CodecError, DecodeError, EncodeError, UnsupportedFormat
from lwm2m_engine.paths import Path
from lwm2m_engine.values import ObjLink, ResourceType

ROOTED = re.compile("^(senml|lwm2m)")
"""Formats whose names or keys repeat the alternate path."""
FILES = sorted((File(__file__).parents[1] / "vectors").glob("*.toml"))


class Vector:
    """One row of a file, with the file's format and types."""

    def __init__(self, row: dict[str, Any], file: dict[str, Any]) -> None:
        self.row = row
        self.format = None if row.get("content_format") == "none" else file["format"]
        self.at = Path(row.get("path", "/"))
        payload = bytes.fromhex(row["hex"]) if "hex" in row else row.get("text", "").encode()
        self.payload = element(payload) if "type" in row else payload
        self.entries = [as_entry(*entry) for entry in row.get("entries", ())]
        self.invented = {
            tuple(map(int, key.split("/"))): ResourceType(name) for key, name in file.get("types", {}).items()
        }

    def types(self, catalog: Catalog) -> Types:
        if self.row.get("untyped"):
            return untyped
        if "type" in self.row:
            return lambda path: ResourceType(self.row["type"])
        return lambda path: self.invented.get((path[0], path[2])) or catalog.types(path)

    def decode(self, catalog: Catalog, payload: bytes | None = None, **options: Any) -> list[Entry]:
        return decode(
            self.payload if payload is None else payload,
            self.format,
            at=self.at,
            types=self.types(catalog),
            multiple=multiplicity(catalog),
            root=self.row.get("root", "/"),
            **options,
        )

    def encode(self, catalog: Catalog) -> bytes:
        root = self.row.get("root", "/")
        return encode(self.entries, self.format, at=self.at, types=self.types(catalog), root=root)


def element(value: bytes) -> bytes:
    """A TLV Resource with id 0."""
    length = bytes((0xC0 | len(value), 0)) if len(value) < 8 else bytes((0xC8, 0, len(value)))
    return length + value


def as_entry(path: str, value: Any, time: float | None = None) -> Entry:
    match value:
        case {"hex": digits}:
            value = bytes.fromhex(digits)
        case {"link": text}:
            value = ObjLink.parse(text)
        case {"null": True}:
            value = None
    return Entry(Path(path), value, time)


def multiplicity(catalog: Catalog) -> Callable[[Path], bool | None]:
    def multiple(path: Path) -> bool | None:
        resource = catalog.resource(path)
        return None if resource is None else resource.multiple

    return multiple


def vectors(*wanted: str) -> list[Any]:
    loaded = [(file.stem, tomllib.loads(file.read_text("utf-8"))) for file in FILES]
    return [
        pytest.param(Vector(row, table), id=f"{stem}-{row['id']}")
        for stem, table in loaded
        for row in table["vector"]
        if all(key in row for key in wanted)
    ]


def shown(entries: list[Entry]) -> list[tuple[Any, ...]]:
    """With the types of the values: 1, 1.0 and True are not the same."""
    return [(path, type(value), value, time) for path, value, time in entries]


def test_all_vectors_are_there() -> None:
    ids = {param.values[0].row["id"] for param in vectors()}  # type: ignore[attr-defined]
    assert {f"V{number}" for number in range(1, 187)} <= ids


@pytest.mark.parametrize("vector", vectors())
def test_vector(vector: Vector, catalog: Catalog) -> None:
    row = vector.row
    if row.get("reject") == "encode":
        with pytest.raises(EncodeError):
            vector.encode(catalog)
    elif "path" not in row:
        check_paths(vector)
    elif row.get("reject") == "decode":
        with pytest.raises((DecodeError, UnsupportedFormat)):
            vector.decode(catalog)
    else:
        assert shown(vector.decode(catalog)) == shown(vector.entries)
        payload = vector.encode(catalog)
        if row.get("encodes"):
            assert payload == vector.payload
        assert sorted(shown(vector.decode(catalog, payload))) == sorted(shown(vector.entries))


def check_paths(vector: Vector) -> None:
    if "reject" in vector.row:
        with pytest.raises(DecodeError):
            decode_paths(vector.payload, vector.format)
        return
    paths = [Path(text) for text in vector.row["paths"]]
    assert decode_paths(vector.payload, vector.format) == paths
    payload = encode_paths(paths, vector.format)
    assert decode_paths(payload, vector.format) == paths
    if vector.row.get("encodes"):
        assert payload == vector.payload


@pytest.mark.parametrize("vector", vectors("each"))
def test_each_device(vector: Vector) -> None:
    devices = {root: [as_entry(*row) for row in rows] for root, rows in vector.row["each"].items()}
    found = decode_each(vector.payload, vector.format)
    assert {root: shown(entries) for root, entries in found.items()} == {
        root: shown(entries) for root, entries in devices.items()
    }
    for root, entries in devices.items():
        payload = encode(entries, vector.format, root=root)
        assert decode_each(payload, vector.format) == {root: entries}
        assert decode(payload, vector.format, root=root, strict=True) == entries


@pytest.mark.parametrize("vector", vectors("path", "entries"))
def test_strict(vector: Vector, catalog: Catalog) -> None:
    if "reject" in vector.row:
        return
    if vector.row.get("strict") == "refused":
        with pytest.raises(DecodeError):
            vector.decode(catalog, strict=True)
    else:
        assert shown(vector.decode(catalog, strict=True)) == shown(vector.entries)


@pytest.mark.parametrize("root", ["/lwm2m", "/lwm2m/", "/lwm2m/rootpath"])
@pytest.mark.parametrize("vector", [one for one in vectors("entries") if ROOTED.search(str(one.id))])
def test_alternate_root(vector: Vector, root: str, catalog: Catalog) -> None:
    types = vector.types(catalog)
    payload = encode(vector.entries, vector.format, at=vector.at, types=types, root=root)
    again = decode(payload, vector.format, at=vector.at, types=types, root=root)
    assert sorted(shown(again)) == sorted(shown(vector.entries))
    if vector.entries:
        with pytest.raises(DecodeError):
            decode(payload, vector.format, at=vector.at, types=types)


@pytest.mark.parametrize("vector", vectors())
def test_cut_off(vector: Vector, catalog: Catalog) -> None:
    """A part of a payload is a payload or an error, never anything else."""
    for end in range(len(vector.payload)):
        with suppress(CodecError):
            vector.decode(catalog, vector.payload[:end])


SAMPLES = [param.values[0] for param in vectors("path") if param.values[0].format is not None]  # type: ignore[attr-defined]


@settings(deadline=None)
@given(vector=st.sampled_from(SAMPLES), data=st.data())
def test_changed(vector: Vector, data: st.DataObject, catalog: Catalog) -> None:
    payload = bytearray(vector.payload)
    for _ in range(data.draw(st.integers(1, 4))):
        where = data.draw(st.integers(0, len(payload)))
        payload[where : where + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
    with suppress(CodecError):
        entries = decode(bytes(payload), vector.format, at=vector.at, types=vector.types(catalog))
        assert all(entry.path.startswith(vector.at) for entry in entries)
