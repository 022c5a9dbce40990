"""Each codec on Object 3 (16 values, instance of the LwM2M specification's examples) and on one value.

``pytest tests/benchmarks/test_codecs.py --benchmark-only --benchmark-group-by=group``

Beside each codec stands a floor: the cheapest loop from the same bytes to a list of (ids, value) and
back. It checks nothing and knows no model; in TLV, where bytes do not say what they are, it knows which
Resources of this payload are texts.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable
from pathlib import Path as File
from statistics import median
from time import process_time
from typing import Any

import cbor2
import pytest

from lwm2m_engine import Catalog
from lwm2m_engine.codecs import decode, encode
from lwm2m_engine.entries import Entry
from lwm2m_engine.formats import ContentFormat
from lwm2m_engine.paths import Path
from lwm2m_engine.values import ResourceType

VECTORS = File(__file__).parents[1] / "vectors" / "tlv.toml"
DEVICE, TEMPERATURE, FIRMWARE = Path("/3/0"), Path("/3303/0/5700"), Path("/5/0/0")
WITH_FLOOR = [
    ContentFormat.TLV,
    ContentFormat.SENML_CBOR,
    ContentFormat.SENML_JSON,
    ContentFormat.LWM2M_CBOR,
]
RECORDS = [*WITH_FLOOR, ContentFormat.OMA_JSON]
SINGLE = [*RECORDS, ContentFormat.TEXT, ContentFormat.CBOR]
OPAQUE = [*SINGLE, ContentFormat.OPAQUE]
SIZES = [2**20, 2**22]

Row = tuple[Any, Any]


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    return Catalog.bundled()


@pytest.fixture(scope="module")
def device(catalog: Catalog) -> list[Entry]:
    payload = bytes.fromhex(tomllib.loads(VECTORS.read_text("utf-8"))["vector"][0]["hex"])
    return decode(payload, ContentFormat.TLV, at=DEVICE, types=catalog.types)


def label(content_format: ContentFormat) -> str:
    return content_format.label


@pytest.mark.parametrize("content_format", RECORDS, ids=label)
def test_decode_device(benchmark: Any, catalog: Catalog, device: list[Entry], content_format: int) -> None:
    benchmark.group = f"decode {content_format}"
    payload = encode(device, content_format, at=DEVICE, types=catalog.types)
    entries = benchmark(decode, payload, content_format, at=DEVICE, types=catalog.types)
    assert entries == device


@pytest.mark.parametrize("content_format", WITH_FLOOR, ids=label)
def test_decode_device_floor(
    benchmark: Any, catalog: Catalog, device: list[Entry], content_format: int
) -> None:
    benchmark.group = f"decode {content_format}"
    payload = encode(device, content_format, at=DEVICE, types=catalog.types)
    rows = benchmark(READERS[content_format], payload)
    assert rows == [(tuple(path), value) for path, value, _ in device]


@pytest.mark.parametrize("content_format", RECORDS, ids=label)
def test_encode_device(benchmark: Any, catalog: Catalog, device: list[Entry], content_format: int) -> None:
    benchmark.group = f"encode {content_format}"
    payload = benchmark(encode, device, content_format, at=DEVICE, types=catalog.types)
    assert decode(payload, content_format, at=DEVICE, types=catalog.types) == device


@pytest.mark.parametrize("content_format", WITH_FLOOR, ids=label)
def test_encode_device_floor(
    benchmark: Any, catalog: Catalog, device: list[Entry], content_format: int
) -> None:
    benchmark.group = f"encode {content_format}"
    rows = [(tuple(path), value) for path, value, _ in device]
    payload = benchmark(WRITERS[content_format], rows)
    assert decode(payload, content_format, at=DEVICE, types=catalog.types) == device


@pytest.mark.parametrize("content_format", WITH_FLOOR, ids=label)
def test_in_turns(benchmark: Any, catalog: Catalog, device: list[Entry], content_format: int) -> None:
    """Codec and floor by turns, so that the machine is in the same mood for both.

    ``extra_info`` has CPU µs, least and median of 120 turns of 50 each, and the ratio of the least.
    """
    rows = [(tuple(path), value) for path, value, _ in device]
    types = catalog.types
    payload = encode(device, content_format, at=DEVICE, types=types)
    works: dict[str, Callable[[], Any]] = {
        "decode": lambda: decode(payload, content_format, at=DEVICE, types=types),
        "decode floor": lambda: READERS[content_format](payload),
        "encode": lambda: encode(device, content_format, at=DEVICE, types=types),
        "encode floor": lambda: WRITERS[content_format](rows),
    }
    times: dict[str, list[float]] = {name: [] for name in works}

    def turn() -> None:
        for name, work in works.items():
            started = process_time()
            for _ in range(50):
                work()
            times[name].append((process_time() - started) / 50 * 1e6)

    benchmark.pedantic(turn, rounds=120, warmup_rounds=1)
    least = {name: min(each) for name, each in times.items()}
    benchmark.extra_info["cpu_us"] = {
        name: [round(least[name], 1), round(median(each), 1)] for name, each in times.items()
    }
    benchmark.extra_info["ratio"] = {
        name: round(least[name] / least[f"{name} floor"], 2) for name in ("decode", "encode")
    }


@pytest.mark.parametrize("content_format", SINGLE, ids=label)
def test_decode_one_value(benchmark: Any, catalog: Catalog, content_format: int) -> None:
    entries = [Entry(TEMPERATURE, 21.5)]
    payload = encode(entries, content_format, at=TEMPERATURE, types=catalog.types)
    assert catalog.types(TEMPERATURE) is ResourceType.FLOAT
    assert benchmark(decode, payload, content_format, at=TEMPERATURE, types=catalog.types) == entries


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("content_format", OPAQUE, ids=label)
def test_large_opaque(benchmark: Any, catalog: Catalog, content_format: int, size: int) -> None:
    """Four times the bytes in about four times the time, there and back."""
    benchmark.group = f"opaque there and back {content_format}"
    entries = [Entry(FIRMWARE, bytes(range(256)) * (size // 256))]

    def there_and_back() -> list[Entry]:
        payload = encode(entries, content_format, at=FIRMWARE, types=catalog.types)
        return decode(payload, content_format, at=FIRMWARE, types=catalog.types)

    assert benchmark(there_and_back) == entries


# --- the floors: read -----------------------------------------------------------------------------------


def read_tlv(data: bytes) -> list[Row]:
    rows: list[Row] = []
    position, size, multiple, end = 0, len(data), 0, 0
    while position < size:
        first = data[position]
        if first & 0x20:
            id_ = data[position + 1] << 8 | data[position + 2]
            position += 3
        else:
            id_ = data[position + 1]
            position += 2
        width = first >> 3 & 3
        if width:
            length = int.from_bytes(data[position : position + width], "big")
            position += width
        else:
            length = first & 7
        if first & 0xC0 == 0x80:
            multiple, end = id_, position + length
            continue
        ids = (3, 0, multiple, id_) if position < end else (3, 0, id_)
        content = data[position : position + length]
        value = content.decode() if ids[2] in TEXTS else int.from_bytes(content, "big", signed=True)
        rows.append((ids, value))
        position += length
    return rows


TEXTS = frozenset({0, 1, 2, 3, 14, 15, 16})


def read_senml(records: list[dict[Any, Any]], bn: Any, n: Any, v: Any, vs: Any, vb: Any) -> list[Row]:
    base, rows = "", []
    for record in records:
        base = record.get(bn, base)
        value = record[v] if v in record else record[vs] if vs in record else record[vb]
        name = base + record.get(n, "")
        rows.append((tuple(map(int, name[1:].split("/"))), value))
    return rows


def read_tree(tree: dict[Any, Any], ids: tuple[int, ...], rows: list[Row]) -> list[Row]:
    for key, inner in tree.items():
        path = ids + key if key.__class__ is tuple else (*ids, key)
        if inner.__class__ is dict:
            read_tree(inner, path, rows)
        else:
            rows.append((path, inner))
    return rows


READERS: dict[int, Callable[[bytes], list[Row]]] = {
    ContentFormat.TLV: read_tlv,
    ContentFormat.SENML_CBOR: lambda payload: read_senml(cbor2.loads(payload), -2, 0, 2, 3, 4),
    ContentFormat.SENML_JSON: lambda payload: read_senml(json.loads(payload), "bn", "n", "v", "vs", "vb"),
    ContentFormat.LWM2M_CBOR: lambda payload: read_tree(cbor2.loads(payload), (), []),
}


# --- the floors: write ----------------------------------------------------------------------------------


def write_tlv(rows: list[Row]) -> bytes:
    parts: list[bytes] = []
    members: list[bytes] = []
    multiple = None
    for ids, value in rows:
        if multiple is not None and ids[2] != multiple:
            parts.append(tlv_element(0x80, multiple, b"".join(members)))
            members, multiple = [], None
        if value.__class__ is str:
            content = value.encode()
        else:
            width = 1 if -128 <= value < 128 else 2 if -32768 <= value < 32768 else 4
            content = value.to_bytes(width, "big", signed=True)
        if len(ids) == 4:
            multiple = ids[2]
            members.append(tlv_element(0x40, ids[3], content))
        else:
            parts.append(tlv_element(0xC0, ids[2], content))
    return b"".join(parts)


def tlv_element(kind: int, id_: int, content: bytes) -> bytes:
    length = len(content)
    head = (kind | length, id_) if length < 8 else (kind | 8, id_, length)
    return bytes(head) + content


def senml_records(rows: list[Row], bn: Any, n: Any, v: Any, vs: Any) -> list[dict[Any, Any]]:
    records = [
        {n: "/".join(map(str, ids[2:])), (vs if value.__class__ is str else v): value} for ids, value in rows
    ]
    records[0][bn] = "/3/0/"
    return records


def tree_of(rows: list[Row]) -> dict[Any, Any]:
    tree: dict[Any, Any] = {}
    for ids, value in rows:
        node = tree.setdefault(ids[:2], {})
        if len(ids) == 3:
            node[ids[2]] = value
        else:
            node.setdefault(ids[2], {})[ids[3]] = value
    return tree


WRITERS: dict[int, Callable[[list[Row]], bytes]] = {
    ContentFormat.TLV: write_tlv,
    ContentFormat.SENML_CBOR: lambda rows: cbor2.dumps(senml_records(rows, -2, 0, 2, 3)),
    ContentFormat.SENML_JSON: lambda rows: json.dumps(senml_records(rows, "bn", "n", "v", "vs")).encode(),
    ContentFormat.LWM2M_CBOR: lambda rows: cbor2.dumps(tree_of(rows)),
}
