"""Each codec on Object 3 (16 values, instance of the LwM2M specification's examples) and on one value.

``pytest tests/benchmarks/test_codecs.py --benchmark-only``
"""

from __future__ import annotations

import tomllib
from pathlib import Path as File
from typing import Any

import pytest

from lwm2m_engine import Catalog
from lwm2m_engine.codecs import decode, encode
from lwm2m_engine.entries import Entry
from lwm2m_engine.formats import ContentFormat
from lwm2m_engine.paths import Path
from lwm2m_engine.values import ResourceType

VECTORS = File(__file__).parents[1] / "vectors" / "tlv.toml"
DEVICE, TEMPERATURE = Path("/3/0"), Path("/3303/0/5700")
RECORDS = [ContentFormat.TLV, ContentFormat.SENML_CBOR, ContentFormat.SENML_JSON, ContentFormat.OMA_JSON]
SINGLE = [*RECORDS, ContentFormat.TEXT, ContentFormat.CBOR]


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
    payload = encode(device, content_format, at=DEVICE, types=catalog.types)
    entries = benchmark(decode, payload, content_format, at=DEVICE, types=catalog.types)
    assert entries == device


@pytest.mark.parametrize("content_format", RECORDS, ids=label)
def test_encode_device(benchmark: Any, catalog: Catalog, device: list[Entry], content_format: int) -> None:
    payload = benchmark(encode, device, content_format, at=DEVICE, types=catalog.types)
    assert decode(payload, content_format, at=DEVICE, types=catalog.types) == device


@pytest.mark.parametrize("content_format", SINGLE, ids=label)
def test_decode_one_value(benchmark: Any, catalog: Catalog, content_format: int) -> None:
    entries = [Entry(TEMPERATURE, 21.5)]
    payload = encode(entries, content_format, at=TEMPERATURE, types=catalog.types)
    assert catalog.types(TEMPERATURE) is ResourceType.FLOAT
    assert benchmark(decode, payload, content_format, at=TEMPERATURE, types=catalog.types) == entries
